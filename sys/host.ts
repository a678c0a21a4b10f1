import { O } from "./abi/file.ts";
import { STRUCTS } from "./abi/structs.ts";
import { closeFd, openFd } from "./fd.ts";
import { cstr, fromCstr, syscall, trySyscall } from "./syscall.ts";

/** Kinds of namespaces, for clone, unshare and setns. */
export const CLONE = {
  NEWTIME: 0x80,
  NEWNS: 0x20000,
  NEWCGROUP: 0x02000000,
  NEWUTS: 0x04000000,
  NEWIPC: 0x08000000,
  NEWUSER: 0x10000000,
  NEWPID: 0x20000000,
  NEWNET: 0x40000000,
} as const;

/** What {@linkcode reboot} does, for each also what it is called by the kernel. */
const REBOOT = {
  /** LINUX_REBOOT_CMD_RESTART */
  restart: 0x01234567,
  /** LINUX_REBOOT_CMD_HALT */
  halt: 0xcdef0123,
  /** LINUX_REBOOT_CMD_POWER_OFF */
  powerOff: 0x4321fedc,
  /** LINUX_REBOOT_CMD_CAD_OFF: Ctrl-Alt-Del becomes a signal to process 1 */
  ctrlAltDelOff: 0,
} as const;

/** Names of the running system. */
export interface Uname {
  readonly sysname: string;
  readonly nodename: string;
  /** Version of the kernel: "6.1.0-23-amd64". */
  readonly release: string;
  readonly version: string;
  readonly machine: string;
  readonly domainname: string;
}

const UTSNAME = STRUCTS.new_utsname;

/** What uname(2) tells. */
export function uname(): Uname {
  const buffer = new Uint8Array(UTSNAME.size);
  syscall("uname", [buffer]);
  const field = (offset: number) => fromCstr(buffer, offset);
  return {
    sysname: field(UTSNAME.sysname),
    nodename: field(UTSNAME.nodename),
    release: field(UTSNAME.release),
    version: field(UTSNAME.version),
    machine: field(UTSNAME.machine),
    domainname: field(UTSNAME.domainname),
  };
}

/** Sets the host name of one's UTS namespace. */
export function setHostname(name: string): void {
  const bytes = new TextEncoder().encode(name);
  // The address of an empty array may be none at all.
  syscall("sethostname", [cstr(name), bytes.length], name);
}

/** Restarts, halts or powers off the machine at once, without writing anything to disks: {@linkcode sync} first. */
export function reboot(command: keyof typeof REBOOT): void {
  syscall("reboot", [0xfee1dead, 672274793, REBOOT[command], null], command);
}

/** Writes all file systems to their disks. Blocks until it is done. */
export function sync(): void {
  syscall("sync", []);
}

/** Sets the wall clock. @param seconds since 1970, and @param microseconds on top */
export function setTime(seconds: number, microseconds: number): void {
  const timeval = new BigInt64Array([BigInt(seconds), BigInt(microseconds)]);
  syscall("settimeofday", [new Uint8Array(timeval.buffer), null], `${seconds}.${microseconds}`);
}

/** ioctl requests of /dev/urandom. */
export const RND = { RNDADDENTROPY: 0x40085203, RNDRESEEDCRNG: 0x5207 } as const;

const RANDOM = STRUCTS.rand_pool_info;

/**
 * Mixes bytes into the kernel's random pool, counts them as entropy, and makes the generator use them at once: a
 * cloned machine must not repeat what its twins draw.
 */
export function addEntropy(bytes: Uint8Array): void {
  const info = new Uint8Array(RANDOM.buf + Math.ceil(bytes.length / 4) * 4);
  const view = new DataView(info.buffer);
  view.setInt32(RANDOM.entropy_count, bytes.length * 8, true); // entropy in bits
  view.setInt32(RANDOM.buf_size, bytes.length, true);
  info.set(bytes, RANDOM.buf);
  const random = openFd("/dev/urandom", O.RDWR);
  try {
    syscall("ioctl", [random, RND.RNDADDENTROPY, info], "/dev/urandom RNDADDENTROPY");
    syscall("ioctl", [random, RND.RNDRESEEDCRNG, null], "/dev/urandom RNDRESEEDCRNG");
  } finally {
    closeFd(random);
  }
}

/**
 * Loads a kernel module. Blocks while the module initializes.
 *
 * @param module its bytes, or a descriptor of its file (which the kernel may decompress: `compressed`)
 * @param parameters "name=value name=value"
 * @throws {SysError} `EEXIST` if it is loaded already
 */
export function initModule(module: Uint8Array | number, parameters = "", compressed = false): void {
  const MODULE_INIT_COMPRESSED_FILE = 4;
  if (typeof module === "number") {
    const flags = compressed ? MODULE_INIT_COMPRESSED_FILE : 0;
    syscall("finit_module", [module, cstr(parameters), flags], String(module));
  } else {
    syscall("init_module", [module, module.length, cstr(parameters)]);
  }
}

/** ioctl requests of a namespace's descriptor. */
export const NS = { GET_NSTYPE: 0xb703 } as const;

/** The kind of namespace behind a descriptor, of {@linkcode CLONE}; undefined if it is something else. */
export function namespaceKind(fd: number): number | undefined {
  const kind = trySyscall("ioctl", [fd, NS.GET_NSTYPE, 0]);
  return kind > 0 ? kind : undefined;
}

/** Moves this thread into the namespace of a descriptor; see {@linkcode withNamespace}. @param kind of CLONE, 0 any */
export function setns(fd: number, kind: number): void {
  syscall("setns", [fd, kind], String(fd));
}

/** Gives this thread (all of the process for some kinds, see unshare(2)) namespaces of its own. */
export function unshare(flags: number): void {
  syscall("unshare", [flags], `0x${flags.toString(16)}`);
}

/** prctl(2) with numbers. */
export function prctl(option: number, ...args: readonly (number | bigint)[]): number {
  const [a = 0, b = 0, c = 0, d = 0] = args;
  return syscall("prctl", [option, a, b, c, d], String(option));
}

/** What the network and IPC namespaces are called in /proc. */
const NAMESPACE_FILES = { net: CLONE.NEWNET, ipc: CLONE.NEWIPC, uts: CLONE.NEWUTS } as const;

/**
 * Runs `body` inside another namespace: what it opens belongs there and stays there. Synchronous, as other work must
 * not see the change. Of this program only the thread of JavaScript moves, and it comes back.
 *
 * @param namespace a path (/run/netns/x, /proc/7/ns/net) or a descriptor
 * @throws {SysError} and whatever `body` throws
 */
export function withNamespace<T>(
  kind: keyof typeof NAMESPACE_FILES,
  namespace: string | number,
  body: () => T,
): T {
  const type = NAMESPACE_FILES[kind];
  using home = fdOf(`/proc/thread-self/ns/${kind}`);
  using there = typeof namespace === "string" ? fdOf(namespace) : undefined;
  setns(there?.fd ?? Number(namespace), type);
  try {
    return body();
  } finally {
    setns(home.fd, type);
  }
}

/**
 * Makes a network namespace. It lives as long as the descriptor, and as what is opened or runs in it.
 *
 * @returns a descriptor, which the caller owns
 */
export function newNetworkNamespace(): number {
  using home = fdOf("/proc/thread-self/ns/net");
  unshare(CLONE.NEWNET);
  try {
    return openFd("/proc/thread-self/ns/net", O.RDONLY);
  } finally {
    setns(home.fd, CLONE.NEWNET);
  }
}

function fdOf(path: string): Disposable & { readonly fd: number } {
  const fd = openFd(path, O.RDONLY);
  return { fd, [Symbol.dispose]: () => closeFd(fd) };
}

/** Changes the root folder of this process (all its threads) and goes there. */
export function chroot(path: string): void {
  syscall("chroot", [cstr(path)], path);
  syscall("chdir", [cstr("/")], "/");
}

/**
 * Steps of a syscall program as text: `mount proc: mount("proc", "/proc", "proc", MS_NOSUID|MS_NODEV, NULL)`.
 *
 * Numbers that people know by name (flags, modes, commands) are written by name; how the arguments of a call read is
 * one line of a table. Calls that are not in the table are written with plain numbers.
 */

import { O } from "./abi/file.ts";
import type { CallStep, Step, StepOutcome } from "./program.ts";
import { Data, type ProgramArg, Slot, type StructPart } from "./program_data.ts";
import { RLIMIT } from "./rlimit.ts";
import type { SyscallName } from "./syscall.ts";

type Names = ReadonlyMap<bigint, string>;
type Format = (value: bigint) => string;
/** How an argument reads; a list is for a structure of 8-byte words. */
type ArgFormat = Format | readonly Format[] | undefined;

/**
 * The step in one line: its name, the call, where the result is kept, and what follows from success and failure.
 * Labels are a line of their own, as `name:`.
 */
export function describeStep(step: Step): string {
  switch (step.kind) {
    case "call":
      return `${step.name}: ${step.save ? `$${step.save.name} = ` : ""}${callText(step)}${outcomeText(step)}`;
    case "compute":
      return `${step.name}: $${step.save.name} = ${computeText(argText(step.value), step.and, step.or)}`;
    case "expect": {
      const left = computeText(argText(step.value), step.and, 0);
      const right = argText(step.equals, left.startsWith("(") ? hex : plain);
      return `${step.name}: expect ${left} == ${right}, else ${step.errno}${outcomeText(step)}`;
    }
    case "fail":
      return `${step.name}: fail with ${step.errno}`;
    case "jump":
      return `go to ${step.label.name}`;
    case "label":
      return `${step.label.name}:`;
    case "checkpoint":
      return `${step.name}: checkpoint`;
    case "awaitGo":
      return `${step.name}: wait for the parent`;
    case "continueInChild":
      return `${step.name}: go on in a new process(${bits(CLONE)(BigInt(step.flags))})`;
    case "wireFds":
      return "wire file descriptors";
    default:
      return step satisfies never;
  }
}

/** A step as data for other programs, its arguments written as in {@linkcode describeStep}. */
export interface StepFields {
  /** as in `Step` */
  readonly kind: string;
  /** what it does, or the label's name */
  readonly name: string;
  readonly call?: string;
  readonly args?: readonly string[];
  /** slot that keeps the result */
  readonly save?: string;
  /** Errors after which the program goes on; `true` for any. */
  readonly mayFail?: true | readonly string[];
  readonly onSuccess?: string;
  readonly onFailure?: string;
  /** the line of {@linkcode describeStep} */
  readonly text: string;
}

/** @see StepFields */
export function stepFields(step: Step): StepFields {
  const text = describeStep(step);
  if (step.kind === "wireFds") return { kind: step.kind, name: text, text };
  if (step.kind === "label" || step.kind === "jump") return { kind: step.kind, name: step.label.name, text };
  if (step.kind !== "call") return { kind: step.kind, name: step.name, text };
  const formats = FORMATS[step.call] ?? [];
  return {
    kind: step.kind,
    name: step.name,
    call: step.call,
    args: step.args.map((arg, i) => argText(arg, formats[i])),
    ...(step.save && { save: step.save.name }),
    ...(step.mayFail !== false && { mayFail: step.mayFail }),
    ...(step.onSuccess && { onSuccess: step.onSuccess.name }),
    ...(step.onFailure && { onFailure: step.onFailure.name }),
    text,
  };
}

/** CLONE_NEW* flags by name: `CLONE_NEWNS|CLONE_NEWPID`. */
export function cloneFlagsText(flags: number): string {
  return bits(CLONE)(BigInt(flags));
}

function outcomeText(step: StepOutcome): string {
  let text = step.onSuccess ? `; on success go to ${step.onSuccess.name}` : "";
  if (step.mayFail !== false) {
    text += `; on ${step.mayFail === true ? "failure" : step.mayFail.join(" or ")} go `;
    text += step.onFailure ? `to ${step.onFailure.name}` : "on";
  }
  return text;
}

function computeText(value: string, and: ProgramArg, or: ProgramArg): string {
  const masked = isNumber(and) && BigInt.asUintN(64, BigInt(and)) === ALL_BITS
    ? value
    : `(${value} & ${argText(and, hex)})`;
  return isNumber(or) && BigInt(or) === 0n ? masked : `${masked} | ${argText(or, hex)}`;
}

function callText(step: CallStep): string {
  const formats = FORMATS[step.call] ?? [];
  return `${step.call}(${step.args.map((arg, i) => argText(arg, formats[i])).join(", ")})`;
}

function argText(arg: ProgramArg, format: ArgFormat = plain): string {
  if (arg instanceof Slot) return `$${arg.name}`;
  if (arg instanceof Data) return dataText(arg, typeof format === "function" ? [] : format);
  return (typeof format === "function" ? format : pointer)(BigInt.asIntN(64, BigInt(arg)));
}

function dataText(data: Data, formats: readonly Format[]): string {
  const content = data.content;
  switch (content.kind) {
    case "text":
      return JSON.stringify(content.text);
    case "texts":
      return `[${content.texts.map((text) => JSON.stringify(text)).join(", ")}]`;
    case "bytes":
      return formats.length === 0 ? bytesText(content.bytes) : structText(wordsOf(content.bytes), formats);
    case "struct":
      return structText(content.parts, formats);
  }
}

function structText(parts: readonly StructPart[], formats: readonly Format[]): string {
  const texts = parts.map((part, i) =>
    part instanceof Uint8Array ? bytesText(part) : argText(part, formats[i])
  );
  return `{${texts.join(", ")}}`;
}

function wordsOf(bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length >> 3 }, (_, i) => view.getBigUint64(8 * i, true));
}

/** Text as text, up to eight bytes as a number, room of zeros as its size, all else by size and a checksum. */
function bytesText(bytes: Uint8Array): string {
  const { length } = bytes;
  if (length > 0 && bytes.every((byte) => byte === 10 || (byte >= 32 && byte < 127))) {
    return JSON.stringify(new TextDecoder().decode(bytes));
  }
  if (length === 2 || length === 4 || length === 8) {
    return plain(bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n));
  }
  if (bytes.every((byte) => byte === 0)) return `<${length} zero bytes>`;
  return `<${length} bytes ${fnv1a(bytes)}>`;
}

/** Tells different bytes apart in a comparison; nothing else depends on it. */
function fnv1a(bytes: Uint8Array): string {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

function isNumber(arg: ProgramArg): arg is number | bigint {
  return typeof arg === "number" || typeof arg === "bigint";
}

const ALL_BITS = 0xffff_ffff_ffff_ffffn;

const plain: Format = (value) => value > -65536n && value < 65536n ? `${value}` : hex(value);
const hex: Format = (value) => `0x${BigInt.asUintN(64, value).toString(16)}`;
const decimal: Format = (value) => `${value}`;
const octal: Format = (value) => value === 0n ? "0" : `0${value.toString(8)}`;
const pointer: Format = (value) => value === 0n ? "NULL" : hex(value);
const folder: Format = (value) => value === -100n ? "AT_FDCWD" : plain(value);
const device: Format = (value) => `${value >> 8n & 0xfffn}:${(value & 0xffn) | (value >> 12n & 0xfff00n)}`;

/** Type and permissions of a file, as `S_IFCHR|0666`. */
const fileMode: Format = (value) => {
  const type = FILE_TYPES.get(value & 0o170000n);
  return type === undefined ? octal(value) : `${type}|${octal(value & 0o7777n)}`;
};

/** One of several values. */
function one(names: Names): Format {
  return (value) => names.get(value) ?? plain(value);
}

/** Names of the bits that are set, and what has no name in hexadecimal. */
function bits(names: Names): Format {
  return (value) => {
    let rest = BigInt.asUintN(64, value);
    const set: string[] = [];
    for (const [bit, name] of names) {
      if (bit !== 0n && (rest & bit) === bit) {
        set.push(name);
        rest &= ~bit;
      }
    }
    if (rest !== 0n) set.push(hex(rest));
    return set.join("|") || "0";
  };
}

function named(prefix: string, values: Record<string, number>): Names {
  return new Map(Object.entries(values).map(([name, value]) => [BigInt(value), prefix + name]));
}

// deno-fmt-ignore
const MS = named("MS_", {
  RDONLY: 1, NOSUID: 2, NODEV: 4, NOEXEC: 8, SYNCHRONOUS: 16, REMOUNT: 32, MANDLOCK: 64, DIRSYNC: 128,
  NOSYMFOLLOW: 256, NOATIME: 1024, NODIRATIME: 2048, BIND: 4096, MOVE: 8192, REC: 16384, SILENT: 32768,
  POSIXACL: 1 << 16, UNBINDABLE: 1 << 17, PRIVATE: 1 << 18, SLAVE: 1 << 19, SHARED: 1 << 20, RELATIME: 1 << 21,
  I_VERSION: 1 << 23, STRICTATIME: 1 << 24, LAZYTIME: 1 << 25,
});
// deno-fmt-ignore
const CLONE = named("CLONE_", {
  NEWTIME: 0x80, NEWNS: 0x20000, NEWCGROUP: 0x2000000, NEWUTS: 0x4000000, NEWIPC: 0x8000000, NEWUSER: 0x10000000,
  NEWPID: 0x20000000, NEWNET: 0x40000000,
});
// deno-fmt-ignore
const AT = named("AT_", {
  SYMLINK_NOFOLLOW: 0x100, REMOVEDIR: 0x200, NO_AUTOMOUNT: 0x800, EMPTY_PATH: 0x1000, RECURSIVE: 0x8000,
});
const OPEN_TREE = new Map([[1n, "OPEN_TREE_CLONE"], [0o2000000n, "OPEN_TREE_CLOEXEC"], ...AT]);
// deno-fmt-ignore
const RESOLVE = named("RESOLVE_", {
  NO_XDEV: 1, NO_MAGICLINKS: 2, NO_SYMLINKS: 4, BENEATH: 8, IN_ROOT: 16, CACHED: 32,
});
// deno-fmt-ignore
const MOUNT_ATTR = named("MOUNT_ATTR_", {
  RDONLY: 1, NOSUID: 2, NODEV: 4, NOEXEC: 8, _ATIME: 0x70, NOATIME: 0x10, STRICTATIME: 0x20, NODIRATIME: 0x80,
  IDMAP: 0x100000, NOSYMFOLLOW: 0x200000,
});
// deno-fmt-ignore
const MOVE_MOUNT = named("MOVE_MOUNT_", {
  F_SYMLINKS: 1, F_AUTOMOUNTS: 2, F_EMPTY_PATH: 4, T_SYMLINKS: 0x10, T_AUTOMOUNTS: 0x20, T_EMPTY_PATH: 0x40,
  SET_GROUP: 0x100,
});
const MNT = new Map([[1n, "MNT_FORCE"], [2n, "MNT_DETACH"], [4n, "MNT_EXPIRE"], [8n, "UMOUNT_NOFOLLOW"]]);
const ACCESS = new Map([[4n, "R_OK"], [2n, "W_OK"], [1n, "X_OK"]]);
const ACCESS_FLAGS = new Map([[0x100n, "AT_SYMLINK_NOFOLLOW"], [0x200n, "AT_EACCESS"], [
  0x1000n,
  "AT_EMPTY_PATH",
]]);
// deno-fmt-ignore
const FSCONFIG = new Map([
  [0n, "FSCONFIG_SET_FLAG"], [1n, "FSCONFIG_SET_STRING"], [2n, "FSCONFIG_SET_BINARY"], [3n, "FSCONFIG_SET_PATH"],
  [4n, "FSCONFIG_SET_PATH_EMPTY"], [5n, "FSCONFIG_SET_FD"], [6n, "FSCONFIG_CMD_CREATE"],
  [7n, "FSCONFIG_CMD_RECONFIGURE"],
]);
const CLOSE_RANGE = new Map([[2n, "CLOSE_RANGE_UNSHARE"], [4n, "CLOSE_RANGE_CLOEXEC"]]);
// deno-fmt-ignore
const FILE_TYPES = new Map([
  [0o010000n, "S_IFIFO"], [0o020000n, "S_IFCHR"], [0o040000n, "S_IFDIR"], [0o060000n, "S_IFBLK"],
  [0o100000n, "S_IFREG"], [0o120000n, "S_IFLNK"],
]);
// deno-fmt-ignore
const PR = named("PR_", {
  SET_PDEATHSIG: 1, SET_DUMPABLE: 4, SET_KEEPCAPS: 8, SET_NAME: 15, SET_SECCOMP: 22, CAPBSET_READ: 23,
  CAPBSET_DROP: 24, SET_SECUREBITS: 28, SET_CHILD_SUBREAPER: 36, SET_NO_NEW_PRIVS: 38, CAP_AMBIENT: 47,
});
// deno-fmt-ignore
const FCNTL = new Map([
  [0n, "F_DUPFD"], [1n, "F_GETFD"], [2n, "F_SETFD"], [3n, "F_GETFL"], [4n, "F_SETFL"], [1030n, "F_DUPFD_CLOEXEC"],
]);
// deno-fmt-ignore
const IOCTL = new Map([[0x540en, "TIOCSCTTY"], [0x5414n, "TIOCSWINSZ"], [0x40045431n, "TIOCSPTLCK"]]);

/** The flags of open(2); their values depend on the architecture, and O_RDONLY is no bit. */
const openFlags: Format = (value) => {
  const entries = Object.entries(O).map(([name, flag]): [bigint, string] => [BigInt(flag), `O_${name}`]);
  const known = new Map(entries.filter(([, name]) => name !== "O_ACCMODE").sort(([a], [b]) => Number(b - a)));
  const text = bits(known)(value);
  if ((value & 3n) !== 0n || text.includes("O_PATH")) return text;
  return text === "0" ? "O_RDONLY" : `O_RDONLY|${text}`;
};

const FORMATS: Partial<Record<SyscallName, readonly ArgFormat[]>> = {
  mount: [pointer, undefined, pointer, bits(MS), pointer],
  umount2: [undefined, bits(MNT)],
  openat: [folder, undefined, openFlags, octal],
  openat2: [folder, undefined, [openFlags, octal, bits(RESOLVE)]],
  open_tree: [folder, undefined, bits(OPEN_TREE)],
  move_mount: [folder, undefined, folder, undefined, bits(MOVE_MOUNT)],
  mount_setattr: [folder, undefined, bits(AT), [bits(MOUNT_ATTR), bits(MOUNT_ATTR), bits(MS), plain]],
  mkdirat: [folder, undefined, octal],
  mknodat: [folder, undefined, fileMode, device],
  symlinkat: [undefined, folder],
  unlinkat: [folder, undefined, bits(AT)],
  fchown: [undefined, decimal, decimal],
  fchownat: [folder, undefined, decimal, decimal, bits(AT)],
  setresuid: [decimal, decimal, decimal],
  setresgid: [decimal, decimal, decimal],
  fchmodat: [folder, undefined, octal],
  fchmod: [undefined, octal],
  faccessat: [folder, undefined, bits(ACCESS)],
  faccessat2: [folder, undefined, bits(ACCESS), bits(ACCESS_FLAGS)],
  statx: [folder, undefined, bits(AT), hex],
  fsopen: [undefined, bits(new Map([[1n, "FSOPEN_CLOEXEC"]]))],
  fsmount: [undefined, bits(new Map([[1n, "FSMOUNT_CLOEXEC"]])), bits(MOUNT_ATTR)],
  fsconfig: [undefined, one(FSCONFIG), pointer, pointer],
  umask: [octal],
  setns: [undefined, bits(CLONE)],
  unshare: [bits(CLONE)],
  prctl: [one(PR)],
  prlimit64: [undefined, one(named("RLIMIT_", RLIMIT)), pointer, pointer],
  fcntl: [undefined, one(FCNTL)],
  dup3: [undefined, undefined, bits(new Map([[0o2000000n, "O_CLOEXEC"]]))],
  ioctl: [undefined, one(IOCTL)],
  close_range: [undefined, undefined, bits(CLOSE_RANGE)],
  execveat: [folder, undefined, undefined, undefined, bits(AT)],
};

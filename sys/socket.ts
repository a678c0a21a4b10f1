import { AT } from "./abi/file.ts";
import { STRUCTS } from "./abi/structs.ts";
import { ERRNO, SysError } from "./errors.ts";
import { closeFd, fchmodAt } from "./fd.ts";
import { AsyncFd } from "./poll.ts";
import { syscall, trySyscall } from "./syscall.ts";

const { sockaddr_vm: VM, sockaddr_un: UN, ucred: UCRED } = STRUCTS;
const AF_UNIX = 1;
const AF_VSOCK = 40;
const SOCK_STREAM = 1;
const SOCK_FLAGS = 0o2000000 | 0o4000; // close-on-exec, non-blocking
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SO_PEERCRED = 17;
const SHUT = { read: 0, write: 1, both: 2 } as const;

/** The longest path of a unix socket, in bytes. */
const UNIX_PATH_MAX = 107;

/** "Any" where an address of vsock is bound, -1 as unsigned. */
const VMADDR_CID_ANY = 0xffffffff;

/** An end of a vsock connection. */
export interface VsockAddress {
  /** Context id: 2 is the host. */
  readonly cid: number;
  readonly port: number;
}

/** Who is at the other end of a unix socket, as of its connect(). */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** A listening socket. */
export class Listener implements Disposable {
  readonly #socket: AsyncFd;

  private constructor(fd: number, label: string) {
    this.#socket = new AsyncFd(fd, label);
  }

  /** Takes ownership of a descriptor that listens already, e.g. one that was inherited. */
  static fromFd(fd: number, label: string = `listener ${fd}`): Listener {
    return new Listener(fd, label);
  }

  /** The descriptor; -1 after close or release. */
  get fd(): number {
    return this.#socket.fd;
  }

  /**
   * Waits for the next connection. The caller owns it.
   *
   * @throws {SysError} `EBADF` when the listener is closed meanwhile
   */
  async accept(): Promise<AsyncFd> {
    for (;;) {
      const result = this.fd < 0 ? -ERRNO.EBADF : trySyscall("accept4", [this.fd, null, null, SOCK_FLAGS]);
      if (result >= 0) return new AsyncFd(result, `connection ${result}`);
      // ECONNABORTED: the peer gave up while it waited in the queue; the next one may not have.
      if (result === -ERRNO.EAGAIN) await this.#socket.readable();
      else if (result !== -ERRNO.ECONNABORTED) throw new SysError("accept4", -result, String(this.fd));
    }
  }

  /** Stops listening. Does not remove a socket's file. Safe to call again. */
  close(): void {
    this.#socket.close();
  }

  /** Gives the descriptor to the caller. */
  release(): number {
    return this.#socket.release();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function streamSocket(family: number): number {
  return syscall("socket", [family, SOCK_STREAM | SOCK_FLAGS, 0]);
}

/** Runs `use` on the descriptor and closes it if that fails. */
function closingOnError<T>(fd: number, use: (fd: number) => T): T {
  try {
    return use(fd);
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

/** struct sockaddr_un; a path that begins with "@" is a name in the abstract namespace. */
function unixAddress(path: string): Uint8Array {
  const bytes = new TextEncoder().encode(path);
  if (bytes.length === 0 || bytes.length > UNIX_PATH_MAX || bytes.includes(0)) {
    throw new RangeError(
      `a unix socket's path must have 1 to ${UNIX_PATH_MAX} bytes and no NUL: "${path}" has ${bytes.length}`,
    );
  }
  const abstract = path.startsWith("@");
  const address = new Uint8Array(UN.sun_path + bytes.length + (abstract ? 0 : 1));
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(bytes, UN.sun_path);
  if (abstract) address[UN.sun_path] = 0;
  return address;
}

/** struct sockaddr_vm. */
function vsockAddress(cid: number, port: number): Uint8Array {
  const address = new Uint8Array(VM.size);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_VSOCK, true);
  view.setUint32(VM.svm_port, port, true);
  view.setUint32(VM.svm_cid, cid, true);
  return address;
}

/**
 * Listens on a unix socket.
 *
 * @param path where its file is made; "@name" for the abstract namespace
 * @param options.mode permissions of the file, whatever the umask is
 * @throws {RangeError} if the path is too long
 * @throws {SysError} `EADDRINUSE` if a file is there
 */
export function listenUnix(
  path: string,
  options: { readonly mode?: number; readonly backlog?: number } = {},
): Listener {
  const address = unixAddress(path);
  return closingOnError(streamSocket(AF_UNIX), (fd) => {
    syscall("bind", [fd, address, address.length], path);
    // Before listen(), so that nobody gets in by wider permissions.
    if (options.mode !== undefined && !path.startsWith("@")) fchmodAt(AT.FDCWD, path, options.mode);
    syscall("listen", [fd, options.backlog ?? 128], path);
    return Listener.fromFd(fd, path);
  });
}

/** How long a full queue of a listener is waited for, in all about five seconds. */
const BACKLOG_TRIES = 100;
const BACKLOG_PAUSE_MS = 50;

/**
 * Connects to a unix socket. The caller owns the connection.
 *
 * @throws {SysError} `ENOENT`, `ECONNREFUSED` (nobody listens), `EAGAIN` (the listener's queue stays full)
 */
export async function connectUnix(path: string): Promise<AsyncFd> {
  const address = unixAddress(path);
  const socket = new AsyncFd(streamSocket(AF_UNIX), path);
  try {
    for (let attempt = 1;; attempt++) {
      const result = trySyscall("connect", [socket.fd, address, address.length]);
      if (result === 0) return socket;
      if (result !== -ERRNO.EAGAIN || attempt === BACKLOG_TRIES) throw new SysError("connect", -result, path);
      // The listener's queue is full. No event tells when it is not: unix sockets leave only trying again.
      await delay(BACKLOG_PAUSE_MS);
    }
  } catch (error) {
    socket.close();
    throw error;
  }
}

/**
 * Listens on a vsock port.
 *
 * @param cid the context id to bind to (default: any)
 */
export function listenVsock(port: number, cid: number = VMADDR_CID_ANY): Listener {
  const subject = `vsock ${cid}:${port}`;
  const address = vsockAddress(cid, port);
  return closingOnError(streamSocket(AF_VSOCK), (fd) => {
    syscall("bind", [fd, address, address.length], subject);
    syscall("listen", [fd, 128], subject);
    return Listener.fromFd(fd, subject);
  });
}

/**
 * Connects to a vsock port. The caller owns the connection.
 *
 * @throws {SysError} `ECONNRESET` (nobody listens), `ENODEV` (no such context), `ETIMEDOUT`
 */
export async function connectVsock(cid: number, port: number): Promise<AsyncFd> {
  const subject = `vsock ${cid}:${port}`;
  const address = vsockAddress(cid, port);
  const socket = new AsyncFd(streamSocket(AF_VSOCK), subject);
  try {
    const result = trySyscall("connect", [socket.fd, address, address.length]);
    if (result === 0) return socket;
    if (result !== -ERRNO.EINPROGRESS) throw new SysError("connect", -result, subject);
    await socket.writable();
    const error = socketError(socket.fd);
    if (error !== 0) throw new SysError("connect", error, subject);
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** A pair of connected unix stream sockets, blocking and close-on-exec. The caller owns both. */
export function socketPair(): [number, number] {
  const fds = new Int32Array(2);
  syscall("socketpair", [AF_UNIX, SOCK_STREAM | 0o2000000, 0, new Uint8Array(fds.buffer)]);
  return [fds[0] ?? -1, fds[1] ?? -1];
}

/** Who connected to, or listens at, the other end of a vsock connection. @throws {SysError} `ENOTCONN` */
export function vsockPeer(fd: number): VsockAddress {
  return vsockName("getpeername", fd);
}

/** Where a vsock socket is bound. */
export function vsockOwn(fd: number): VsockAddress {
  return vsockName("getsockname", fd);
}

function vsockName(call: "getpeername" | "getsockname", fd: number): VsockAddress {
  const address = new Uint8Array(VM.size);
  syscall(call, [fd, address, new Uint8Array(new Uint32Array([VM.size]).buffer)], String(fd));
  const view = new DataView(address.buffer);
  return { cid: view.getUint32(VM.svm_cid, true), port: view.getUint32(VM.svm_port, true) };
}

/** Ends one direction of a connection, or both; the peer reads the end. */
export function shutdownSocket(fd: number, direction: keyof typeof SHUT): void {
  syscall("shutdown", [fd, SHUT[direction]], String(fd));
}

function socketOption(fd: number, option: number, size: number): DataView {
  const value = new Uint8Array(size);
  const length = new Uint8Array(new Uint32Array([size]).buffer);
  syscall("getsockopt", [fd, SOL_SOCKET, option, value, length], String(fd));
  return new DataView(value.buffer);
}

/** Takes the pending error of a socket; 0 for none. */
export function socketError(fd: number): number {
  return socketOption(fd, SO_ERROR, 4).getInt32(0, true);
}

/** Who connected to, or listens at, the other end of a unix socket. */
export function peerCredentials(fd: number): PeerCredentials {
  const view = socketOption(fd, SO_PEERCRED, UCRED.size);
  return {
    pid: view.getInt32(UCRED.pid, true),
    uid: view.getUint32(UCRED.uid, true),
    gid: view.getUint32(UCRED.gid, true),
  };
}

export { receiveWithFds, SCM_MAX_FD, sendWithFds } from "./socket_fds.ts";
import { delay } from "./timer.ts";

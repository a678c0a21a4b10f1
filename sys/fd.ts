import { AT, O } from "./abi/file.ts";
import { ERRNO, SysError } from "./errors.ts";
import { cstr, fromCstr, syscall, type SyscallArg, syscallWide, trySyscall } from "./syscall.ts";

export { AT, O, RESOLVE, S } from "./abi/file.ts";
export {
  fchmodAt,
  fchmodFd,
  fchownAt,
  makeDev,
  mkdirAt,
  mknodAt,
  type Stat,
  statAt,
  statFd,
  symlinkAt,
  unlinkAt,
} from "./file.ts";

const F_DUPFD_CLOEXEC = 1030;
const F_SETPIPE_SZ = 1031;
const F_GETPIPE_SZ = 1032;
const F_GETFL = 3;
const F_SETFL = 4;
const EFD_CLOEXEC = O.CLOEXEC;
const EFD_NONBLOCK = O.NONBLOCK;

/**
 * Opens a file, close-on-exec. The caller owns the descriptor.
 *
 * @param flags of {@linkcode O}
 * @param mode permissions of a file that is created, less the umask
 * @throws {SysError} naming the path
 */
export function openFd(path: string, flags: number, mode = 0): number {
  return openAt(AT.FDCWD, path, flags, mode);
}

/** As {@linkcode openFd}, relative to the folder `dirfd`. */
export function openAt(dirfd: number, path: string, flags: number, mode = 0): number {
  return syscall("openat", [dirfd, cstr(path), flags | O.CLOEXEC, mode], path);
}

/**
 * Opens a file, with a say in how links and `..` are followed: `RESOLVE.IN_ROOT` treats `dirfd` as "/".
 *
 * @throws {SysError} naming the path; `EXDEV`, `ELOOP` where the path leads to what `resolve` forbids
 */
export function openat2(
  dirfd: number,
  path: string,
  how: { readonly flags: number; readonly mode?: number; readonly resolve?: number },
): number {
  const struct = new BigUint64Array([
    BigInt(how.flags | O.CLOEXEC),
    BigInt(how.mode ?? 0),
    BigInt(how.resolve ?? 0),
  ]);
  const args: SyscallArg[] = [dirfd, cstr(path), new Uint8Array(struct.buffer), struct.byteLength];
  // EAGAIN: a rename or mount happened while the kernel walked a path that must stay beneath its root.
  for (let attempt = 0; attempt < 100; attempt++) {
    const fd = trySyscall("openat2", args);
    if (fd >= 0) return fd;
    if (fd !== -ERRNO.EAGAIN) throw new SysError("openat2", -fd, path);
  }
  throw new SysError("openat2", ERRNO.EAGAIN, path);
}

/** Closes a descriptor. @throws {SysError} `EBADF` if it is not open: somebody closed what was not theirs */
export function closeFd(fd: number): void {
  const result = trySyscall("close", [fd]);
  // EINTR, EIO and the like tell about written data; the descriptor is gone all the same.
  if (result === -ERRNO.EBADF) throw new SysError("close", ERRNO.EBADF, String(fd));
}

/** A second descriptor (close-on-exec) for the same open file, the lowest free one from `min` on. */
export function dupFd(fd: number, min = 0): number {
  return syscall("fcntl", [fd, F_DUPFD_CLOEXEC, min], String(fd));
}

/** Reads once. @returns the number of bytes, 0 at the end. @throws {SysError} `EAGAIN` if it would block */
export function readFd(fd: number, into: Uint8Array): number {
  return syscall("read", [fd, into, into.length], String(fd));
}

/** Writes once. @returns how many bytes were taken. @throws {SysError} `EAGAIN` if it would block */
export function writeFd(fd: number, data: Uint8Array): number {
  return syscall("write", [fd, data, data.length], String(fd));
}

/** A pipe, both ends close-on-exec and blocking: `[read, write]`. The caller owns both. */
export function pipe(flags: number = 0): [read: number, write: number] {
  const fds = new Int32Array(2);
  syscall("pipe2", [new Uint8Array(fds.buffer), flags | O.CLOEXEC]);
  return [fds[0]!, fds[1]!];
}

/** Sets how much a pipe or FIFO holds; the kernel rounds up to a power of two. @returns the capacity in bytes */
export function setPipeSize(fd: number, bytes: number): number {
  return syscall("fcntl", [fd, F_SETPIPE_SZ, bytes], String(fd));
}

/** How much a pipe or FIFO holds, in bytes. */
export function pipeSize(fd: number): number {
  return syscall("fcntl", [fd, F_GETPIPE_SZ], String(fd));
}

/** Whether reads and writes answer EAGAIN instead of blocking. Shared by all who have this open file. */
export function setNonblock(fd: number, on: boolean): void {
  const flags = syscall("fcntl", [fd, F_GETFL], String(fd));
  const wanted = on ? flags | O.NONBLOCK : flags & ~O.NONBLOCK;
  if (wanted !== flags) syscall("fcntl", [fd, F_SETFL, wanted], String(fd));
}

/** The flags that the file was opened with (access mode and status flags). */
export function openFlags(fd: number): number {
  return syscall("fcntl", [fd, F_GETFL], String(fd));
}

/** A non-blocking eventfd. The caller owns it. */
export function eventfd(initial = 0): number {
  return syscall("eventfd2", [initial, EFD_CLOEXEC | EFD_NONBLOCK]);
}

/** A file in memory, without a path. The caller owns it. */
export function memfd(name: string): number {
  const MFD_CLOEXEC = 1;
  return syscall("memfd_create", [cstr(name), MFD_CLOEXEC], name);
}

/** Moves the file's position; `whence` 0 = start, 1 = here, 2 = end. @returns the new position */
export function seekFd(fd: number, offset: number, whence: 0 | 1 | 2): number {
  return Number(syscallWide("lseek", [fd, offset, whence], String(fd)));
}

/**
 * Takes, changes or drops the lock of an open file without waiting.
 *
 * @throws {SysError} `EAGAIN` if somebody else holds it
 */
export function flockFd(fd: number, kind: "shared" | "exclusive" | "unlock"): void {
  const LOCK_NB = 4;
  const operation = { shared: 1, exclusive: 2, unlock: 8 }[kind];
  syscall("flock", [fd, operation | LOCK_NB], String(fd));
}

/** Owner of one descriptor: closes it unless it was released. */
export class OwnedFd implements Disposable {
  #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** The descriptor; -1 after close or release. */
  get fd(): number {
    return this.#fd;
  }

  /** Closes it. Safe to call again. */
  close(): void {
    const fd = this.release();
    if (fd >= 0) closeFd(fd);
  }

  /** Gives the descriptor to the caller. @returns -1 if it is closed or released */
  release(): number {
    const fd = this.#fd;
    this.#fd = -1;
    return fd;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Reads a descriptor's file to its end, from where it stands. For procfs, sysfs and small files: it may block. */
export function readAllFd(fd: number): Uint8Array {
  let buffer = new Uint8Array(4096);
  let length = 0;
  for (;;) {
    const count = readFd(fd, buffer.subarray(length));
    if (count === 0) return buffer.subarray(0, length);
    length += count;
    if (length === buffer.length) {
      const larger = new Uint8Array(buffer.length * 2);
      larger.set(buffer);
      buffer = larger;
    }
  }
}

/** Writes all of `data`, blocking as the descriptor does. */
export function writeAllFd(fd: number, data: Uint8Array): void {
  for (let done = 0; done < data.length;) done += writeFd(fd, data.subarray(done));
}

/** What a symbolic link says. @throws {SysError} `EINVAL` if it is not a link */
export function readlinkAt(dirfd: number, path: string): string {
  const buffer = new Uint8Array(4097);
  const length = syscall("readlinkat", [dirfd, cstr(path), buffer, buffer.length - 1], path);
  return fromCstr(buffer.subarray(0, length));
}

import { AT, S } from "./abi/file.ts";
import { STRUCTS } from "./abi/structs.ts";
import { cstr, syscall } from "./syscall.ts";

/** Makes a folder. */
export function mkdirAt(dirfd: number, path: string, mode: number): void {
  syscall("mkdirat", [dirfd, cstr(path), mode], path);
}

/**
 * Makes a device, FIFO, socket or file.
 *
 * @param mode type bits of {@linkcode S} and permissions, less the umask
 * @param dev number of {@linkcode makeDev}, for devices
 */
export function mknodAt(dirfd: number, path: string, mode: number, dev = 0): void {
  syscall("mknodat", [dirfd, cstr(path), mode, dev], path);
}

/** Makes a symbolic link at `path` that says `target`. */
export function symlinkAt(target: string, dirfd: number, path: string): void {
  syscall("symlinkat", [cstr(target), dirfd, cstr(path)], path);
}

/** Removes a file; a folder with `AT.REMOVEDIR`. */
export function unlinkAt(dirfd: number, path: string, flags = 0): void {
  syscall("unlinkat", [dirfd, cstr(path), flags], path);
}

/** Renames, replacing what is there. */
export function renameAt(oldDirfd: number, oldPath: string, newDirfd: number, newPath: string): void {
  syscall("renameat2", [oldDirfd, cstr(oldPath), newDirfd, cstr(newPath), 0], `${oldPath}" to "${newPath}`);
}

/** Changes the owner; -1 leaves one as it is. `AT.EMPTY_PATH` with "" means `dirfd` itself. */
export function fchownAt(dirfd: number, path: string, uid: number, gid: number, flags = 0): void {
  syscall("fchownat", [dirfd, cstr(path), uid, gid, flags], path === "" ? String(dirfd) : path);
}

/** Changes the permissions, following a link. */
export function fchmodAt(dirfd: number, path: string, mode: number): void {
  syscall("fchmodat", [dirfd, cstr(path), mode], path);
}

/** Changes the permissions of an open file (not of one opened with `O.PATH`). */
export function fchmodFd(fd: number, mode: number): void {
  syscall("fchmod", [fd, mode], String(fd));
}

/** Makes a FIFO. */
export function mkfifo(path: string, mode: number): void {
  mknodAt(AT.FDCWD, path, S.IFIFO | mode);
}

/** The number of a device, as mknod and `rdev` have it. */
export function makeDev(major: number, minor: number): number {
  // major is 12 bits, minor 20: the lower 8 bits of the minor, the major, the rest of the minor.
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
}

/** The major number of a device. */
export function majorOf(dev: number): number {
  return (dev >>> 8) & 0xfff;
}

/** The minor number of a device. */
export function minorOf(dev: number): number {
  return (dev & 0xff) | ((dev >>> 12) & 0xfff00);
}

/** What statx(2) tells of a file. */
export interface Stat {
  /** The type bits of the mode, one of `S.IF*`. */
  readonly type: number;
  /** Permission bits with set-id and sticky bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly ino: bigint;
  readonly nlink: number;
  /** Number of the device that holds the file, as {@linkcode makeDev}. */
  readonly dev: number;
  /** Number of the device that the file is. */
  readonly rdev: number;
  /** In bytes. */
  readonly size: number;
  /** Modification time in seconds since 1970. */
  readonly mtime: number;
  /** Id of the mount that the file was reached through; 0 before Linux 5.8. */
  readonly mountId: bigint;
}

const STATX_BASIC_STATS = 0x7ff;
const STATX_MNT_ID = 0x1000;
const STATX = STRUCTS.statx;

/**
 * Tells about a file, following links unless `flags` has `AT.SYMLINK_NOFOLLOW`.
 * statx(2) and not stat(2), as its structure is the same on all architectures.
 */
export function statAt(dirfd: number, path: string, flags = 0): Stat {
  const buffer = new Uint8Array(STATX.size);
  const subject = path === "" ? String(dirfd) : path;
  syscall("statx", [dirfd, cstr(path), flags, STATX_BASIC_STATS | STATX_MNT_ID, buffer], subject);
  const view = new DataView(buffer.buffer);
  const mode = view.getUint16(STATX.stx_mode, true);
  return {
    type: mode & S.IFMT,
    mode: mode & 0o7777,
    uid: view.getUint32(STATX.stx_uid, true),
    gid: view.getUint32(STATX.stx_gid, true),
    ino: view.getBigUint64(STATX.stx_ino, true),
    nlink: view.getUint32(STATX.stx_nlink, true),
    dev: makeDev(view.getUint32(STATX.stx_dev_major, true), view.getUint32(STATX.stx_dev_minor, true)),
    rdev: makeDev(view.getUint32(STATX.stx_rdev_major, true), view.getUint32(STATX.stx_rdev_minor, true)),
    size: Number(view.getBigUint64(STATX.stx_size, true)),
    mtime: Number(view.getBigInt64(STATX.stx_mtime, true)),
    mountId: view.getBigUint64(STATX.stx_mnt_id, true),
  };
}

/** Tells about the file of an open descriptor. */
export function statFd(fd: number): Stat {
  return statAt(fd, "", AT.EMPTY_PATH);
}

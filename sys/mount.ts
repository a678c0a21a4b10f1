import { AT, O } from "./abi/file.ts";
import { closeFd } from "./fd.ts";
import { cstr, syscall } from "./syscall.ts";

/** Flags of mount(2). */
export const MS = {
  RDONLY: 0x1,
  NOSUID: 0x2,
  NODEV: 0x4,
  NOEXEC: 0x8,
  SYNCHRONOUS: 0x10,
  REMOUNT: 0x20,
  MANDLOCK: 0x40,
  DIRSYNC: 0x80,
  NOSYMFOLLOW: 0x100,
  NOATIME: 0x400,
  NODIRATIME: 0x800,
  BIND: 0x1000,
  MOVE: 0x2000,
  REC: 0x4000,
  SILENT: 0x8000,
  POSIXACL: 0x10000,
  UNBINDABLE: 0x20000,
  PRIVATE: 0x40000,
  SLAVE: 0x80000,
  SHARED: 0x100000,
  RELATIME: 0x200000,
  I_VERSION: 0x800000,
  STRICTATIME: 0x1000000,
  LAZYTIME: 0x2000000,
} as const;

/** Flags of umount2(2). */
export const MNT = { FORCE: 1, DETACH: 2, EXPIRE: 4, NOFOLLOW: 8 } as const;

/** Flags of open_tree(2). */
export const OPEN_TREE = { CLONE: 1, CLOEXEC: O.CLOEXEC } as const;

/** Flags of move_mount(2). */
export const MOVE_MOUNT = { F_EMPTY_PATH: 0x4, T_EMPTY_PATH: 0x40 } as const;

/** Attributes of a mount for mount_setattr(2). */
export const MOUNT_ATTR = {
  RDONLY: 0x1,
  NOSUID: 0x2,
  NODEV: 0x4,
  NOEXEC: 0x8,
  /** Mask of the three below: clear it when one of them is set. */
  ATIME: 0x70,
  RELATIME: 0x0,
  NOATIME: 0x10,
  STRICTATIME: 0x20,
  NODIRATIME: 0x80,
  IDMAP: 0x100000,
  NOSYMFOLLOW: 0x200000,
} as const;

/**
 * Mounts, remounts, binds, moves, or changes propagation: mount(2).
 *
 * @param source device, folder, or a name for what has none
 * @param flags of {@linkcode MS}
 * @param data the file system's own options, comma separated
 * @throws {SysError} naming the target
 */
export function mount(source: string, target: string, fstype: string, flags: number, data = ""): void {
  syscall("mount", [cstr(source), cstr(target), cstr(fstype), flags, cstr(data)], target);
}

/** Unmounts. @throws {SysError} `EINVAL` if nothing is mounted there, `EBUSY` */
export function umount(target: string, flags = 0): void {
  syscall("umount2", [cstr(target), flags], target);
}

/**
 * Bind-mounts a file or folder.
 *
 * @param options.recursive with the mounts below it
 * @param options.readonly without write access through this place, all mounts below included if recursive (Linux 5.12)
 * @throws {SysError} nothing stays mounted then
 */
export function bindMount(
  source: string,
  target: string,
  options: { readonly recursive?: boolean; readonly readonly?: boolean } = {},
): void {
  if (!options.readonly) {
    mount(source, target, "", MS.BIND | (options.recursive ? MS.REC : 0));
    return;
  }
  // Made read-only before it is visible.
  const recursive = options.recursive ? AT.RECURSIVE : 0;
  const tree = openTree(AT.FDCWD, source, OPEN_TREE.CLONE | recursive);
  try {
    mountSetattr(tree, "", { set: MOUNT_ATTR.RDONLY }, AT.EMPTY_PATH | recursive);
    moveMount(tree, "", AT.FDCWD, target, MOVE_MOUNT.F_EMPTY_PATH);
  } finally {
    closeFd(tree);
  }
}

/**
 * A descriptor for a mount, or for a detached copy of it (`OPEN_TREE.CLONE`, with `AT.RECURSIVE` for the tree). The
 * caller owns it; a detached copy goes with it.
 */
export function openTree(dirfd: number, path: string, flags: number): number {
  return syscall("open_tree", [dirfd, cstr(path), flags | OPEN_TREE.CLOEXEC], path);
}

/** Puts a mount (of openTree, fsmount, or at a path) in place. @param flags of {@linkcode MOVE_MOUNT} */
export function moveMount(
  fromDirfd: number,
  fromPath: string,
  toDirfd: number,
  toPath: string,
  flags: number,
): void {
  syscall("move_mount", [fromDirfd, cstr(fromPath), toDirfd, cstr(toPath), flags], toPath || String(toDirfd));
}

/** What {@linkcode mountSetattr} changes. */
export interface MountAttributes {
  /** Bits of {@linkcode MOUNT_ATTR} to set. */
  readonly set?: number;
  /** Bits to clear. */
  readonly clear?: number;
  /** One of `MS.SHARED`, `SLAVE`, `PRIVATE`, `UNBINDABLE`. */
  readonly propagation?: number;
  /** The user namespace for `MOUNT_ATTR.IDMAP`. */
  readonly usernsFd?: number;
}

/** Changes a mount; with `AT.RECURSIVE` the whole tree, all or nothing. Linux 5.12. */
export function mountSetattr(dirfd: number, path: string, attributes: MountAttributes, flags = 0): void {
  const struct = new BigUint64Array([
    BigInt(attributes.set ?? 0),
    BigInt(attributes.clear ?? 0),
    BigInt(attributes.propagation ?? 0),
    BigInt(attributes.usernsFd ?? 0),
  ]);
  const bytes = new Uint8Array(struct.buffer);
  syscall("mount_setattr", [dirfd, cstr(path), flags, bytes, bytes.length], path || String(dirfd));
}

const FSCONFIG_SET_FLAG = 0;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_CREATE = 6;
const FSCONFIG_CMD_RECONFIGURE = 7;

/**
 * Creates a detached mount of a new file system: fsopen, fsconfig, fsmount. For options longer than the page
 * that mount(2) takes, and for mounting onto a descriptor.
 *
 * @param options name and value, `true` for flags; "source" is the device
 * @param attributes bits of {@linkcode MOUNT_ATTR}
 * @returns a descriptor for {@linkcode moveMount}, owned by the caller
 */
export function createMount(
  fstype: string,
  options: Iterable<readonly [name: string, value: string | true]>,
  attributes = 0,
): number {
  const CLOEXEC = 1; // FSOPEN_CLOEXEC and FSMOUNT_CLOEXEC
  const context = syscall("fsopen", [cstr(fstype), CLOEXEC], fstype);
  try {
    for (const [name, value] of options) {
      const args = value === true
        ? [context, FSCONFIG_SET_FLAG, cstr(name), null, 0]
        : [context, FSCONFIG_SET_STRING, cstr(name), cstr(value), 0];
      syscall("fsconfig", args, value === true ? name : `${name}=${value}`);
    }
    syscall("fsconfig", [context, FSCONFIG_CMD_CREATE, null, null, 0], fstype);
    return syscall("fsmount", [context, CLOEXEC, attributes], fstype);
  } finally {
    closeFd(context);
  }
}

/**
 * Has the kernel forget the names that it keeps of a file system and that nobody uses: part of each reconfiguration,
 * here one that changes nothing.
 *
 * @param path of a mount
 */
export function forgetUnusedNames(path: string): void {
  const CLOEXEC = 1; // FSPICK_CLOEXEC
  const context = syscall("fspick", [AT.FDCWD, cstr(path), CLOEXEC], path);
  try {
    syscall("fsconfig", [context, FSCONFIG_CMD_RECONFIGURE, null, null, 0], path);
  } finally {
    closeFd(context);
  }
}

export { type MountInfo, readMountinfo } from "./mountinfo.ts";

/**
 * The options of a mount in `config.json`, taken apart: kernel flags, propagation, recursive attributes, and
 * the rest, which is data for the file system. Names as in the runtime specification's "Linux mount options".
 */

/** Flags of mount(2) (linux/mount.h). */
export const MOUNT_FLAGS = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  SYNCHRONOUS: 16,
  REMOUNT: 32,
  MANDLOCK: 64,
  DIRSYNC: 128,
  NOSYMFOLLOW: 256,
  NOATIME: 1024,
  NODIRATIME: 2048,
  BIND: 4096,
  REC: 16384,
  SILENT: 32768,
  UNBINDABLE: 1 << 17,
  PRIVATE: 1 << 18,
  SLAVE: 1 << 19,
  SHARED: 1 << 20,
  RELATIME: 1 << 21,
  I_VERSION: 1 << 23,
  STRICTATIME: 1 << 24,
  LAZYTIME: 1 << 25,
} as const;

/** Attributes of mount_setattr(2) (linux/mount.h). The atime kinds are values of one field, `ATIME`. */
export const MOUNT_ATTRIBUTES = {
  RDONLY: 0x1,
  NOSUID: 0x2,
  NODEV: 0x4,
  NOEXEC: 0x8,
  ATIME: 0x70,
  RELATIME: 0x00,
  NOATIME: 0x10,
  STRICTATIME: 0x20,
  NODIRATIME: 0x80,
  IDMAP: 0x0010_0000,
  NOSYMFOLLOW: 0x0020_0000,
} as const;

/** What mount_setattr(2) is to set and to clear. */
export interface AttributeChange {
  readonly set: number;
  readonly clear: number;
}

/** How a mount propagates; one call per entry. */
export interface Propagation {
  /** one of MS_PRIVATE, MS_SHARED, MS_SLAVE, MS_UNBINDABLE */
  readonly type: number;
  readonly recursive: boolean;
}

/** The options of one mount. */
export interface MountOptions {
  /** `bind` or `rbind` is among them: the mount is a bind, whatever its type says. */
  readonly bind: boolean;
  /** `rbind`: what is mounted below the source comes along. */
  readonly recursiveBind: boolean;
  /** Flags of mount(2), without those for bind and propagation. */
  readonly flags: number;
  /**
   * Flags that were asked not to be set (`rw`, `suid`, …); matters for a bind, which begins with its
   * source's.
   */
  readonly cleared: number;
  /** In the order given. */
  readonly propagation: readonly Propagation[];
  /** Attributes for this mount and all below it (`rro`, …). */
  readonly recursive: AttributeChange;
  /** What is left: options of the file system. */
  readonly data: readonly string[];
  /** Options that ask for more than flags; `idmap`, `ridmap`, `tmpcopyup` as they were given. */
  readonly extensions: readonly string[];
}

const F = MOUNT_FLAGS;
const A = MOUNT_ATTRIBUTES;

const FLAG_OPTIONS: ReadonlyMap<string, { set?: number; clear?: number }> = new Map([
  ["defaults", {}],
  ["ro", { set: F.RDONLY }],
  ["rw", { clear: F.RDONLY }],
  ["nosuid", { set: F.NOSUID }],
  ["suid", { clear: F.NOSUID }],
  ["nodev", { set: F.NODEV }],
  ["dev", { clear: F.NODEV }],
  ["noexec", { set: F.NOEXEC }],
  ["exec", { clear: F.NOEXEC }],
  ["sync", { set: F.SYNCHRONOUS }],
  ["async", { clear: F.SYNCHRONOUS }],
  ["dirsync", { set: F.DIRSYNC }],
  ["remount", { set: F.REMOUNT }],
  ["mand", { set: F.MANDLOCK }],
  ["nomand", { clear: F.MANDLOCK }],
  ["noatime", { set: F.NOATIME }],
  ["atime", { clear: F.NOATIME }],
  ["nodiratime", { set: F.NODIRATIME }],
  ["diratime", { clear: F.NODIRATIME }],
  ["relatime", { set: F.RELATIME }],
  ["norelatime", { clear: F.RELATIME }],
  ["strictatime", { set: F.STRICTATIME }],
  ["nostrictatime", { clear: F.STRICTATIME }],
  ["lazytime", { set: F.LAZYTIME }],
  ["nolazytime", { clear: F.LAZYTIME }],
  ["iversion", { set: F.I_VERSION }],
  ["noiversion", { clear: F.I_VERSION }],
  ["silent", { set: F.SILENT }],
  ["loud", { clear: F.SILENT }],
  ["nosymfollow", { set: F.NOSYMFOLLOW }],
  ["symfollow", { clear: F.NOSYMFOLLOW }],
]);

const PROPAGATION_TYPES: ReadonlyMap<string, number> = new Map([
  ["private", F.PRIVATE],
  ["shared", F.SHARED],
  ["slave", F.SLAVE],
  ["unbindable", F.UNBINDABLE],
]);

/** Recursive options without their `r`: what they set and clear. Every atime kind clears the others. */
const RECURSIVE_OPTIONS: ReadonlyMap<string, AttributeChange> = new Map([
  ["rro", { set: A.RDONLY, clear: 0 }],
  ["rrw", { set: 0, clear: A.RDONLY }],
  ["rnosuid", { set: A.NOSUID, clear: 0 }],
  ["rsuid", { set: 0, clear: A.NOSUID }],
  ["rnodev", { set: A.NODEV, clear: 0 }],
  ["rdev", { set: 0, clear: A.NODEV }],
  ["rnoexec", { set: A.NOEXEC, clear: 0 }],
  ["rexec", { set: 0, clear: A.NOEXEC }],
  ["rnodiratime", { set: A.NODIRATIME, clear: 0 }],
  ["rdiratime", { set: 0, clear: A.NODIRATIME }],
  ["rnosymfollow", { set: A.NOSYMFOLLOW, clear: 0 }],
  ["rsymfollow", { set: 0, clear: A.NOSYMFOLLOW }],
  ["rrelatime", { set: A.RELATIME, clear: A.ATIME }],
  ["rnorelatime", { set: A.STRICTATIME, clear: A.ATIME }],
  ["rnoatime", { set: A.NOATIME, clear: A.ATIME }],
  ["ratime", { set: A.RELATIME, clear: A.ATIME }],
  ["rstrictatime", { set: A.STRICTATIME, clear: A.ATIME }],
  ["rnostrictatime", { set: A.RELATIME, clear: A.ATIME }],
]);

/** Options that name work beyond flags; a value (`idmap=…`) may follow. */
const EXTENSIONS = /^(idmap|ridmap|tmpcopyup)(=|$)/;

/** The options that mean the same for every file system. */
export function mountOptionNames(): string[] {
  const spread = [...PROPAGATION_TYPES.keys()].flatMap((name) => [name, `r${name}`]);
  const others = ["bind", "rbind", "tmpcopyup", "idmap", "ridmap"];
  return [...FLAG_OPTIONS.keys(), ...spread, ...RECURSIVE_OPTIONS.keys(), ...others].sort();
}

/**
 * Takes the options of a mount apart; later ones override earlier ones. Never fails: what is not a known
 * option is data for the file system, and only the file system knows whether it is right.
 */
export function parseMountOptions(options: readonly string[]): MountOptions {
  let flags = 0, cleared = 0;
  let bind = false, recursiveBind = false;
  let recursive: AttributeChange = { set: 0, clear: 0 };
  const propagation: Propagation[] = [];
  const data: string[] = [];
  const extensions: string[] = [];
  for (const option of options) {
    const flag = FLAG_OPTIONS.get(option);
    const spread = propagationOf(option);
    const below = RECURSIVE_OPTIONS.get(option);
    if (flag) {
      const { set = 0, clear = 0 } = flag;
      flags = (flags | set) & ~clear;
      cleared = (cleared | clear) & ~set;
    } else if (option === "bind" || option === "rbind") {
      bind = true;
      recursiveBind ||= option === "rbind";
    } else if (spread) propagation.push(spread);
    else if (below) recursive = merge(recursive, below);
    else if (EXTENSIONS.test(option)) extensions.push(option);
    else if (option !== "") data.push(option);
  }
  return { bind, recursiveBind, flags, cleared, propagation, recursive, data, extensions };
}

/** `private`, `rprivate`, …; undefined for anything else. Also the values of `linux.rootfsPropagation`. */
export function propagationOf(option: string): Propagation | undefined {
  const plain = PROPAGATION_TYPES.get(option);
  if (plain !== undefined) return { type: plain, recursive: false };
  const recursive = option.startsWith("r") ? PROPAGATION_TYPES.get(option.slice(1)) : undefined;
  return recursive === undefined ? undefined : { type: recursive, recursive: true };
}

function merge(before: AttributeChange, change: AttributeChange): AttributeChange {
  return {
    set: (before.set & ~change.clear) | change.set,
    clear: change.clear | (before.clear & ~(change.set & ~A.ATIME)),
  };
}

/** Flags of mount(2) that belong to the mount itself and not to its file system, with their attributes. */
const FLAG_ATTRIBUTES: readonly (readonly [number, number])[] = [
  [F.RDONLY, A.RDONLY],
  [F.NOSUID, A.NOSUID],
  [F.NODEV, A.NODEV],
  [F.NOEXEC, A.NOEXEC],
  [F.NODIRATIME, A.NODIRATIME],
  [F.NOSYMFOLLOW, A.NOSYMFOLLOW],
];

/**
 * What the flags of a bind mean for mount_setattr(2). Attributes that the options do not mention stay those
 * of the source (unlike a `MS_REMOUNT|MS_BIND`, which would clear a `nosuid` that nobody spoke about).
 */
export function bindAttributes(options: Pick<MountOptions, "flags" | "cleared">): AttributeChange {
  const { flags, cleared } = options;
  let set = 0, clear = 0;
  for (const [flag, attribute] of FLAG_ATTRIBUTES) {
    if (flags & flag) set |= attribute;
    if (cleared & flag) clear |= attribute;
  }
  const kinds = F.NOATIME | F.RELATIME | F.STRICTATIME;
  if ((flags | cleared) & kinds) {
    clear |= A.ATIME;
    if (flags & F.NOATIME) set |= A.NOATIME;
    else if (flags & F.STRICTATIME || (cleared & F.RELATIME && !(flags & F.RELATIME))) set |= A.STRICTATIME;
  }
  return { set, clear };
}

/** Whether a tmpfs is to begin with what its mount point has in it. */
export function copiesUp(options: readonly string[] = []): boolean {
  return parseMountOptions(options).extensions.includes("tmpcopyup");
}

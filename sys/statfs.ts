import { STRUCTS } from "./abi/structs.ts";
import { cstr, syscall } from "./syscall.ts";

/** Magic numbers of file systems. */
export const FS_MAGIC = {
  ext4: 0xef53,
  tmpfs: 0x01021994,
  ramfs: 0x858458f6,
  overlay: 0x794c7630,
  xfs: 0x58465342,
  btrfs: 0x9123683e,
  proc: 0x9fa0,
  sysfs: 0x62656572,
  cgroup: 0x27e0eb,
  cgroup2: 0x63677270,
  hugetlbfs: 0x958458f6,
  fuse: 0x65735546,
  v9fs: 0x01021997,
  nsfs: 0x6e736673,
  erofs: 0xe0f5e1e2,
} as const;

/** Size and use of a file system. */
export interface FileSystemStat {
  /** Magic number, see {@linkcode FS_MAGIC}. */
  readonly type: number;
  /** Unit of the block counts, in bytes. */
  readonly blockSize: number;
  readonly blocks: number;
  readonly blocksFree: number;
  /** Free for those who are not root. */
  readonly blocksAvailable: number;
  readonly files: number;
  readonly filesFree: number;
  readonly nameLength: number;
  /** Mount flags, ST_RDONLY 1, ST_NOSUID 2, ... */
  readonly flags: number;
}

const STATFS = STRUCTS.statfs;

function parse(buffer: Uint8Array): FileSystemStat {
  const view = new DataView(buffer.buffer);
  const word = (offset: number) => Number(view.getBigUint64(offset, true));
  return {
    type: word(STATFS.f_type),
    blockSize: word(STATFS.f_frsize) || word(STATFS.f_bsize), // counts are in fragments, which older file systems leave 0
    blocks: word(STATFS.f_blocks),
    blocksFree: word(STATFS.f_bfree),
    blocksAvailable: word(STATFS.f_bavail),
    files: word(STATFS.f_files),
    filesFree: word(STATFS.f_ffree),
    nameLength: word(STATFS.f_namelen),
    flags: word(STATFS.f_flags),
  };
}

/** Tells about the file system that holds `path`. */
export function statfs(path: string): FileSystemStat {
  const buffer = new Uint8Array(STATFS.size);
  syscall("statfs", [cstr(path), buffer], path);
  return parse(buffer);
}

/** Tells about the file system that holds an open file. */
export function fstatfs(fd: number): FileSystemStat {
  const buffer = new Uint8Array(STATFS.size);
  syscall("fstatfs", [fd, buffer], String(fd));
  return parse(buffer);
}

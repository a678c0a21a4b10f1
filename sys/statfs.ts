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

// struct statfs of the 64-bit architectures: seven 64-bit words, an id of 8 bytes, four 64-bit words, spare ones.
const SIZE = 120;

function parse(buffer: Uint8Array): FileSystemStat {
  const view = new DataView(buffer.buffer);
  const word = (index: number) => Number(view.getBigUint64(index * 8, true));
  return {
    type: word(0),
    blockSize: word(9) || word(1), // counts are in fragments, which older file systems leave 0
    blocks: word(2),
    blocksFree: word(3),
    blocksAvailable: word(4),
    files: word(5),
    filesFree: word(6),
    nameLength: word(8),
    flags: word(10),
  };
}

/** Tells about the file system that holds `path`. */
export function statfs(path: string): FileSystemStat {
  const buffer = new Uint8Array(SIZE);
  syscall("statfs", [cstr(path), buffer], path);
  return parse(buffer);
}

/** Tells about the file system that holds an open file. */
export function fstatfs(fd: number): FileSystemStat {
  const buffer = new Uint8Array(SIZE);
  syscall("fstatfs", [fd, buffer], String(fd));
  return parse(buffer);
}

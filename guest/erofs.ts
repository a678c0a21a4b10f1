/**
 * Writing EROFS images: read-only file systems whose files lie in one piece each, at whole blocks, so that the kernel
 * reads just the pages that are touched.
 *
 * Only what a guest's disk needs: one folder with files, nothing compressed. The same files give the same bytes. The
 * layout is that of `fs/erofs/erofs_fs.h`.
 *
 * @module
 */

/** A file in the image's only folder. */
export interface ErofsFile {
  /** Without a slash. */
  readonly name: string;
  readonly data: Uint8Array;
  readonly mode: number;
}

/** Size of a block, and so what the image's size is a multiple of, in bytes. */
export const EROFS_BLOCK = 4096;
const BLOCK_BITS = 12;

const MAGIC = 0xe0f5e1e2;
const SUPERBLOCK_OFFSET = 1024;
/** Inodes start with the second block, behind the superblock. */
const FIRST_INODE = EROFS_BLOCK;
/** The small form of an inode; their numbers count by their size. */
const INODE_BYTES = 32;
const ENTRY_BYTES = 12;
const LARGEST_FILE = 0xffffffff;

const TYPE = { file: 0o100000, folder: 0o040000 } as const;
const ENTRY_TYPE = { file: 1, folder: 2 } as const;

/** An entry of the folder. */
interface Entry {
  readonly name: Uint8Array;
  readonly inode: number;
  readonly type: number;
}

/**
 * The image.
 *
 * @throws {RangeError} a name is empty, too long, has a slash, or occurs twice; a file is too large
 */
export function encodeErofs(files: readonly ErofsFile[]): Uint8Array<ArrayBuffer> {
  const sorted = files.map((file) => ({ ...file, bytes: encodeName(file.name) }))
    .sort((a, b) => compareBytes(a.bytes, b.bytes));
  sorted.forEach(({ name, data }, i) => {
    if (name === sorted[i + 1]?.name) throw new RangeError(`"${name}" is in the image twice`);
    if (data.length > LARGEST_FILE) throw new RangeError(`"${name}" is too large for a guest's disk`);
  });
  const entries = [
    { name: encodeName("."), inode: 0, type: ENTRY_TYPE.folder },
    { name: encodeName(".."), inode: 0, type: ENTRY_TYPE.folder },
    ...sorted.map(({ bytes }, i) => ({ name: bytes, inode: i + 1, type: ENTRY_TYPE.file })),
  ].sort((a, b) => compareBytes(a.name, b.name));
  const folder = encodeFolder(entries);

  const contents = [folder, ...sorted.map(({ data }) => data)];
  const modes = [TYPE.folder | 0o755, ...sorted.map(({ mode }) => TYPE.file | mode)];
  let block = blocks(FIRST_INODE + contents.length * INODE_BYTES);
  const places = contents.map((data) => {
    const place = block;
    block += blocks(data.length);
    return place;
  });
  const image = new Uint8Array(block * EROFS_BLOCK);
  const view = new DataView(image.buffer);
  superblock(view, contents.length, block);
  contents.forEach((data, i) => {
    const place = places[i] ?? 0;
    inode(view, i, { mode: modes[i] ?? 0, size: data.length, place, links: i === 0 ? 2 : 1 });
    image.set(data, place * EROFS_BLOCK);
  });
  return image;
}

function superblock(view: DataView, inodes: number, blockCount: number): void {
  const at = SUPERBLOCK_OFFSET;
  view.setUint32(at, MAGIC, true);
  view.setUint8(at + 12, BLOCK_BITS);
  view.setUint16(at + 14, 0, true); // the root's inode
  view.setBigUint64(at + 16, BigInt(inodes), true);
  view.setUint32(at + 36, blockCount, true);
  view.setUint32(at + 40, FIRST_INODE / EROFS_BLOCK, true);
}

function inode(
  view: DataView,
  number: number,
  { mode, size, place, links }: { mode: number; size: number; place: number; links: number },
): void {
  // the format's number, the one for plain data in a small inode, is 0; so are owner, group and time
  const at = FIRST_INODE + number * INODE_BYTES;
  view.setUint16(at + 4, mode, true);
  view.setUint16(at + 6, links, true);
  view.setUint32(at + 8, size, true);
  view.setUint32(at + 16, place, true);
  view.setUint32(at + 20, number + 1, true);
}

/** Blocks of entries, each block followed by the names of its own. */
function encodeFolder(entries: readonly Entry[]): Uint8Array<ArrayBuffer> {
  const groups: Entry[][] = [];
  let left = 0;
  for (const entry of entries) {
    const size = ENTRY_BYTES + entry.name.length;
    if (left < size) {
      groups.push([]);
      left = EROFS_BLOCK;
    }
    groups.at(-1)?.push(entry);
    left -= size;
  }
  const folder = new Uint8Array(groups.length * EROFS_BLOCK);
  const view = new DataView(folder.buffer);
  groups.forEach((group, i) => {
    const start = i * EROFS_BLOCK;
    let name = group.length * ENTRY_BYTES;
    group.forEach((entry, k) => {
      const at = start + k * ENTRY_BYTES;
      view.setBigUint64(at, BigInt(entry.inode), true);
      view.setUint16(at + 8, name, true);
      view.setUint8(at + 10, entry.type);
      folder.set(entry.name, start + name);
      name += entry.name.length;
    });
  });
  return folder;
}

function encodeName(name: string): Uint8Array {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length === 0 || bytes.length > 255 || /[\0/]/.test(name)) {
    throw new RangeError(`"${name}" is no name of a file in an image`);
  }
  return bytes;
}

/** The kernel looks names up by halving: as `memcmp` orders them, and the shorter first. */
function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

function blocks(bytes: number): number {
  return Math.ceil(bytes / EROFS_BLOCK);
}

/** Which file system a disk has, by what its first bytes say. */

import { O, openFd, OwnedFd, readFd } from "../sys/fd.ts";

/** Where file systems have their signatures: offset in bytes, and the bytes. */
const SIGNATURES: readonly (readonly [fstype: string, offset: number, ...bytes: number[]])[] = [
  ["xfs", 0, 0x58, 0x46, 0x53, 0x42],
  ["squashfs", 0, 0x68, 0x73, 0x71, 0x73],
  ["ext4", 1080, 0x53, 0xef],
  ["erofs", 1024, 0xe2, 0xe1, 0xf5, 0xe0],
];

const ENOUGH_BYTES = 2048;

/**
 * The type of the file system on a block device or in a file; `undefined` if it is none that guests know. All of the
 * ext family count as the last of it, whose driver takes them.
 *
 * @throws {SysError} it cannot be read
 */
export function filesystemType(path: string): string | undefined {
  using file = new OwnedFd(openFd(path, O.RDONLY));
  const start = new Uint8Array(ENOUGH_BYTES);
  const length = readFd(file.fd, start);
  const found = SIGNATURES.find(([, offset, ...bytes]) =>
    offset + bytes.length <= length && bytes.every((byte, index) => start[offset + index] === byte)
  );
  return found?.[0];
}

/**
 * The file of an initrd, which may have a disk in it: `guest/initrd.ts` says why.
 *
 * The archive's first member then names the place of the disk. What stands before and behind it is the archive: others
 * may have added to it.
 *
 * @module
 */

import { memfd, OwnedFd, writeAllFd } from "../sys/fd.ts";

/** A part of a file, in bytes. */
export interface FilePart {
  readonly offset: number;
  readonly size: number;
}

/** The disk's file system is made of blocks of this size. */
const BLOCK = 4096;

/** A member of an archive: its header in hexadecimal digits, its name with a NUL, its data. */
const DISK_NOTE = /^070701[0-9A-Fa-f]{104}\.kata-disk\0+ *(\d+) +(\d+)\n/;

/** How much of a file is looked at. */
const NOTE_BYTES = 512;

/** Longest archive in front of a disk, which is copied for each machine; a damaged note could name anything. */
const MOST_ARCHIVE_BYTES = 2 ** 30;

/**
 * The disk in an initrd's file; undefined if there is none.
 *
 * @throws {Error} the file is shorter than it says, or is damaged otherwise
 */
export function diskIn(path: string): FilePart | undefined {
  using file = Deno.openSync(path);
  const start = new Uint8Array(NOTE_BYTES);
  const length = file.readSync(start) ?? 0;
  const note = DISK_NOTE.exec(new TextDecoder("latin1").decode(start.subarray(0, length)));
  if (note === null) return undefined;
  const [offset, size] = [Number(note[1]), Number(note[2])];
  const whole = file.statSync().size;
  const aligned = offset % BLOCK === 0 && size % BLOCK === 0 && offset > 0 && size > 0;
  if (!aligned || offset + size > whole || whole - size > MOST_ARCHIVE_BYTES) {
    throw new Error(
      `cannot use the initrd "${path}": its disk should be ${size} bytes at ${offset} of ${whole}; build it again`,
    );
  }
  return { offset, size };
}

/** The archive of an initrd's file, without its disk, as a file in memory. */
export function archiveOf(path: string, disk: FilePart): OwnedFd {
  using file = Deno.openSync(path);
  const { size } = file.statSync();
  const behind = disk.offset + disk.size;
  const archive = new OwnedFd(memfd("initrd"));
  try {
    for (const [from, to] of [[0, disk.offset], [behind, size]] as const) {
      const bytes = new Uint8Array(to - from);
      file.seekSync(from, 0);
      for (let at = 0; at < bytes.length;) at += readSome(file, bytes.subarray(at), path);
      writeAllFd(archive.fd, bytes);
    }
    return archive;
  } catch (error) {
    archive.close();
    throw error;
  }
}

function readSome(file: Deno.FsFile, into: Uint8Array<ArrayBuffer>, path: string): number {
  const count = file.readSync(into);
  if (count === null) throw new Error(`cannot use the initrd "${path}": it became shorter while it was read`);
  return count;
}

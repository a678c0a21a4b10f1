/** What is in a folder, by its descriptor; unlike `Deno.readDir` it finds names that are not UTF-8, too. */

import { decodeName } from "./names.ts";
import { syscall } from "./syscall.ts";

/** An entry of a folder. */
export interface FolderEntry {
  /** as in names.ts */
  readonly name: string;
  /** False also where the file system does not tell: few do not. */
  readonly isFolder: boolean;
}

const BUFFER_BYTES = 32_768;
const SEEK_SET = 0;
/** Offsets in `struct linux_dirent64`, and what `d_type` is for a folder. */
const LENGTH = 16, TYPE = 18, NAME = 19;
const DT_DIR = 4;

/**
 * Everything in a folder but `.` and `..`.
 *
 * @param fd opened for reading; it is read from the beginning
 * @throws {SysError} `ENOENT` if the folder has been removed
 */
export function readFolder(fd: number): FolderEntry[] {
  syscall("lseek", [fd, 0, SEEK_SET], String(fd));
  const buffer = new Uint8Array(BUFFER_BYTES);
  const view = new DataView(buffer.buffer);
  const found: FolderEntry[] = [];
  for (let count; (count = syscall("getdents64", [fd, buffer, buffer.length], String(fd))) > 0;) {
    for (let at = 0; at < count; at += view.getUint16(at + LENGTH, true)) {
      const name = decodeName(buffer.subarray(at + NAME, buffer.indexOf(0, at + NAME)));
      if (name !== "." && name !== "..") found.push({ name, isFolder: view.getUint8(at + TYPE) === DT_DIR });
    }
  }
  return found;
}

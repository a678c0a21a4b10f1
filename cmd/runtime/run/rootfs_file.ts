import { closeFd, O, openat2, openFd, readFd, RESOLVE } from "../../../sys/fd.ts";
import { isErrno } from "../../../sys/errors.ts";

/** Larger than any sane passwd file; what is beyond is not read. */
const MAX_BYTES = 1024 * 1024;

/**
 * Reads a text file of a rootfs with its links resolved inside that rootfs, whatever they point to.
 *
 * @param path relative to the rootfs
 * @returns its text, or "" if it does not exist
 */
export function readInRootfs(rootfs: string, path: string): string {
  const root = openFd(rootfs, O.PATH | O.DIRECTORY);
  try {
    const file = openat2(root, path, { flags: O.RDONLY, resolve: RESOLVE.IN_ROOT });
    try {
      return readAll(file);
    } finally {
      closeFd(file);
    }
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return "";
    throw error;
  } finally {
    closeFd(root);
  }
}

function readAll(fd: number): string {
  const buffer = new Uint8Array(MAX_BYTES);
  let length = 0;
  while (length < buffer.length) {
    const n = readFd(fd, buffer.subarray(length));
    if (n === 0) break;
    length += n;
  }
  return new TextDecoder().decode(buffer.subarray(0, length));
}

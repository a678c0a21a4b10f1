/** Reading and writing small kernel files, with errors that keep their number. */

import { closeFd, O, openFd, readAllFd, writeFd } from "../../../sys/fd.ts";
import { isErrno } from "../../../sys/errors.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The file's text. @throws {SysError} naming the path */
export function readText(path: string): string {
  const fd = openFd(path, O.RDONLY);
  try {
    return decoder.decode(readAllFd(fd));
  } finally {
    closeFd(fd);
  }
}

/** The file's text; undefined where there is none, or what it is about is gone or off. */
export function tryReadText(path: string): string | undefined {
  try {
    return readText(path);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENODEV", "EOPNOTSUPP")) return undefined;
    throw error;
  }
}

/**
 * Writes the text in one call, as the kernel's files want it.
 *
 * @throws {SysError} naming the path or the text
 */
export function writeText(path: string, text: string): void {
  const fd = openFd(path, O.WRONLY);
  try {
    writeFd(fd, encoder.encode(text));
  } finally {
    closeFd(fd);
  }
}

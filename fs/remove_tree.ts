/** Removing a folder without ever reaching into something that is mounted below it. */

import { isErrno } from "../sys/errors.ts";
import { AT, closeFd, O, openat2, RESOLVE, S, statAt, unlinkAt } from "../sys/fd.ts";

/**
 * Removes a folder and what is in it. A live mount below it is somebody's files: the kernel is told not to cross into
 * any, so even one that appears meanwhile is safe. A path that does not exist is no error.
 *
 * @throws {SysError} `EXDEV`, `EBUSY` at a live mount
 */
export function removeTree(path: string): void {
  try {
    removeEntry(AT.FDCWD, path);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
}

function removeEntry(dirfd: number, name: string): void {
  if (statAt(dirfd, name, AT.SYMLINK_NOFOLLOW).type !== S.IFDIR) return unlinkAt(dirfd, name);
  const flags = O.RDONLY | O.DIRECTORY | O.NOFOLLOW;
  // The folder itself may well be reached through mounts; what is in it may not.
  const resolve = dirfd === AT.FDCWD ? 0 : RESOLVE.NO_XDEV | RESOLVE.NO_SYMLINKS | RESOLVE.BENEATH;
  const fd = openat2(dirfd, name, { flags, resolve });
  try {
    for (const entry of [...Deno.readDirSync(`/proc/self/fd/${fd}`)]) removeEntry(fd, entry.name);
  } finally {
    closeFd(fd);
  }
  unlinkAt(dirfd, name, AT.REMOVEDIR);
}

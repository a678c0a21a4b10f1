import { isErrno } from "../../sys/errors.ts";
import { AT, O, openAt, OwnedFd, S } from "../../sys/fd.ts";
import { statAt, statFd, unlinkAt } from "../../sys/file.ts";
import { pathOf } from "./beneath.ts";

/**
 * Removes a folder with everything in it, but nothing behind a mount: what is still mounted below stays, and so do the
 * folders on the way to it. Links are removed, not followed.
 *
 * @param parent folder that it is in
 * @returns whether it is gone
 */
export function removeTree(parent: number, name: string): boolean {
  return remove(parent, name, statFd(parent).mountId);
}

function remove(parent: number, name: string, mount: bigint): boolean {
  try {
    const stat = statAt(parent, name, AT.SYMLINK_NOFOLLOW);
    if (stat.mountId !== mount) return false;
    if (stat.type !== S.IFDIR) {
      unlinkAt(parent, name);
      return true;
    }
    if (!removeContent(parent, name, mount)) return false;
    unlinkAt(parent, name, AT.REMOVEDIR);
    return true;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return true;
    // A mount came, or somebody put something in.
    if (isErrno(error, "EBUSY", "ENOTEMPTY")) return false;
    throw error;
  }
}

function removeContent(parent: number, name: string, mount: bigint): boolean {
  using folder = new OwnedFd(openAt(parent, name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW));
  // It may have become a mount since it was looked at.
  if (statFd(folder.fd).mountId !== mount) return false;
  let empty = true;
  for (const entry of [...Deno.readDirSync(pathOf(folder))]) {
    empty = remove(folder.fd, entry.name, mount) && empty;
  }
  return empty;
}

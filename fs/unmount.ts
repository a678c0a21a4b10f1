/** Taking mounts away. */

import { isErrno } from "../sys/errors.ts";
import { MNT, readMountinfo, umount } from "../sys/mount.ts";

/** Takes away what is mounted last at a path, links not followed. @returns whether something was */
export function detach(path: string): boolean {
  try {
    umount(path, MNT.DETACH | MNT.NOFOLLOW);
    return true;
  } catch (error) {
    if (isErrno(error, "EINVAL", "ENOENT", "ENOTDIR")) return false;
    throw error;
  }
}

/** Takes away every mount on a folder and below it, the last made first. */
export function detachBelow(folder: string): void {
  const points = readMountinfo().map(({ mountPoint }) => mountPoint);
  const below = points.filter((point) => point === folder || point.startsWith(`${folder}/`));
  for (const point of below.reverse()) detach(point);
}

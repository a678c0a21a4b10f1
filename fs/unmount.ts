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

/** Takes away every mount on a folder and below it, the last made first. The folder need not exist. */
export function detachBelow(folder: string): void {
  const path = realPath(folder);
  if (path === undefined) return;
  const points = readMountinfo().map(({ mountPoint }) => mountPoint);
  const below = points.filter((point) => point === path || point.startsWith(`${path}/`));
  for (const point of below.reverse()) detach(point);
}

/** Mounts are listed by their real paths. */
function realPath(path: string): string | undefined {
  try {
    return Deno.realPathSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/**
 * What the guest's kernel remembers of a container's files on the host's share.
 *
 * The server of the share keeps a file open for each name that the kernel has looked up and not forgotten, and the
 * kernel forgets nothing as long as it has memory: after some dozens of containers the server would have no descriptor
 * left for the next one, and the host's mounts of those that are gone would stay in use.
 */

import { forgetUnusedNames, MNT, type MountInfo, readMountinfo, umount } from "../../sys/mount.ts";
import type { Logger } from "../log.ts";

/** Where the share is below the agent's folder. */
const SHARE = "shared/containers";

/** What the host adds to a container's id in the names of its mounts. */
const SUFFIX = /^-[0-9a-f]{16}-/;

/** Forgets what a container that is gone has seen. Never throws: in the worst case it is remembered. */
export function forgetShared(base: string, containerId: string, log: Logger): void {
  const share = `${base}/${SHARE}`;
  try {
    const mounts = readMountinfo();
    for (const path of mountsOf(mounts, share, containerId)) umount(path, MNT.DETACH | MNT.NOFOLLOW);
    // files have no mounts of their own in the guest: their names are the share's
    if (mounts.some((mount) => isShare(mount) && mount.mountPoint === share)) forgetUnusedNames(share);
  } catch (error) {
    log.warn("what a container has seen of the share stays in the cache", {
      id: containerId,
      error: String(error),
    });
  }
}

/**
 * Looks at what the kernel has mounted of the share, so that it finds out what the host has taken away; for hosts that
 * ask for it. What cannot be looked at is gone already. Never throws.
 */
export function lookAtShared(base: string, look: (path: string) => unknown = Deno.statSync): void {
  const share = `${base}/${SHARE}`;
  for (const { mountPoint } of readMountinfo()) {
    if (mountPoint !== share && !mountPoint.startsWith(`${share}/`)) continue;
    try {
      look(mountPoint);
    } catch {
      // as it should be
    }
  }
}

/** Mounts of the host that a container saw, which the kernel has made mounts in the guest; innermost first. */
export function mountsOf(mounts: readonly MountInfo[], share: string, containerId: string): string[] {
  const isOf = (name: string) => {
    const rest = name.slice(containerId.length);
    return name.startsWith(containerId) && (rest === "" || SUFFIX.test(rest));
  };
  return mounts.filter(isShare).map(({ mountPoint }) => mountPoint)
    .filter((path) => path.startsWith(`${share}/`) && isOf(path.slice(share.length + 1).split("/")[0] ?? ""))
    .reverse();
}

function isShare({ fstype }: MountInfo): boolean {
  return fstype === "virtiofs";
}

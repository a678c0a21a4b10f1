/**
 * Facts about the host that decide how a mount is handled.
 *
 * @module
 */

import { type DirectVolume, findVolume } from "../../fs/direct_volume.ts";
import { filesystemType } from "../../fs/filesystem_type.ts";
import { type MountInfo, readMountinfo } from "../../sys/mountinfo.ts";
import { isWithin } from "../../sys/path.ts";
import { statfs } from "../../sys/statfs.ts";
import { PRESENT_VERSION } from "../../sys/tree_snapshot.ts";

/** What a path on the host is; `undefined` = it is not there. */
export type FileKind = "file" | "folder" | "block" | "other" | undefined;

/** The file system that a path is on. */
export interface FileSystemFacts {
  /** as of `FS_MAGIC` */
  readonly magic: number;
  /** 0 = no limit */
  readonly bytes: number;
  /** size of a page, for huge pages */
  readonly blockBytes: number;
}

/** The host's files. */
export interface MountHost {
  /** links followed */
  kindOf(path: string): FileKind;
  /** what a storage driver has left to the machine to mount */
  volumeAt(path: string): DirectVolume | undefined;
  fileSystemOf(path: string): FileSystemFacts | undefined;
  /** owner and permissions of a folder */
  ownerOf(path: string): { readonly gid: number; readonly mode: number };
  /** how many files a volume of the node agent's has in its present version, counted up to a number; 0 = no folder */
  countFiles(folder: string, most: number): number;
  /** where in a folder what is bound on a path comes from; `undefined` = it is nothing of that folder */
  placeWithin(folder: string, bound: string): string | undefined;
  /** type of the file system on a disk; `undefined` = none that guests know */
  filesystemOn(disk: string): string | undefined;
}

/** This host. */
export const MOUNT_HOST: MountHost = {
  kindOf(path) {
    try {
      const stat = Deno.statSync(path);
      if (stat.isFile) return "file";
      if (stat.isDirectory) return "folder";
      return stat.isBlockDevice ? "block" : "other";
    } catch {
      return undefined;
    }
  },
  volumeAt: findVolume,
  fileSystemOf(path) {
    try {
      const { type: magic, blocks, blockSize } = statfs(path);
      return { magic, bytes: blocks * blockSize, blockBytes: blockSize };
    } catch {
      return undefined;
    }
  },
  ownerOf(path) {
    const { gid, mode } = Deno.statSync(path);
    return { gid: gid ?? 0, mode: (mode ?? 0o777) & 0o7777 };
  },
  countFiles: (folder, most) => countFiles(present(folder), most),
  placeWithin: (folder, bound) => placeWithin(folder, bound, readMountinfo()),
  filesystemOn: filesystemType,
};

function present(folder: string): string {
  try {
    return Deno.realPathSync(`${folder}/${PRESENT_VERSION}`);
  } catch {
    return folder;
  }
}

function countFiles(folder: string, most: number): number {
  let count = 0;
  try {
    for (const { name, isFile, isDirectory } of Deno.readDirSync(folder)) {
      if (isFile) count++;
      if (isDirectory) count += countFiles(`${folder}/${name}`, most - count);
      if (count >= most) break;
    }
  } catch {
    // it went away, or is none: the mount has its own words for that
  }
  return count;
}

/** Both are told by the folders of their file system that are mounted. */
export function placeWithin(folder: string, bound: string, mounts: readonly MountInfo[]): string | undefined {
  const mount = mounts.findLast(({ mountPoint }) => mountPoint === bound);
  const above = mounts.filter(({ mountPoint }) => isBelow(folder, mountPoint))
    .reduce<MountInfo | undefined>(
      (longest, next) => (longest?.mountPoint.length ?? 0) > next.mountPoint.length ? longest : next,
      undefined,
    );
  if (mount === undefined || above?.device !== mount.device) return undefined;
  const origin = join(above.root, folder.slice(above.mountPoint.length));
  return isBelow(mount.root, origin) ? mount.root.slice(origin.length).replace(/^\/+/, "") : undefined;
}

function isBelow(path: string, folder: string): boolean {
  return folder === "/" || isWithin(path, folder);
}

/** Without a slash at the end, unless it is the root. */
function join(path: string, below: string): string {
  return `${path}/${below}`.replace(/\/+/g, "/").replace(/(.)\/$/, "$1");
}

import { AT, O, openat2, openFd, OwnedFd, RESOLVE, S } from "../../sys/fd.ts";
import { fchmodAt, fchownAt, statFd } from "../../sys/file.ts";
import { type FolderEntry, readFolder } from "../../sys/folder.ts";
import { isErrno } from "../../sys/errors.ts";
import type { FSGroup } from "../../rpc/gen/agent_pb.ts";
import { FSGroupChangePolicy } from "../../rpc/gen/types_pb.ts";
import { pathOf } from "./beneath.ts";

const UNCHANGED = -1;

/**
 * Gives a volume to a group, as Kubernetes' `fsGroup` wants it: every file belongs to the group and is readable and
 * (unless the volume is read-only) writable for it; folders can be entered, and what is made in them inherits the group.
 *
 * Links are neither changed nor followed.
 *
 * @param root the volume, a place
 * @param readOnly whether the volume is mounted read-only
 */
export function applyFsGroup(root: string, group: FSGroup, readOnly: boolean): void {
  using top = new OwnedFd(openFd(root, O.PATH));
  if (
    group.groupChangePolicy === FSGroupChangePolicy.OnRootMismatch && matches(top.fd, group.groupId, readOnly)
  ) {
    return;
  }
  change(top.fd, group.groupId, readOnly);
}

function wantedBits(isFolder: boolean, readOnly: boolean): number {
  const bits = readOnly ? 0o440 : 0o660;
  return isFolder ? bits | 0o110 | S.ISGID : bits;
}

function matches(fd: number, gid: number, readOnly: boolean): boolean {
  const stat = statFd(fd);
  const bits = wantedBits(stat.type === S.IFDIR, readOnly);
  return stat.gid === gid && (stat.mode & bits) === bits;
}

function change(fd: number, gid: number, readOnly: boolean): void {
  const stat = statFd(fd);
  if (stat.type === S.IFLNK) return;
  const isFolder = stat.type === S.IFDIR;
  // The owner first: a change of owner clears set-id bits.
  fchownAt(fd, "", UNCHANGED, gid, AT.EMPTY_PATH);
  fchmodAt(AT.FDCWD, pathOf(fd), stat.mode | wantedBits(isFolder, readOnly));
  if (!isFolder) return;
  for (const { name } of entriesOf(fd)) {
    using child = openChild(fd, name);
    if (child) change(child.fd, gid, readOnly);
  }
}

function entriesOf(place: number): FolderEntry[] {
  using folder = new OwnedFd(openFd(pathOf(place), O.RDONLY | O.DIRECTORY));
  const entries = readFolder(folder.fd);
  folder.close();
  return entries;
}

function openChild(folder: number, name: string): OwnedFd | undefined {
  try {
    const fd = openat2(folder, name, { flags: O.PATH | O.NOFOLLOW, resolve: RESOLVE.BENEATH });
    return new OwnedFd(fd);
  } catch (error) {
    // Gone since the folder was read.
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

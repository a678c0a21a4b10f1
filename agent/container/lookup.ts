/** Looks up paths in a container's root from outside, without following links out of it. */

import {
  closeFd,
  O,
  openat2,
  openFd,
  readFd,
  readlinkAt,
  RESOLVE,
  S,
  type Stat,
  statFd,
} from "../../sys/fd.ts";
import { isErrno } from "../../sys/errors.ts";
import { readText } from "./cgroup/files.ts";
import { split } from "./plan/steps.ts";

const INSIDE = RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS;
/** As many links as the kernel itself follows. */
const MAX_LINKS = 40;
const MAX_PASSWD_BYTES = 1 << 20;

/** What is at a path of the container; undefined if nothing is, or it cannot be reached. */
export function statInside(root: number, path: string): Stat | undefined {
  const fd = tryOpen(root, path, O.PATH);
  if (fd === undefined) return undefined;
  try {
    return statFd(fd);
  } finally {
    closeFd(fd);
  }
}

function tryOpen(root: number, path: string, flags: number): number | undefined {
  try {
    return openat2(root, path, { flags, resolve: INSIDE });
  } catch (error) {
    if (isErrno(error)) return undefined;
    throw error;
  }
}

/**
 * The path with the links on its way resolved, as far as it exists: where something that is missing has to be
 * made. An image's `/etc/resolv.conf` is often a link to a file that only a running system has.
 */
export function resolveInside(root: number, path: string): string {
  const ahead = split(path);
  let behind: string[] = [];
  for (let links = 0; ahead.length > 0;) {
    const name = ahead.shift() ?? "";
    if (name === "..") {
      behind.pop();
      continue;
    }
    const link = readLinkInside(root, `/${[...behind, name].join("/")}`);
    if (link === undefined) behind.push(name);
    else {
      if (++links > MAX_LINKS) return path;
      if (link.startsWith("/")) behind = [];
      ahead.unshift(...split(link));
    }
  }
  return `/${behind.join("/")}`;
}

function readLinkInside(root: number, path: string): string | undefined {
  const fd = tryOpen(root, path, O.PATH | O.NOFOLLOW);
  if (fd === undefined) return undefined;
  try {
    return statFd(fd).type === S.IFLNK ? readlinkAt(fd, "") : undefined;
  } finally {
    closeFd(fd);
  }
}

/**
 * The home folder of a user according to the container's `/etc/passwd`; undefined if that does not say.
 *
 * What is at this path is the image's or the container's choice. A device is not even opened; a file that says it is
 * empty is one that the kernel makes up, which may have no end, or be used up by reading.
 */
export function homeInside(root: number, uid: number): string | undefined {
  const place = tryOpen(root, "/etc/passwd", O.PATH);
  if (place === undefined) return undefined;
  try {
    const { type, size } = statFd(place);
    if (type !== S.IFREG || size <= 0 || size > MAX_PASSWD_BYTES) return undefined;
    return homeIn(new TextDecoder().decode(readPlace(place, size)), uid);
  } catch (error) {
    if (isErrno(error)) return undefined;
    throw error;
  } finally {
    closeFd(place);
  }
}

/** The first `size` bytes of a file that is open as a place; another process may hold it, or write to it meanwhile. */
function readPlace(place: number, size: number): Uint8Array {
  const fd = openFd(`/proc/self/fd/${place}`, O.RDONLY | O.NONBLOCK | O.NOCTTY);
  try {
    const buffer = new Uint8Array(size);
    let length = 0;
    for (let count; (count = readFd(fd, buffer.subarray(length))) > 0;) length += count;
    return buffer.subarray(0, length);
  } finally {
    closeFd(fd);
  }
}

/** Mounts on the way to the file whose answers come from a process, or from another machine: perhaps never. */
const ANSWERED_BY_OTHERS =
  /^\S+ \S+ \S+ \S+ (?:\/|\/etc|\/etc\/passwd) [^\n]* - (?:fuse|nfs|cifs|smb3|9p|ceph|afs|autofs)/m;

/**
 * Whether `homeInside` might never end in a process's root. What is mounted for a container by the agent is the
 * machine's; but a container may mount what it answers for itself, and then may not.
 */
export function mayNeverAnswer(pid: number): boolean {
  return ANSWERED_BY_OTHERS.test(readText(`/proc/${pid}/mountinfo`));
}

/** The home folder in the first line for the user, of the form `name:password:uid:gid:comment:home:shell`. */
export function homeIn(passwd: string, uid: number): string | undefined {
  for (const line of passwd.split("\n")) {
    const [, , id, , , home] = line.split(":");
    if (id === String(uid) && home) return home;
  }
  return undefined;
}

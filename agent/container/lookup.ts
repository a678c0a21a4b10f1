/** Looks up paths in a container's root from outside, without following links out of it. */

import { closeFd, O, openat2, readAllFd, readlinkAt, RESOLVE, S, type Stat, statFd } from "../../sys/fd.ts";
import { isErrno } from "../../sys/errors.ts";
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

/** The home folder of a user according to the container's `/etc/passwd`; undefined if that does not say. */
export function homeInside(root: number, uid: number): string | undefined {
  // The image decides what is at this path: the open must not block, and the size is limited.
  const fd = tryOpen(root, "/etc/passwd", O.RDONLY | O.NONBLOCK | O.NOCTTY);
  if (fd === undefined) return undefined;
  try {
    const { type, size } = statFd(fd);
    if (type !== S.IFREG || size > MAX_PASSWD_BYTES) return undefined;
    return homeIn(new TextDecoder().decode(readAllFd(fd)), uid);
  } catch (error) {
    if (isErrno(error)) return undefined;
    throw error;
  } finally {
    closeFd(fd);
  }
}

/** The home folder in the first line for the user, of the form `name:password:uid:gid:comment:home:shell`. */
export function homeIn(passwd: string, uid: number): string | undefined {
  for (const line of passwd.split("\n")) {
    const [, , id, , , home] = line.split(":");
    if (id === String(uid) && home) return home;
  }
  return undefined;
}

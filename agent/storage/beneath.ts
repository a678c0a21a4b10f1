/**
 * Files below one folder, wherever links may point.
 *
 * What lies below the agent's folder is partly written by containers (through their root filesystems on a share), so a
 * path that the host sends may lead through a link that a container has planted. The kernel itself is told to refuse
 * links on the way: there is no moment between a check and a use.
 */

import { isErrno } from "../../sys/errors.ts";
import { O, openat2, openFd, OwnedFd, RESOLVE } from "../../sys/fd.ts";
import { mkdirAt } from "../../sys/file.ts";
import { invalidArgument } from "../errors.ts";

/** No link is followed, none of `/proc`'s either, and nothing above the folder is reached. */
const CONFINED = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS;

/**
 * Names of the way from `base` to `path`; empty if they are the same.
 *
 * @param what names the path in the message
 * @throws {RpcError} `InvalidArgument` if the path is not absolute, not below `base`, or has `.` or `..` in it
 */
export function namesBelow(base: string, path: string, what: string): readonly string[] {
  const inside = path === base || path.startsWith(base + "/");
  const names = inside ? path.slice(base.length).split("/").filter((name) => name !== "") : [];
  if (!inside || path.includes("\0") || names.some((name) => name === "." || name === "..")) {
    throw invalidArgument(`${what} must be a path below "${base}" without "." and "..": it is "${path}"`);
  }
  return names;
}

/** The path of an open file, good for system calls that know nothing of descriptors. */
export function pathOf(fd: OwnedFd | number): string {
  return `/proc/self/fd/${typeof fd === "number" ? fd : fd.fd}`;
}

/**
 * Opens a file or folder below `base` as a place (`O_PATH`).
 *
 * @throws {SysError} `ENOENT`, or `ELOOP` if a link is on the way
 */
export function openBeneath(base: string, names: readonly string[], flags: number = O.PATH): OwnedFd {
  using root = new OwnedFd(openFd(base, O.PATH | O.DIRECTORY));
  const relative = names.length === 0 ? "." : names.join("/");
  return new OwnedFd(openat2(root.fd, relative, { flags, resolve: CONFINED }));
}

/**
 * Opens a folder below `base` as a place, and makes it and its parents (0755) where they are missing.
 *
 * @returns the folder, and whether its last component was made by this call
 */
export function makeFolderBeneath(
  base: string,
  names: readonly string[],
): { folder: OwnedFd; made: boolean } {
  let made = false;
  using steps = new DisposableStack();
  let folder = new OwnedFd(openFd(base, O.PATH | O.DIRECTORY));
  for (const name of names) {
    steps.use(folder);
    made = tryMakeFolder(folder.fd, name);
    folder = new OwnedFd(openat2(folder.fd, name, { flags: O.PATH | O.DIRECTORY, resolve: CONFINED }));
  }
  return { folder, made };
}

function tryMakeFolder(parent: number, name: string): boolean {
  try {
    mkdirAt(parent, name, 0o755);
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  }
}

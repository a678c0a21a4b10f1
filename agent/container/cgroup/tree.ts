/**
 * Walks a cgroup and those in it. A container that may write to its cgroup decides how many there are and how deep they
 * lie: deeper than a path can be long. So the walk goes from folder to folder, and holds one descriptor at a time.
 */

import { closeFd, O, openAt, openFd, readAllFd } from "../../../sys/fd.ts";
import { isErrno } from "../../../sys/errors.ts";
import { readFolder } from "../../../sys/folder.ts";

/** What is done on the way. */
export interface Visit {
  /** In a folder, before those in it. @returns true to end the walk here */
  enter?(folder: number, depth: number): boolean | void;
  /** In the folder above, when all in it was visited. */
  leave?(above: number, name: string): void;
}

const FOLDER = O.RDONLY | O.DIRECTORY;

/**
 * Visits a folder and all below it, outer ones first. What is removed meanwhile is left out.
 *
 * @throws {SysError} `ENOENT` if there is no such folder
 */
export function walk(folder: string, { enter, leave }: Visit): void {
  let at = openFd(folder, FOLDER);
  try {
    const ahead = [{ name: "", inner: foldersIn(at) }];
    if (enter?.(at, 0)) return;
    for (let here; (here = ahead.at(-1)) !== undefined;) {
      const name = here.inner.pop();
      const next = name === undefined ? ".." : name;
      if (name === undefined) {
        ahead.pop();
        if (ahead.length === 0) return;
      }
      const moved = tryOpen(at, next);
      if (moved === undefined) continue;
      closeFd(at);
      at = moved;
      if (name === undefined) leave?.(at, here.name);
      else {
        ahead.push({ name, inner: foldersIn(at) });
        if (enter?.(at, ahead.length - 1)) return;
      }
    }
  } finally {
    closeFd(at);
  }
}

/** undefined: it is gone. What is open can always be left by way of `..`. */
function tryOpen(at: number, name: string): number | undefined {
  try {
    return openAt(at, name, FOLDER);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENODEV")) return undefined;
    throw error;
  }
}

function foldersIn(folder: number): string[] {
  try {
    return readFolder(folder).flatMap(({ name, isFolder }) => isFolder ? [name] : []);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENODEV")) return [];
    throw error;
  }
}

/** Ids of the processes that a cgroup lists; a threaded one has no such list, they are in the one above. */
export function processesIn(folder: number): string[] {
  let fd: number;
  try {
    fd = openAt(folder, "cgroup.procs", O.RDONLY);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENODEV")) return [];
    throw error;
  }
  try {
    return new TextDecoder().decode(readAllFd(fd)).split("\n").filter((line) => line !== "");
  } catch (error) {
    if (isErrno(error, "ENODEV", "EOPNOTSUPP")) return [];
    throw error;
  } finally {
    closeFd(fd);
  }
}

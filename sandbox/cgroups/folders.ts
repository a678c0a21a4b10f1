/**
 * Making cgroups, moving processes and threads into them, and removing them.
 *
 * @module
 */

import { isErrno } from "../../sys/errors.ts";
import { AT, O, openFd, OwnedFd, writeAllFd } from "../../sys/fd.ts";
import { mkdirAt } from "../../sys/file.ts";
import { dirname } from "../../sys/path.ts";
import { delay } from "../../sys/timer.ts";
import { type Log, reason } from "../log/log.ts";

/** How long the processes of cgroups may take to be gone, in milliseconds. */
const EMPTY_TIMEOUT_MS = 5_000;
const POLL_MS = 10;

/**
 * Marks a folder that was made on the way to a sandbox's cgroup, and goes with the last sandbox in it: the mode's bit
 * that limits who may remove entries, which for folders of root means nothing else.
 */
const MARK = 0o1000;
const MODE = 0o755;

/** How often a folder is made anew whose parent somebody else has just removed. */
const MAX_TRIES = 100;

/**
 * Makes a cgroup, and those above it that nobody has made yet.
 *
 * @param root of the hierarchy
 * @throws {Error}
 */
export function makeCgroup(root: string, folder: string): void {
  const parts = folder.slice(root.length + 1).split("/");
  const folders = parts.map((_, index) => `${root}/${parts.slice(0, index + 1).join("/")}`);
  for (let tries = 1;; tries++) {
    try {
      for (const each of folders) makeOne(each, each === folder ? MODE : MODE | MARK);
      return;
    } catch (error) {
      if (tries === MAX_TRIES || !isErrno(error, "ENOENT")) throw error;
    }
  }
}

function makeOne(folder: string, mode: number): void {
  try {
    mkdirAt(AT.FDCWD, folder, mode);
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  }
}

/** Moves a process with all of its threads; that may wait for other processors, so it is done aside. */
export function moveProcess(folder: string, pid: number): Promise<void> {
  return Deno.writeTextFile(`${folder}/cgroup.procs`, String(pid), { create: false });
}

/**
 * Moves one thread; one that has ended meanwhile is not missed.
 *
 * @param file the cgroup's list of threads
 * @throws {Error}
 */
export function moveThread(file: string, tid: number): void {
  using list = new OwnedFd(openFd(file, O.WRONLY));
  try {
    writeAllFd(list.fd, new TextEncoder().encode(String(tid)));
  } catch (error) {
    if (!isErrno(error, "ESRCH")) throw error;
  }
}

/** Ids of its processes. */
export function processesIn(folder: string): number[] {
  try {
    const text = Deno.readTextFileSync(`${folder}/cgroup.procs`);
    // 0 is a process that cannot be seen from here
    return text.split("\n").map(Number).filter((pid) => pid > 0);
  } catch {
    // it is gone, or a cgroup of threads only: their processes are those of the cgroup above
    return [];
  }
}

/**
 * Removes cgroups, and those above that were made for them if nobody else is in them. Processes that are left in them
 * are moved to the next cgroup above that stays and takes them. Does nothing for what is gone already; what cannot be removed is
 * told.
 *
 * @param folders outermost first
 */
export async function removeCgroups(folders: readonly string[], log: Log): Promise<void> {
  const deadline = performance.now() + EMPTY_TIMEOUT_MS;
  for (const folder of [...folders].reverse()) {
    for (let left; (left = removeOne(folder)) !== undefined;) {
      if (performance.now() > deadline) {
        log.write("warning", `cgroup "${folder}" cannot be removed: ${reason(left)}`);
        break;
      }
      for (const pid of processesIn(folder)) await moveUp(folder, pid);
      await delay(POLL_MS);
    }
    removeMarked(dirname(folder));
  }
}

/** The first that others use, or have made, ends it. */
function removeMarked(folder: string): void {
  if (isMarked(folder) && removeOne(folder) === undefined) removeMarked(dirname(folder));
}

function isMarked(folder: string): boolean {
  try {
    return ((Deno.statSync(folder).mode ?? 0) & MARK) !== 0 && Deno.statSync(`${folder}/cgroup.procs`).isFile;
  } catch {
    return false;
  }
}

/** @returns why it is still there */
function removeOne(folder: string): unknown {
  try {
    Deno.removeSync(folder);
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? undefined : error;
  }
  return undefined;
}

/** One that has ended meanwhile needs no place; if it has not, the next round tries again. */
async function moveUp(folder: string, pid: number): Promise<void> {
  const above = dirname(folder);
  if (above === folder || above === "/") return;
  if (isMarked(above)) return await moveUp(above, pid);
  await moveProcess(above, pid).catch((error) =>
    error instanceof Deno.errors.NotFound ? undefined : moveUp(above, pid)
  );
}

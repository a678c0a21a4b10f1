/**
 * The cgroup on the host that a sandbox's processes are in, when it is asked for (`sandbox_cgroup_only`).
 *
 * The owner enters it before it starts anything, so that the machine and all helpers are born in it: they are counted
 * by, and have the limits of, the pod's cgroup above. No limit is written here. Only the one hierarchy of version 2 is
 * used. Its folders are made directly, also where the path is in systemd's form.
 *
 * @module
 */

import { Code, RpcError } from "../rpc/errors.ts";
import { dirname } from "../sys/path.ts";
import { readMountinfo } from "../sys/mountinfo.ts";
import { delay } from "../sys/timer.ts";
import { type Log, reason } from "./log.ts";

/** How long the processes of a cgroup may take to be gone, in milliseconds. */
const EMPTY_TIMEOUT_MS = 1_000;
const POLL_MS = 10;

/** Folder of cgroups whose path is relative. */
const RELATIVE_FOLDER = "vc";

/** How to enter a sandbox's cgroup. */
export interface HostCgroupOptions {
  /** `linux.cgroupsPath` of the container that the sandbox is made for */
  readonly cgroupsPath: string | undefined;
  readonly log: Log;
  /** keeps the folders that are about to be made, outermost first; `removeCgroups` is given them */
  save(folders: readonly string[]): Promise<void>;
  /** the folder that cgroups are made in; default: where version 2 is mounted */
  readonly root?: string;
  /** who enters it; default: this process */
  readonly pid?: number;
}

/** A cgroup that a process is in until this is disposed of. */
export class HostCgroup implements AsyncDisposable {
  /** its folder */
  readonly path: string;
  readonly #folders: readonly string[];
  readonly #home: string;
  readonly #pid: number;
  readonly #log: Log;

  private constructor(folders: readonly string[], home: string, pid: number, log: Log) {
    this.path = folders.at(-1) ?? "";
    this.#folders = folders;
    this.#home = home;
    this.#pid = pid;
    this.#log = log;
  }

  /**
   * Makes the cgroup and moves the process into it.
   *
   * @throws {RpcError} `INVALID_ARGUMENT` the path is missing or leads out, `FAILED_PRECONDITION` it cannot be made or
   * entered, or has processes already
   */
  static async enter(
    { cgroupsPath, log, save, root, pid = Deno.pid }: HostCgroupOptions,
  ): Promise<HostCgroup> {
    const relative = hostCgroupPath(cgroupsPath);
    const mount = cgroup2Mount();
    const path = `${root ?? mount}/${relative}`;
    // before anything is saved: what is saved is emptied by a clean-up
    if (pidsIn(path).length > 0) throw unusable(path, "it has processes already");
    const folders = ownFolders(root ?? mount, relative);
    await save(folders);
    const cgroup = new HostCgroup(folders, `${mount}${cgroupOf(pid)}`, pid, log);
    try {
      Deno.mkdirSync(path, { recursive: true });
      moveInto(path, pid);
    } catch (error) {
      await removeCgroups(folders, log);
      throw unusable(path, reason(error));
    }
    return cgroup;
  }

  /** The process returns to where it was; others that are left go to the cgroup above those that were made. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      moveInto(this.#home, this.#pid);
    } catch (error) {
      this.#log.write("info", `process ${this.#pid} cannot return to "${this.#home}": ${reason(error)}`);
    }
    await removeCgroups(this.#folders, this.#log);
  }
}

/**
 * The place of a sandbox's cgroup below the root: the last part of a path gets a prefix, by which it is not the one
 * that the pod's containers would have on the host; `slice:prefix:name` is a scope in its slice.
 *
 * @throws {RpcError} `INVALID_ARGUMENT`
 */
export function hostCgroupPath(cgroupsPath: string | undefined): string {
  if (cgroupsPath === undefined || cgroupsPath === "") {
    throw invalid("sandbox_cgroup_only needs a cgroup: linux.cgroupsPath of the specification is empty");
  }
  const [slice = "", prefix = "", name = "", ...more] = cgroupsPath.split(":");
  const isSystemd = name !== "" && more.length === 0 && !cgroupsPath.includes("/");
  if (isSystemd && !/^(|.+\.slice)$/.test(slice)) {
    throw invalid(
      `linux.cgroupsPath "${cgroupsPath}" names "${slice}", which is not a slice: it must end with .slice`,
    );
  }
  if (isSystemd) {
    return [...sliceFolders(slice), `${prefix === "" ? "" : `${prefix}-`}${name}.scope`].join("/");
  }
  const parts = cgroupsPath.split("/").filter((part) => part !== "" && part !== ".");
  const last = parts.pop();
  if (last === undefined || last === ".." || parts.includes("..")) {
    throw invalid(`linux.cgroupsPath must name a place below the root: it is "${cgroupsPath}"`);
  }
  return [...cgroupsPath.startsWith("/") ? [] : [RELATIVE_FOLDER], ...parts, `kata_${last}`].join("/");
}

/** `a-b.slice` is in `a.slice`. */
function sliceFolders(slice: string): string[] {
  if (slice === "-.slice") return [];
  const words = (slice || "system.slice").slice(0, -".slice".length).split("-");
  return words.map((_, index) => `${words.slice(0, index + 1).join("-")}.slice`);
}

function invalid(message: string): RpcError {
  return new RpcError(Code.InvalidArgument, message);
}

function unusable(path: string, why: string): RpcError {
  return new RpcError(
    Code.FailedPrecondition,
    `sandbox_cgroup_only: cgroup "${path}" cannot be used: ${why}`,
  );
}

/** Which folders go with the sandbox: its own, and those above it that nobody has made yet. */
function ownFolders(root: string, relative: string): string[] {
  const parts = relative.split("/");
  const all = parts.map((_, index) => `${root}/${parts.slice(0, index + 1).join("/")}`);
  return all.filter((folder, index) =>
    index === parts.length - 1 || !isThere(folder) || folder === `${root}/${RELATIVE_FOLDER}`
  );
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * Removes a sandbox's cgroup, and those above that were made for it if nobody else is in them. Does nothing for what is
 * gone already; what cannot be removed is told.
 *
 * @param folders outermost first
 */
export async function removeCgroups(folders: readonly string[], log: Log): Promise<void> {
  const [own, ...above] = [...folders].reverse();
  if (own === undefined) return;
  const deadline = performance.now() + EMPTY_TIMEOUT_MS;
  for (let left; (left = removeOne(own)) !== undefined;) {
    if (performance.now() > deadline) {
      log.write("warning", `cgroup "${own}" cannot be removed: ${reason(left)}`);
      return;
    }
    moveOut(own, dirname(folders[0] ?? own));
    await delay(POLL_MS);
  }
  // the first that others use ends it
  for (const folder of above) if (removeOne(folder) !== undefined) return;
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

/** Moves all processes to the cgroup above those that go, or to the root where that one must have none. */
function moveOut(folder: string, to: string): void {
  for (const pid of pidsIn(folder)) {
    try {
      moveInto(to, pid);
    } catch {
      try {
        moveInto(cgroup2Mount(), pid);
      } catch {
        // it has ended; if not, the next round tries again
      }
    }
  }
}

function pidsIn(folder: string): number[] {
  try {
    const text = Deno.readTextFileSync(`${folder}/cgroup.procs`);
    // 0 is a process that cannot be seen from here
    return text.split("\n").map(Number).filter((pid) => pid > 0);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function moveInto(folder: string, pid: number): void {
  Deno.writeTextFileSync(`${folder}/cgroup.procs`, String(pid), { create: false });
}

function cgroup2Mount(): string {
  const mount = readMountinfo().find(({ fstype }) => fstype === "cgroup2");
  if (mount !== undefined) return mount.mountPoint;
  throw new RpcError(
    Code.FailedPrecondition,
    "sandbox_cgroup_only needs cgroups of version 2: no cgroup2 file system is mounted on this host",
  );
}

/** Where a process is, from the mount of version 2 on. */
function cgroupOf(pid: number): string {
  const text = Deno.readTextFileSync(`/proc/${pid}/cgroup`);
  const path = /^0::(\/.*)$/m.exec(text)?.[1] ?? "/";
  return path === "/" ? "" : path;
}

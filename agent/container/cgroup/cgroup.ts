/** A container's cgroup (version 2): made, limited, frozen, killed, removed. */

import { AT, closeFd, dupFd, mkdirAt, O, openFd, OwnedFd, unlinkAt } from "../../../sys/fd.ts";
import { isErrno } from "../../../sys/errors.ts";
import { killProcess } from "../../../sys/process.ts";
import { SIGNALS } from "../../../sys/signals.ts";
import { SpecError } from "../../../oci/check.ts";
import type { DeviceRule, Resources } from "../../../oci/spec.ts";
import { DeviceFilter } from "../../../oci/devices/filter.ts";
import { readText, tryReadText, writeText } from "./files.ts";
import { resourceWrites } from "./resources.ts";
import { type CgroupStats, readStats } from "./stats.ts";
import { processesIn, walk } from "./tree.ts";
import { valueOf, waitForText } from "./watch.ts";

/** Where version 2 of cgroups is mounted. */
export const CGROUP_ROOT = "/sys/fs/cgroup";

const FOLDER_MODE = 0o755;
/** How long processes may take to freeze; one in uninterruptible sleep does not. */
const FREEZE_TIMEOUT_MS = 10_000;
/** Folders that a service manager owns: only their creator removes them. */
const SYSTEMD_UNIT = /\.(slice|scope|service)$/;
/** How often the same process may be found again by a walk that kills what it finds. */
const MAX_KILL_ROUNDS = 100;

/**
 * The folder of a `linux.cgroupsPath` below the root. What has colons (`slice:prefix:name`, meant for
 * systemd) is read as a path with that many parts.
 *
 * @param id what the cgroup is called when no path is given
 * @throws {SpecError} for a path that would leave the root
 */
export function cgroupPathOf(cgroupsPath: string | undefined, id: string): string {
  if (!cgroupsPath) return id;
  const parts = cgroupsPath.split(/[/:]/).filter((part) => part !== "" && part !== ".");
  if (parts.length === 0 || parts.includes("..")) {
    throw new SpecError("linux.cgroupsPath", `must name a place below the root: it is "${cgroupsPath}"`);
  }
  return parts.join("/");
}

/** One cgroup, which this object has made and will remove. */
export class Cgroup {
  /** The cgroup's folder. */
  readonly folder: string;
  /** Folders above it that go with it when nothing else is in them, outermost first. */
  readonly #above: readonly string[];
  #fd: number;
  readonly #devices: DeviceFilter;

  private constructor(folder: string, above: readonly string[]) {
    this.folder = folder;
    this.#above = above;
    this.#fd = openFd(folder, O.RDONLY | O.DIRECTORY);
    this.#devices = new DeviceFilter(this.#fd);
  }

  /**
   * Makes the cgroup, with the folders above it, each of which passes on all the controllers that it has.
   *
   * @param root where version 2 is mounted, or a cgroup that all others are made in
   * @param path below the root, from `cgroupPathOf`
   * @throws {Error} if there is such a cgroup with processes in it
   * @throws {SysError}
   */
  static create(root: string, path: string): Cgroup {
    const above: string[] = [];
    let folder = root;
    let isNew = false;
    try {
      for (const name of path.split("/")) {
        passOnControllers(folder);
        if (folder !== root && (isNew || !SYSTEMD_UNIT.test(folder))) above.push(folder);
        folder = `${folder}/${name}`;
        isNew = makeFolder(folder);
      }
      if (!isNew) replace(folder);
      return new Cgroup(folder, above);
    } catch (error) {
      removeFolders(isNew ? [...above, folder] : above);
      throw error;
    }
  }

  /** A descriptor of the folder, for creating processes in it. Owned by this object. */
  get fd(): number {
    return this.#fd;
  }

  /**
   * Sets limits.
   *
   * @param at JSON path of the resources in messages
   * @throws {SpecError} for a value that makes no sense, or that this kernel has no controller for
   */
  apply(resources: Resources, at = "linux.resources"): void {
    const { memory } = resources;
    const writes = resourceWrites(resources, at);
    if (memory?.checkBeforeUpdate && memory.limit !== undefined && memory.limit > 0) {
      const used = BigInt(readText(`${this.folder}/memory.current`).trim());
      if (used > memory.limit) {
        throw new SpecError(`${at}.memory.limit`, `is below what is in use, ${used}: it is ${memory.limit}`);
      }
    }
    for (const { path, file, value, instead, optional = false, attempt = false } of writes) {
      if (this.#tryWrite(path, file, value, attempt)) continue;
      if (instead && this.#tryWrite(path, instead.file, instead.value)) continue;
      if (optional) continue;
      const missing = instead?.file ?? file;
      throw new SpecError(path, `is not supported: this kernel gives a cgroup no file "${missing}"`);
    }
  }

  /**
   * Sets which devices its processes may use: the default devices, and those that the rules allow. Replaces
   * earlier rules.
   *
   * @param at JSON path of the rules in messages
   * @throws {SpecError}
   */
  filterDevices(rules: readonly DeviceRule[], at = "linux.resources.devices"): void {
    this.#devices.apply(rules, at);
  }

  /** @returns false if there is no such file */
  #tryWrite(path: string, file: string, value: string, attempt = false): boolean {
    try {
      writeText(`${this.folder}/${file}`, value);
      return true;
    } catch (error) {
      if (isErrno(error, "ENOENT")) return false;
      if (attempt && isErrno(error, "EINVAL")) return true;
      const code = isErrno(error) ? error.code : String(error);
      throw new SpecError(path, `cannot be set: writing "${value}" to "${file}" gives ${code}`);
    }
  }

  /** Ids of all processes in it and below, as the agent sees them. */
  pids(): number[] {
    const found: number[] = [];
    walk(this.folder, { enter: (folder) => void found.push(...processesIn(folder).map(Number)) });
    return found;
  }

  /**
   * Opens the folder of the cgroup that a process has moved to, one that the container made in this one.
   *
   * @returns undefined if the process is in this one, or in none of them
   */
  openInner(pid: number): OwnedFd | undefined {
    let found: OwnedFd | undefined;
    walk(this.folder, {
      enter: (folder, depth) => {
        if (!processesIn(folder).includes(String(pid))) return false;
        if (depth > 0) found = new OwnedFd(dupFd(folder));
        return true;
      },
    });
    return found;
  }

  /** What it has used. */
  stats(): CgroupStats {
    return readStats(this.folder);
  }

  /** Freezes all processes. @throws {Error} if they do not freeze in time; they keep running then */
  async freeze(): Promise<void> {
    writeText(`${this.folder}/cgroup.freeze`, "1");
    if (await this.#waitForEvent("frozen", 1n, FREEZE_TIMEOUT_MS)) return;
    this.thaw();
    throw new Error(`the processes of cgroup "${this.folder}" did not freeze within ${FREEZE_TIMEOUT_MS} ms`);
  }

  /** Thaws them. */
  thaw(): void {
    writeText(`${this.folder}/cgroup.freeze`, "0");
  }

  /** Kills every process in it and below, also those that are just being forked. Does not wait. */
  kill(): void {
    try {
      writeText(`${this.folder}/cgroup.kill`, "1");
    } catch (error) {
      if (!isErrno(error, "ENOENT", "EOPNOTSUPP")) throw error;
      this.#killOneByOne();
    }
  }

  /** For kernels before 5.14: again and again, as processes may have children between two looks. */
  #killOneByOne(): void {
    for (let round = 0; round < MAX_KILL_ROUNDS; round++) {
      const pids = this.pids();
      if (pids.length === 0) return;
      for (const pid of pids) signalUnlessGone(pid, SIGNALS.SIGKILL);
    }
  }

  /** Whether it has processes. */
  get populated(): boolean {
    return valueOf(tryReadText(`${this.folder}/cgroup.events`) ?? "", "populated") === 1n;
  }

  /**
   * Waits until its last process has ended.
   *
   * @param timeoutMs 0 = for ever
   * @returns false if that takes longer
   */
  empty(timeoutMs: number): Promise<boolean> {
    return this.#waitForEvent("populated", 0n, timeoutMs);
  }

  #waitForEvent(key: string, value: bigint, timeoutMs: number): Promise<boolean> {
    return waitForText(`${this.folder}/cgroup.events`, (text) => valueOf(text, key) === value, timeoutMs);
  }

  /**
   * Removes it, with what a container has made in it and the folders above that were made for it.
   *
   * @throws {SysError} `EBUSY` if it has processes
   */
  remove(): void {
    if (this.#fd < 0) return;
    removeTree(this.folder);
    this.#devices[Symbol.dispose]();
    closeFd(this.#fd);
    this.#fd = -1;
    removeFolders(this.#above);
  }
}

/** Sends a signal; that the process has ended meanwhile is no error. */
export function signalUnlessGone(pid: number, signal: number): void {
  try {
    killProcess(pid, signal);
  } catch (error) {
    if (!isErrno(error, "ESRCH")) throw error;
  }
}

/** Lets the cgroups in a folder use the controllers that the folder has. */
function passOnControllers(folder: string): void {
  const words = (file: string) =>
    readText(`${folder}/${file}`).trim().split(/\s+/).filter((word) => word !== "");
  const enabled = new Set(words("cgroup.subtree_control"));
  const missing = words("cgroup.controllers").filter((name) => !enabled.has(name));
  if (missing.length === 0) return;
  const file = `${folder}/cgroup.subtree_control`;
  try {
    writeText(file, missing.map((name) => `+${name}`).join(" "));
  } catch (error) {
    if (!isErrno(error)) throw error;
    // One that cannot be passed on must not take the others along; who needs it will be told that its file is
    // missing.
    for (const name of missing) tryPassOn(file, name);
  }
}

function tryPassOn(file: string, controller: string): void {
  try {
    writeText(file, `+${controller}`);
  } catch (error) {
    if (!isErrno(error)) throw error;
  }
}

/** @returns whether it is new */
function makeFolder(folder: string): boolean {
  try {
    mkdirAt(AT.FDCWD, folder, FOLDER_MODE);
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  }
}

/** An empty cgroup of the same name is a leftover, whose limits must not hold for the new one. */
function replace(folder: string): void {
  try {
    removeTree(folder);
  } catch (error) {
    if (isErrno(error, "EBUSY")) throw new Error(`cgroup "${folder}" exists and has processes`);
    throw error;
  }
  mkdirAt(AT.FDCWD, folder, FOLDER_MODE);
}

/** Removes a cgroup with those in it. @throws {SysError} `EBUSY` if one has processes */
function removeTree(folder: string): void {
  try {
    walk(folder, { leave: (above, name) => removeFolder(name, above) });
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
  removeFolder(folder);
}

function removeFolder(folder: string, at: number = AT.FDCWD): void {
  try {
    unlinkAt(at, folder, AT.REMOVEDIR);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
}

/** Removes folders that others may use meanwhile, inner ones first, and stops at the first that is in use. */
function removeFolders(folders: readonly string[]): void {
  try {
    for (const folder of folders.toReversed()) removeFolder(folder);
  } catch (error) {
    if (!isErrno(error, "EBUSY", "ENOTEMPTY")) throw error;
  }
}

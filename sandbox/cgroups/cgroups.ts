/**
 * The cgroups of a sandbox on the host.
 *
 * With `sandbox_cgroup_only` there is one, below the pod's: the owner enters it before it starts anything, so that the
 * machine and all helpers start in it, are counted by the pod, and have its limits.
 *
 * Otherwise there are two. What the pod has asked for is what its virtual CPUs do: their threads are in the sandbox's
 * cgroup below the pod's. What else a machine takes is in the overhead cgroup, which nothing limits. Version 2 cannot
 * have threads of one process in different places; there the threads are in a cgroup below the overhead, and the pod's
 * cgroup is left alone: the whole process in it would count, and be limited, by what was meant for the pod.
 *
 * No limit is written but the CPUs and memory nodes of the containers, and which devices may be used. Folders are made
 * directly, also where the path is in systemd's form.
 *
 * @module
 */

import { Code, RpcError } from "../../rpc/errors.ts";
import { dirname } from "../../sys/path.ts";
import { type Log, reason } from "../log/log.ts";
import { cpuNumbers } from "../machine/sizing.ts";
import { Confinement, type Place, prepareCgroup } from "./confinement.ts";
import { makeCgroup, moveProcess, moveThread, processesIn, removeCgroups } from "./folders.ts";
import { type Hierarchies, type Hierarchy, hostHierarchies } from "./hierarchies.ts";
import { overheadPath, sandboxCgroupPath } from "./path.ts";

/** What CPUs and memory nodes a container is bound to, as lists such as "0-3,7". */
export interface CpuBinding {
  readonly cpus?: string | undefined;
  readonly mems?: string | undefined;
}

/** What cgroups a sandbox gets. */
export interface CgroupOptions {
  readonly id: string;
  /** `linux.cgroupsPath` of the container that the sandbox is made for */
  readonly cgroupsPath: string | undefined;
  /** whether all processes are in the sandbox's cgroup; a failure is the sandbox's then */
  readonly only: boolean;
  readonly log: Log;
  /** default: those of this host */
  readonly hierarchies?: Hierarchies;
  /** who enters them; default: this process */
  readonly pid?: number;
}

/** The cgroups of a sandbox. Disposing of them removes them. */
export interface SandboxCgroups extends AsyncDisposable {
  /** what a clean-up has to remove, outermost first; known before they are made */
  readonly folders: readonly string[];
  /** Makes them, and moves the owner. */
  enter(): Promise<void>;
  /** Says what may be used from now on: all that the machine needs for its start has been opened. */
  confine(): void;
  /** Whether threads of virtual CPUs have a place of their own. */
  readonly hasThreads: boolean;
  placeThreads(tids: readonly number[]): void;
  /** A container is bound; `undefined`: it has gone. */
  bind(id: string, binding: CpuBinding | undefined): void;
  /** A device may be used until the end of this; a path of something else does nothing. */
  useDevice(path: string): Disposable;
}

/** Below the overhead cgroup of version 2: the threads of virtual CPUs. */
const THREADS_FOLDER = "vcpus";

/** Controllers that deal with single threads, or (devices) with what a thread may do. */
const OF_THREADS = ["cpu", "cpuacct", "cpuset", "devices"];

/**
 * Decides about the cgroups; nothing is made yet.
 *
 * @throws {RpcError} `INVALID_ARGUMENT` the path leads out, `FAILED_PRECONDITION` with `only`: the host has no cgroups,
 * or somebody else is in that one
 */
export function planCgroups(options: CgroupOptions): SandboxCgroups {
  const { id, cgroupsPath, only, log } = options;
  const path = sandboxCgroupPath(cgroupsPath, id);
  const { version, list } = options.hierarchies ?? hostHierarchies();
  if (list.length === 0 && only) throw unusable("this host has no cgroups: none are mounted");
  const at = (hierarchy: Hierarchy, path: string) => ({ hierarchy, folder: `${hierarchy.root}/${path}` });
  if (only) {
    return new HostCgroups(options, {
      version,
      processes: list.map((each) => at(each, path)),
      threads: [],
    });
  }
  const free = list.filter(({ isSupervised }) => !isSupervised);
  for (const { controllers, home } of list.filter((each) => !free.includes(each))) {
    log.write("info", `cgroups of ${controllers} are left as they are: the runtime was put into "${home}"`);
  }
  const overhead = overheadPath(id);
  if (version === 2) {
    const threads = free.map((each) => at(each, `${overhead}/${THREADS_FOLDER}`));
    return new HostCgroups(options, { version, processes: free.map((each) => at(each, overhead)), threads });
  }
  const processes = free.filter((each) => !isSharedOneByOne(each)).map((each) => at(each, overhead));
  const threads = free.filter(({ controllers }) => controllers.some((name) => OF_THREADS.includes(name)))
    .filter((each) => !isSharedOneByOne(each) || hasShare(each.root, dirname(`${each.root}/${path}`)))
    .map((each) => at(each, path));
  return new HostCgroups(options, { version, processes, threads });
}

/**
 * Whether the runtime has its processors by process, as on hosts without a service manager: a cgroup counts as one
 * process there, so that all sandboxes together would have no more than one.
 */
function isSharedOneByOne({ controllers, root, home }: Hierarchy): boolean {
  return controllers.includes("cpu") && home === root;
}

/** Whether somebody has decided about the share of processors of a cgroup, or of one above. */
function hasShare(root: string, folder: string): boolean {
  if (folder === root) return false;
  try {
    const value = (file: string) => Deno.readTextFileSync(`${folder}/${file}`).trim();
    if (value("cpu.shares") !== DEFAULT_SHARES || value("cpu.cfs_quota_us") !== "-1") return true;
  } catch {
    // nobody has made it, or this kernel has no quota
  }
  return hasShare(root, dirname(folder));
}

/** What a cgroup has of the processors, relative to others, unless somebody says otherwise. */
const DEFAULT_SHARES = "1024";

interface Places {
  readonly version: 1 | 2;
  readonly processes: readonly Place[];
  readonly threads: readonly Place[];
}

/** Cgroups of this host. */
class HostCgroups implements SandboxCgroups {
  readonly #options: CgroupOptions;
  readonly #places: Places;
  readonly #pid: number;
  readonly #bindings = new Map<string, CpuBinding>();
  /** where things failed: these are not used any more */
  readonly #without = new Set<Place>();
  #confinement: Confinement;
  #entering: Promise<void> | undefined;
  /** to which CPUs and memory nodes; none yet */
  #bound = " ";
  #isToldOfCpus = false;

  constructor(options: CgroupOptions, places: Places) {
    this.#options = options;
    this.#pid = options.pid ?? Deno.pid;
    // what is saved is emptied by a clean-up, so another's must not be
    const isFree = (place: Place) => {
      const others = processesIn(place.folder).length > 0;
      if (others) this.#fail([place], "it has processes already");
      return !others;
    };
    this.#places = {
      version: places.version,
      processes: places.processes.filter(isFree),
      threads: places.threads.filter(isFree),
    };
    this.#confinement = new Confinement(places.version, []);
  }

  get folders(): readonly string[] {
    return [...this.#places.processes, ...this.#places.threads].map(({ folder }) => folder);
  }

  get hasThreads(): boolean {
    return this.#places.threads.some((place) => !this.#without.has(place));
  }

  /** @throws {RpcError} `FAILED_PRECONDITION` with `only`, when one of them cannot be made or entered */
  enter(): Promise<void> {
    return this.#entering ??= this.#enter();
  }

  async #enter(): Promise<void> {
    const { version, processes, threads } = this.#places;
    const failed = new Map<Place, unknown>();
    for (const place of [...processes, ...threads]) {
      try {
        makeCgroup(place.hierarchy.root, place.folder);
        prepareCgroup(place, { isThreaded: version === 2 && threads.includes(place) });
        if (processes.includes(place)) await moveProcess(place.folder, this.#pid);
      } catch (error) {
        failed.set(place, error);
        if (this.#options.only) break;
      }
    }
    const [first] = failed.values();
    if (first !== undefined) this.#fail([...failed.keys()], reason(first));
    const limited = this.#options.only ? processes : threads;
    this.#confinement = new Confinement(version, limited.filter((place) => !this.#without.has(place)));
  }

  /** @throws {RpcError} `FAILED_PRECONDITION` with `only`, when it cannot be */
  confine(): void {
    if (!this.#options.only && !this.#confinement.knowsDevices) return;
    this.#tryLimits(() => this.#confinement.restrictDevices());
  }

  placeThreads(tids: readonly number[]): void {
    const file = this.#places.version === 1 ? "tasks" : "cgroup.threads";
    for (const place of this.#places.threads.filter((each) => !this.#without.has(each))) {
      try {
        for (const tid of new Set(tids)) moveThread(`${place.folder}/${file}`, tid);
      } catch (error) {
        this.#fail([place], reason(error));
      }
    }
  }

  bind(id: string, binding: CpuBinding | undefined): void {
    if (binding === undefined) this.#bindings.delete(id);
    else this.#bindings.set(id, binding);
    const union = (lists: readonly (string | undefined)[]) =>
      [...new Set(lists.flatMap((list) => cpuNumbers(list ?? "")))].sort((a, b) => a - b).join(",");
    const all = [...this.#bindings.values()];
    const bound = { cpus: union(all.map(({ cpus }) => cpus)), mems: union(all.map(({ mems }) => mems)) };
    const text = `${bound.cpus} ${bound.mems}`;
    if (text === this.#bound) return;
    this.#bound = text;
    try {
      this.#confinement.bind(bound);
    } catch (error) {
      // no reason to fail a container: its limits in the guest count as well
      if (this.#isToldOfCpus) return;
      this.#isToldOfCpus = true;
      this.#options.log.write("warning", `the sandbox's cgroup cannot be bound to CPUs: ${reason(error)}`);
    }
  }

  useDevice(path: string): Disposable {
    let given: Disposable | undefined;
    this.#tryLimits(() => given = this.#confinement.allow(path));
    return { [Symbol.dispose]: () => this.#tryLimits(() => given?.[Symbol.dispose]()) };
  }

  /** The owner returns to where it was; others that are left go to a cgroup above. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#entering === undefined) return;
    await this.#entering.catch(() => {});
    this.#confinement[Symbol.dispose]();
    for (const { hierarchy: { home }, folder } of this.#places.processes) {
      if (!processesIn(folder).includes(this.#pid)) continue;
      await moveProcess(home, this.#pid).catch((error) =>
        this.#options.log.write("info", `process ${this.#pid} cannot return to "${home}": ${reason(error)}`)
      );
    }
    await removeCgroups(this.folders, this.#options.log);
  }

  #tryLimits(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (this.#options.only) throw unusable(`its devices cannot be restricted: ${reason(error)}`);
      this.#options.log.write(
        "warning",
        `the sandbox's devices on the host are not restricted: ${reason(error)}`,
      );
      this.#confinement.giveUpDevices();
    }
  }

  /** @throws {RpcError} with `only` */
  #fail(places: readonly Place[], why: string): void {
    const [{ folder } = { folder: "" }] = places;
    if (this.#options.only) throw unusable(`cgroup "${folder}" cannot be used: ${why}`);
    for (const place of places) this.#without.add(place);
    const more = places.length > 1 ? ` and ${places.length - 1} more` : "";
    this.#options.log.write("warning", `the sandbox does without cgroup "${folder}"${more}: ${why}`);
  }
}

function unusable(why: string): RpcError {
  return new RpcError(Code.FailedPrecondition, `sandbox_cgroup_only: ${why}`);
}

/** A container in the guest: the cgroup, root and processes of an OCI specification. */

import type { Process, Resources, Spec } from "../../oci/spec.ts";
import { hasHooks, HOOK_KINDS } from "../../oci/hooks.ts";
import { copiesUp } from "../../oci/mount_options.ts";
import { isErrno } from "../../sys/errors.ts";
import { O, openFd, OwnedFd } from "../../sys/fd.ts";
import type { Launched } from "../../sys/launch.ts";
import { StepError } from "../../sys/program.ts";
import { SIGNALS } from "../../sys/signals.ts";
import { failedPrecondition } from "../errors.ts";
import type { Logger } from "../log.ts";
import { Cgroup, CGROUP_ROOT, cgroupPathOf, signalUnlessGone } from "./cgroup/cgroup.ts";
import { delegate } from "./cgroup/delegate.ts";
import type { CgroupStats } from "./cgroup/stats.ts";
import { mountFacts, processFacts, withRoot } from "./facts.ts";
import { chooseIdmaps } from "./idmaps.ts";
import { prepare, run } from "./launching.ts";
import { chooseNamespaces, type SandboxNamespaceFds } from "./namespaces.ts";
import { homeInside, mayNeverAnswer } from "./lookup.ts";
import { planContainer, type ProcessPlan } from "./plan/container.ts";
import { planExec } from "./plan/exec.ts";
import { hasHome } from "./plan/environment.ts";
import type { NamespaceChoices } from "./plan/input.ts";
import { entersCgroup } from "./plan/attributes.ts";
import type { SeccompFilter } from "./plan/seccomp.ts";
import { ContainerProcess } from "./process.ts";
import { refuseLabels, refuseProcessLabels } from "./security_modules.ts";
import type { StdioEnds } from "./stdio.ts";
import { seccompFilter } from "./seccomp/filter.ts";
import { refuseUnsupported, warnOfCapabilities } from "./supported.ts";

export { ContainerProcess } from "./process.ts";

/** What a container is made of. */
export interface ContainerOptions {
  readonly id: string;
  /** Absolute; relative paths in the specification are relative to it. */
  readonly bundle: string;
  /** Valid by itself (`parseSpec`, `specFromWire`). */
  readonly spec: Spec;
  /** May be closed when the container is made. */
  readonly io: StdioEnds;
  /** Namespaces of the sandbox. */
  readonly namespaces: SandboxNamespaceFds;
  readonly log: Logger;
  /** A cgroup that the container's is made in. Default: where version 2 is mounted. */
  readonly cgroupRoot?: string;
}

/** What a container can be. `stopped`: its first process has ended. */
export type ContainerState = "created" | "running" | "paused" | "stopped";

interface Parts {
  readonly cgroup: Cgroup;
  readonly init: ContainerProcess;
  readonly launched: Launched;
  readonly pidNamespace: OwnedFd;
  readonly hooks: HooksModule | undefined;
  readonly filter: SeccompFilter | undefined;
  readonly namespaces: NamespaceChoices;
  readonly home: string | undefined;
}

type HooksModule = typeof import("./hooks.ts");

/** One container. Whoever created it has to destroy it. */
export class Container {
  readonly id: string;
  /** The first process; until `start` it waits. */
  readonly init: ContainerProcess;
  readonly #options: ContainerOptions;
  readonly #spec: Spec;
  readonly #cgroup: Cgroup;
  readonly #launched: Launched;
  readonly #pidNamespace: OwnedFd;
  readonly #hooks: HooksModule | undefined;
  readonly #filter: SeccompFilter | undefined;
  /** What was chosen at its creation; the descriptors are closed. */
  readonly #namespaces: NamespaceChoices;
  /** Of the first process's user, before anything ran in the container. */
  readonly #home: string | undefined;
  readonly #execs = new Set<ContainerProcess>();
  #state: Exclude<ContainerState, "stopped"> = "created";
  /** What it was before it was paused. */
  #beforePause: "created" | "running" = "created";
  /** Its processes are being killed, for good. */
  #ending = false;
  #destroyed = false;

  private constructor(options: ContainerOptions, parts: Parts) {
    this.id = options.id;
    this.#options = options;
    this.#spec = options.spec;
    this.#cgroup = parts.cgroup;
    this.init = parts.init;
    this.#launched = parts.launched;
    this.#pidNamespace = parts.pidNamespace;
    this.#hooks = parts.hooks;
    this.#filter = parts.filter;
    this.#namespaces = parts.namespaces;
    this.#home = parts.home;
  }

  /**
   * Makes the container, up to the point where its program would begin.
   *
   * @throws {SpecError} for a field that is invalid or not supported
   * @throws {ExecutableError} if there is no such program in the container, or it cannot be run
   * @throws {StepError} if a step of the set-up failed; nothing is left of it
   */
  static async create(options: ContainerOptions): Promise<Container> {
    const { id, spec, bundle } = options;
    refuseUnsupported(spec);
    refuseLabels(spec);
    warnOfCapabilities(spec.process, options.log, { container: id });
    const filter = await seccompFilter(spec.linux?.seccomp);
    await using taken = new AsyncDisposableStack();
    await using borrowed = new AsyncDisposableStack();
    const { choices } = borrowed.use(await chooseNamespaces(spec, options.namespaces));
    const idmaps = borrowed.use(await chooseIdmaps(spec, choices)).byMount;
    const rootfs = spec.root.path.startsWith("/") ? spec.root.path : `${bundle}/${spec.root.path}`;
    const mounts = withRoot(rootfs, (root) => mountFacts(root, spec, bundle, idmaps));
    const copyUp = spec.mounts?.some(({ options }) => copiesUp(options))
      ? await import("./copy_up.ts")
      : undefined;
    const { byMount } = copyUp ? borrowed.use(copyUp.makeFresh(spec, mounts, choices)) : {};
    const known = copyUp && byMount ? copyUp.withFresh(mounts, byMount) : mounts;
    const home = withRoot(rootfs, (root) => homeInside(root, spec.process.user.uid));
    const plan = planContainer({
      spec,
      rootfs,
      bundle,
      namespaces: choices,
      mounts: known,
      facts: processFacts(spec.process, options.io, home),
      ...(filter && { filter }),
    });

    const hooks = await loadHooks(spec);
    let begun = false;
    taken.defer(async () => {
      if (begun) await hooks?.hooksAfterStop(options);
    });
    const path = cgroupPathOf(spec.linux?.cgroupsPath, id);
    const cgroup = taken.adopt(Cgroup.create(options.cgroupRoot ?? CGROUP_ROOT, path), discard);
    cgroup.apply(spec.linux?.resources ?? {});
    cgroup.filterDevices(spec.linux?.resources?.devices ?? []);
    delegate(cgroup.folder, spec, choices);
    const { pid } = choices;
    const pidNamespaceFd = typeof pid === "object" ? pid.fd : undefined;
    const launched = taken.use(
      await prepare({
        plan,
        process: spec.process,
        io: options.io,
        cgroupFd: cgroup.fd,
        pidNamespaceFd,
        onMounted: async (child) => {
          begun = true;
          using namespace = pidNamespaceOf(child.pid);
          const place = {
            init: child,
            cgroupFd: cgroup.fd,
            pidNamespaceFd: namespace.fd,
            namespaces: choices,
          };
          await hooks?.hooksBeforeRoot(options, place);
          namespace.close();
        },
      }),
    );
    const init = new ContainerProcess(launched.child);
    const pidNamespace = pidNamespaceOf(init.pid);
    taken.move();
    const parts = { cgroup, init, launched, pidNamespace, namespaces: choices, hooks, filter, home };
    return new Container(options, parts);
  }

  get state(): ContainerState {
    return this.init.status === undefined ? this.#state : "stopped";
  }

  /** Folder of its cgroup. */
  get cgroupPath(): string {
    return this.#cgroup.folder;
  }

  /**
   * Lets the first process run.
   *
   * @throws {ExecutableError} if the kernel refuses the program after all
   * @throws {HookError} the processes of the container are killed then
   */
  async start(): Promise<void> {
    this.#require("start", "created");
    this.#state = "running";
    await this.#orStop(this.#hooksBeforeProgram());
    await run(this.#launched, this.#spec.process);
    await this.#orStop(this.#hooks?.hooksAfterStart(this.#options, this.init.pid));
  }

  /** A container whose hooks fail does not run. */
  async #orStop(hooks: Promise<void> | undefined): Promise<void> {
    try {
      await hooks;
    } catch (error) {
      if (!this.#destroyed) this.#cgroup.kill();
      throw error;
    }
  }

  async #hooksBeforeProgram(): Promise<void> {
    const filter = this.#filter;
    const place = {
      init: this.init,
      cgroupFd: this.#cgroup.fd,
      pidNamespaceFd: this.#pidNamespace.fd,
      ...(filter && { filter }),
      namespaces: this.#namespaces,
    };
    await this.#hooks?.hooksBeforeProgram(this.#options, place);
  }

  /**
   * Runs another process in the container. Capabilities, limits and OOM score default to those of the first process.
   *
   * @param execId only for messages
   * @throws {ExecutableError} if there is no such program in the container, or it cannot be run
   * @throws {StepError} if a step of the set-up failed
   */
  async exec(execId: string, process: Process, io: StdioEnds): Promise<ContainerProcess> {
    // A process that starts in a frozen cgroup would never reach the point where it is reported.
    this.#require(`execute process "${execId}" in`, "created", "running");
    refuseProcessLabels(process);
    const inherited = withDefaultsOf(this.#spec.process, process);
    const facts = processFacts(inherited, io, this.#homeOf(inherited));
    const filter = this.#filter;
    const planIn = (cgroupFd: number) =>
      planExec({
        process: inherited,
        initPidfd: this.init.pidfd,
        cgroupFd,
        namespaces: this.#namespaces,
        shared: this.#spec.linux ?? {},
        facts,
        ...(filter && { filter }),
      });
    await using taken = new AsyncDisposableStack();
    const launched = taken.use(await this.#prepareExec(planIn, inherited, io));
    await run(launched, inherited);
    taken.move();
    const started = new ContainerProcess(launched.child);
    this.#execs.add(started);
    const forget = () => this.#execs.delete(started);
    started.exit.then(forget, forget);
    return started;
  }

  /** The first process may have changed its root: what is there now may be a trap for who looks. */
  #homeOf({ env, user: { uid } }: Process): string | undefined {
    if (hasHome(env ?? [])) return undefined;
    const { pid } = this.init;
    try {
      const known = uid === this.#spec.process.user.uid ? this.#home : undefined;
      return mayNeverAnswer(pid) ? known : withRoot(`/proc/${pid}/root`, (root) => homeInside(root, uid));
    } catch (error) {
      // A process that has ended has neither, even before its end is known here.
      if (!isErrno(error, "EINVAL", "ENOENT", "ESRCH")) throw error;
      throw failedPrecondition(
        `cannot execute a process in container "${this.id}": its first process has ended`,
      );
    }
  }

  /**
   * Processes belong where the container is; a container that manages cgroups itself has moved its first
   * process.
   */
  async #prepareExec(
    planIn: (cgroupFd: number) => ProcessPlan,
    process: Process,
    io: StdioEnds,
  ): Promise<Launched> {
    const namespace = this.#pidNamespace.fd;
    const start = (cgroupFd: number) =>
      prepare({
        plan: planIn(cgroupFd),
        process,
        io,
        cgroupFd: entersCgroup(process) ? undefined : cgroupFd,
        pidNamespaceFd: namespace,
      });
    try {
      return await start(this.#cgroup.fd);
    } catch (error) {
      // A process forked after the kill would survive.
      if (!(error instanceof StepError) || error.code !== "EBUSY" || this.#ending) throw error;
      using inside = this.#cgroup.openInner(this.init.pid);
      if (inside === undefined) throw error;
      return await start(inside.fd);
    }
  }

  /** Sends a signal to all processes but the first; SIGKILL goes to that one, too. */
  signalAll(signal: number): void {
    if (this.#destroyed) return;
    if (signal === SIGNALS.SIGKILL) return this.#cgroup.kill();
    for (const pid of this.#cgroup.pids()) {
      if (pid !== this.init.pid) signalUnlessGone(pid, signal);
    }
  }

  /** Ids of its processes, as the agent sees them. */
  pids(): number[] {
    return this.#destroyed ? [] : this.#cgroup.pids();
  }

  /** Changes limits; what is not mentioned stays. @throws {SpecError} */
  update(resources: Resources): void {
    this.#require("update", "created", "running", "paused");
    this.#cgroup.apply(resources, "resources");
    if (resources.devices) this.#cgroup.filterDevices(resources.devices, "resources.devices");
  }

  /** Freezes all processes. */
  async pause(): Promise<void> {
    this.#require("pause", "created", "running");
    const before = this.#state === "running" ? "running" : "created";
    // Taken before the wait: a second pause that comes meanwhile is refused.
    this.#state = "paused";
    this.#beforePause = before;
    try {
      await this.#cgroup.freeze();
    } catch (error) {
      this.#state = before;
      throw error;
    }
  }

  /** Thaws them. */
  resume(): void {
    this.#require("resume", "paused");
    this.#cgroup.thaw();
    this.#state = this.#beforePause;
  }

  /** What it has used. */
  stats(): CgroupStats {
    if (this.#destroyed) throw failedPrecondition(`container "${this.id}" is destroyed`);
    return this.#cgroup.stats();
  }

  /**
   * Kills all processes and removes what was made for the container. Can be tried again after a failure.
   *
   * @param timeoutMs how long the processes may take to die; 0 = any time
   * @throws {Error} if they take longer
   */
  async destroy(timeoutMs = 0): Promise<void> {
    if (this.#destroyed) return;
    this.#ending = true;
    this.#cgroup.kill();
    if (!await this.#cgroup.empty(timeoutMs)) {
      throw new Error(`the processes of container "${this.id}" did not end within ${timeoutMs} ms`);
    }
    await Promise.all([this.init, ...this.#execs].map((process) => process.exit));
    if (this.#destroyed) return;
    // first what may fail, so that it can be tried again
    this.#cgroup.remove();
    this.#destroyed = true;
    this.#pidNamespace.close();
    await this.#hooks?.hooksAfterStop(this.#options);
  }

  #require(verb: string, ...states: readonly ContainerState[]): void {
    const state = this.#destroyed ? "destroyed" : this.#ending ? "being destroyed" : this.state;
    if (states.some((allowed) => allowed === state)) return;
    const wanted = states.join(" or ");
    throw failedPrecondition(`cannot ${verb} container "${this.id}" as it must be ${wanted}: it is ${state}`);
  }
}

function withDefaultsOf(first: Process, process: Process): Process {
  const { capabilities = first.capabilities, rlimits = first.rlimits, oomScoreAdj = first.oomScoreAdj } =
    process;
  const { scheduler = first.scheduler, ioPriority = first.ioPriority } = process;
  return {
    ...process,
    ...(scheduler && { scheduler }),
    ...(ioPriority && { ioPriority }),
    ...(capabilities && { capabilities }),
    ...(rlimits && { rlimits }),
    ...(oomScoreAdj !== undefined && { oomScoreAdj }),
  };
}

/** undefined: the container has no hooks. */
async function loadHooks(spec: Spec): Promise<HooksModule | undefined> {
  return hasHooks(spec.hooks, ...HOOK_KINDS) ? await import("./hooks.ts") : undefined;
}

/** The pid namespace of a process, held open for processes that will be created in it. */
function pidNamespaceOf(pid: number): OwnedFd {
  return new OwnedFd(openFd(`/proc/${pid}/ns/pid`, O.RDONLY));
}

/** Undoes the making of a cgroup. */
async function discard(cgroup: Cgroup): Promise<void> {
  cgroup.kill();
  await cgroup.empty(0);
  cgroup.remove();
}

/**
 * A sandbox: a running virtual machine and the containers in it.
 *
 * It is made by {@linkcode createSandbox} in `create_sandbox.ts`. There is one way to take it down, its
 * `[Symbol.asyncDispose]`; {@linkcode Sandbox.stop} is the first half of that, after which everything that a client
 * may still ask about its containers is answered from memory.
 *
 * @module
 */

import { Code, RpcError } from "../rpc/errors.ts";
import { activityOf } from "../sys/activity.ts";
import { SIGNALS } from "../sys/signals.ts";
import type { Vm } from "../vm/vmm.ts";
import type { SandboxCgroups } from "./cgroups/cgroups.ts";
import type { Container, ContainerContext } from "./container.ts";
import { createContainer, type CreateContainerOptions, createPauseContainer } from "./create_container.ts";
import type { SandboxHostDevices } from "./devices/host_devices.ts";
import { KILLED_STATUS, UNKNOWN_STATUS } from "./exit.ts";
import { type AgentClient, CHECK_TIMEOUT_MS } from "./guest/agent_client.ts";
import { MemoryWatch } from "./guest/memory_watch.ts";
import type { Helper, Host, Share } from "./host.ts";
import { type Log, reason } from "./log/log.ts";
import type { MachineFit } from "./machine/fit.ts";
import type { GuestSwap } from "./machine/guest_swap.ts";
import type { HostCpus } from "./machine/host_cpus.ts";
import { workloadOf } from "./machine/sizing.ts";
import type { SandboxNetwork } from "./network/network.ts";
import type { SandboxPolicy } from "./policy.ts";
import { validateId } from "./state/ids.ts";
import type { SavedRecord } from "./state/record.ts";
import type { SavedContainer } from "./state/state.ts";
import type { SandboxDisks } from "./storage/disks.ts";
import type { LocalVolumes } from "./storage/local_volumes.ts";
import { pause, within } from "./timing.ts";

/** Pause between two checks that the agent is alive, in milliseconds (host.md I: 5 s). */
const MONITOR_MS = 5_000;

/** How long to wait for the end of a machine that may have ended, in milliseconds. */
const LAST_WORDS_MS = 500;

/** How long the guest may take to shut down before the machine is killed, in milliseconds. */
const GOODBYE_MS = 5_000;

/** How long other containers may take to end when the sandbox is stopped, in milliseconds. */
const STOP_CONTAINER_MS = 5_000;

/** What a running sandbox is made of. */
export interface SandboxParts {
  readonly id: string;
  readonly vm: Vm;
  readonly shareServer: Helper | undefined;
  readonly share: Share;
  readonly client: AgentClient;
  /** on the host */
  readonly cgroups: Pick<SandboxCgroups, "useDevice">;
  /** where the machine's virtual CPUs run */
  readonly hostCpus: HostCpus;
  /** resizes the machine; absent where its size is fixed */
  readonly fit: MachineFit | undefined;
  /** absent where containers get no swap */
  readonly swap?: GuestSwap | undefined;
  readonly disks: SandboxDisks;
  /** absent where the machine has no ports for them */
  readonly hostDevices?: SandboxHostDevices | undefined;
  /** where volumes are that are folders of the guest's */
  readonly local: LocalVolumes;
  readonly host: Host;
  readonly network: SandboxNetwork;
  readonly record: SavedRecord;
  readonly log: Log;
  /** whether the container with the sandbox's own id is the pod's pause container */
  readonly isPod: boolean;
  /** limits and switches that concern containers */
  readonly policy: SandboxPolicy;
  /** releases all of the above */
  readonly taken: AsyncDisposableStack;
}

/** A sandbox. */
export class Sandbox implements AsyncDisposable {
  readonly id: string;
  /** Pid of the virtual machine; clients see it as that of the sandbox. */
  readonly pid: number;
  /** Settles, with the reason, when the sandbox fails; its processes are reported as ended then. */
  readonly failed: Promise<Error>;
  readonly #parts: SandboxParts;
  readonly #containers = new Map<string, Container | "creating">();
  readonly #creations = new Set<Promise<Container>>();
  readonly #failure = Promise.withResolvers<Error>();
  readonly #ended = new AbortController();
  readonly #memory: MemoryWatch;
  /** the guest hangs, and whoever waits for it need not any more */
  readonly #hopeless = Promise.withResolvers<void>();
  #isDoubted = false;
  #lost = false;
  #stopping: Promise<void> | undefined;
  #disposing: Promise<void> | undefined;

  constructor(parts: SandboxParts) {
    this.#parts = parts;
    this.id = parts.id;
    this.pid = parts.vm.pid;
    this.failed = this.#failure.promise;
    this.#memory = new MemoryWatch(parts.client, (id) => this.#containers.has(id));
    this.#watch();
  }

  get log(): Log {
    return this.#parts.log;
  }

  /** Whether the machine was stopped, or has broken down. */
  get isStopped(): boolean {
    return this.#stopping !== undefined || this.#lost;
  }

  /** Containers that exist in the guest. */
  get containers(): Container[] {
    return [...this.#containers.values()].filter((container) => container !== "creating");
  }

  container(id: string): Container | undefined {
    const container = this.#containers.get(id);
    return container === "creating" ? undefined : container;
  }

  /**
   * Creates a container; it does not run yet.
   *
   * When the container with the sandbox's own id ends, the sandbox stops.
   *
   * @throws {RpcError} `ALREADY_EXISTS`, `INVALID_ARGUMENT`, `FAILED_PRECONDITION` when the sandbox has stopped
   */
  async createContainer(options: CreateContainerOptions): Promise<Container> {
    const { id } = options;
    validateId("container id", id);
    if (this.isStopped) throw new RpcError(Code.FailedPrecondition, `sandbox "${this.id}" has stopped`);
    if (this.#containers.has(id)) throw new RpcError(Code.AlreadyExists, `container "${id}" exists already`);
    this.#containers.set(id, "creating");
    const creation = this.#create(options);
    this.#creations.add(creation);
    try {
      const container = await creation;
      this.#containers.set(id, container);
      container.init.watch();
      container.init.exited.then(() => this.#makeSmaller(id));
      if (id === this.id) container.init.exited.then(() => this.stop()).catch((error) => this.#warn(error));
      await this.#save();
      // it may have failed meanwhile, and the new container would never be notified
      if (this.#lost) await container.forceExit(UNKNOWN_STATUS);
      return container;
    } catch (error) {
      if (this.#containers.get(id) === "creating") this.#containers.delete(id);
      throw error;
    } finally {
      this.#creations.delete(creation);
    }
  }

  /** The container, and room for it: both take a while, and neither needs the other before it runs. */
  async #create(options: CreateContainerOptions): Promise<Container> {
    const { id, spec } = options;
    const { fit, swap } = this.#parts;
    const isPause = this.#parts.isPod && id === this.id;
    const room = Promise.all([
      fit?.want(id, workloadOf(spec.linux?.resources)),
      isPause ? undefined : swap?.want(id, spec),
    ]);
    const create = isPause ? createPauseContainer : createContainer;
    const outcomes = await Promise.allSettled([create(options, this.#parts, this.#context()), room]);
    const [container, fitted] = outcomes;
    if (container.status === "rejected") {
      this.#makeSmaller(id);
      throw container.reason;
    }
    if (fitted.status === "fulfilled") {
      await this.#parts.hostCpus.set(id, spec.linux?.resources);
      return container.value;
    }
    this.#makeSmaller(id);
    await container.value.discard();
    throw fitted.reason;
  }

  /** Gives the host back what a container needed, if the machine goes on without it. */
  #makeSmaller(id: string): void {
    this.#parts.swap?.forget(id);
    if (this.isStopped) return;
    const { fit, hostCpus } = this.#parts;
    (fit?.forget(id) ?? Promise.resolve()).then(() => hostCpus.forget(id));
  }

  /** Asks the agent whether it is there. @throws {Error} it is not, or does not answer in time */
  async check(): Promise<void> {
    if (this.isStopped) throw new RpcError(Code.Unavailable, `sandbox "${this.id}" has stopped`);
    await this.#parts.client.health.check({}, { timeoutMs: CHECK_TIMEOUT_MS });
  }

  /** Ids of containers in which the kernel ran out of memory, one each time; for one reader. Ends with the sandbox. */
  outOfMemory(): AsyncGenerator<string> {
    return this.#memory.events();
  }

  /**
   * Ends every process and the virtual machine. What was asked before, or is asked later, about containers stays
   * true. Safe to call again.
   */
  stop(): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  /** Stops, and gives everything on the host back. Safe to call again. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposing ??= this.#dispose();
  }

  async #stop(): Promise<void> {
    if (!this.#lost) await Promise.race([this.#endGuest(), this.#hopeless.promise]);
    this.#lost = true;
    this.#ended.abort();
    // a guest that hangs has not ended them; the connection's end would make their statuses unknown
    await Promise.all(this.containers.map((container) => container.forceExit(KILLED_STATUS)));
    this.#parts.client.close();
    await this.#endMachine();
    await Promise.all(this.containers.map((container) => container.forceExit(KILLED_STATUS)));
    await this.#save();
  }

  async #endGuest(): Promise<void> {
    const { client } = this.#parts;
    await Promise.all(this.containers.map((container) => this.#endContainer(container)));
    if (this.#lost) return;
    // what the guest has not written back yet it writes back now
    const goodbye = client.urgent(client.agent.destroySandbox({}, { timeoutMs: GOODBYE_MS }));
    await within(goodbye, GOODBYE_MS);
  }

  async #endContainer(container: Container): Promise<void> {
    if (container.init.state.kind === "stopped") return;
    container.init.signal(SIGNALS.SIGKILL, true).catch(() => {});
    if (!await within(container.init.exited, STOP_CONTAINER_MS)) await container.forceExit(KILLED_STATUS);
  }

  async #dispose(): Promise<void> {
    await this.stop();
    await Promise.allSettled(this.#creations);
    for (const container of this.containers) {
      await container.release().catch((error) => this.#warn(error));
      this.#containers.delete(container.id);
    }
    // each release is tried; what one of them could not give back, the record's replay takes
    await this.#parts.taken.disposeAsync().catch((error) => this.#warn(error));
  }

  /** Watches for every way in which the sandbox can fail. */
  #watch(): void {
    const { vm, shareServer, client } = this.#parts;
    vm.exited.then((exit) => this.#fail(exit.message));
    // these also end when the machine does, which is then the one to speak
    const unlessGone = async (message: string) =>
      await within(vm.exited, LAST_WORDS_MS) ? (await vm.exited).message : message;
    shareServer?.exited.then(() => this.#fail(unlessGone("the shared folder's server ended")));
    client.closed.then(() => this.#fail(unlessGone("the connection to the agent ended")));
    this.#monitor().catch((error) => this.#fail(`the agent does not answer: ${reason(error)}`));
    client.onDoubt(() => this.#probe());
  }

  /** Somebody waits for an end that the guest does not answer to: whether it can is found out earlier than usual. */
  async #probe(): Promise<void> {
    if (this.#isDoubted || this.#lost) return;
    this.#isDoubted = true;
    const { client, vm, shareServer } = this.#parts;
    // the guest may wait for a disk of the host's that its helpers write to
    const pids = [...vm.pids, ...shareServer === undefined ? [] : [shareServer.pid]];
    const { whyHopeless } = await import("./guest/patience.ts");
    const why = await whyHopeless({
      check: () => client.health.check({}, { timeoutMs: CHECK_TIMEOUT_MS }),
      look: () => activityOf(...pids),
      accelerator: vm.accelerator,
    });
    this.#isDoubted = false;
    if (why === undefined || this.#lost) return;
    const message = `the agent does not answer, and ${why}`;
    if (this.#stopping !== undefined) this.#warn(message);
    this.#fail(message);
    this.#hopeless.resolve();
  }

  async #monitor(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      await pause(MONITOR_MS, signal).catch(() => {});
      if (!signal.aborted) await this.#parts.client.health.check({}, { timeoutMs: CHECK_TIMEOUT_MS });
    }
  }

  /** The guest is gone or unreachable: every process counts as ended, with an unknown status. */
  #fail(message: string | Promise<string>): void {
    // a sandbox that is being stopped loses its parts on purpose
    if (this.#lost || this.#stopping !== undefined) return;
    this.#lost = true;
    this.#ended.abort();
    this.#stopping = this.#breakDown(message).catch((error) => this.#warn(error));
  }

  async #breakDown(message: string | Promise<string>): Promise<void> {
    const error = new Error(await message);
    this.log.write("error", error.message);
    this.#failure.resolve(error);
    this.#parts.client.close();
    const machine = this.#endMachine();
    await Promise.all(this.containers.map((container) => container.forceExit(UNKNOWN_STATUS)));
    await machine;
    await this.#save();
  }

  /** The machine, then its network. What one of them could not give back is no reason to keep the rest. */
  async #endMachine(): Promise<void> {
    const { vm, network } = this.#parts;
    await vm.stop().catch((error) => this.#warn(error));
    await network[Symbol.asyncDispose]().catch((error) => this.#warn(error));
  }

  #context(): ContainerContext {
    return {
      log: this.log,
      isLost: () => this.#lost,
      outOfMemory: (id) => this.#memory.struck(id),
      save: () => this.#save(),
      makeRoom: async (id, resources, change) => {
        const hasEnded = () => this.container(id)?.init.state.kind === "stopped";
        // what ends meanwhile is forgotten, and must not be known again
        if (!hasEnded()) await this.#parts.fit?.want(id, workloadOf(resources));
        const told = hasEnded() ? change : await this.#parts.swap?.update(id, resources, change);
        if (!hasEnded()) await this.#parts.hostCpus.set(id, resources);
        return told ?? change;
      },
      starting: async (id) => {
        if (id === this.id) await this.#parts.network.settle();
      },
      forget: (id) => {
        this.#containers.delete(id);
        this.#memory.forget(id);
      },
      containerOf: (pid) =>
        pid === this.pid ? undefined : this.containers.find(({ shownPid }) => shownPid === pid)?.id,
    };
  }

  /** Saved state is for after a crash: that it cannot be written is no reason to fail a running sandbox. */
  async #save(): Promise<void> {
    const containers = [...this.#containers].flatMap(([id, container]): SavedContainer[] =>
      container === "creating" ? [] : [{ id, bundle: container.bundle, state: container.status }]
    );
    try {
      await this.#parts.record.update({ state: this.isStopped ? "stopped" : "running", containers });
    } catch (error) {
      this.log.write("warning", `cannot save the sandbox's state: ${reason(error)}`);
    }
  }

  #warn(error: unknown): void {
    this.log.write("warning", reason(error));
  }
}

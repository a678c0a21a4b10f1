/**
 * A container of a sandbox: its init process, its execs, and the resources that the host holds for it.
 *
 * @module
 */

import type { Process as ProcessSpec, Resources } from "../oci/spec.ts";
import { Code, RpcError } from "../rpc/errors.ts";
import type { CgroupStats } from "../rpc/gen/agent_pb.ts";
import { SIGNALS } from "../sys/signals.ts";
import { type Exit, KILLED_STATUS, UNKNOWN_STATUS } from "./exit.ts";
import type { GuestContainer } from "./guest/container.ts";
import type { HostHooks } from "./host_hooks.ts";
import type { IoSource } from "./io/streams.ts";
import { type Log, reason, withFields } from "./log/log.ts";
import { merged } from "./machine/sizing.ts";
import { Process } from "./process.ts";
import { validateId } from "./state/ids.ts";
import type { SavedContainer } from "./state/state.ts";
import { within } from "./timing.ts";

/** How long execs may take to be reported after their container's init, in milliseconds. */
const EXEC_END_MS = 15_000;

/** How long after a kill the report that it was for lack of memory may arrive, in milliseconds. */
const MEMORY_EVENT_MS = 500;

/** Where a container is in its life. */
export type ContainerStatus = Exclude<SavedContainer["state"], "creating">;

/** What a container needs from its sandbox. */
export interface ContainerContext {
  readonly log: Log;
  /** the connection to the guest, or the guest, is gone */
  isLost(): boolean;
  /** settles when the kernel ran out of memory in this container; perhaps never */
  outOfMemory(id: string): Promise<void>;
  /** writes the saved state */
  save(): Promise<void>;
  /**
   * Resizes the machine for a container's new limits.
   *
   * @returns the changed limits, as they are sent to the guest
   */
  makeRoom(id: string, resources: Resources, change: Resources): Promise<Resources>;
  /** brings the guest's network up to date before the first program of a container runs */
  starting(id: string): Promise<void>;
  /** the container that clients know by this pid, if it is one of a pod's */
  containerOf(pid: number): string | undefined;
  /** the container is gone: its id is free */
  forget(id: string): void;
}

/** The parts of a container that exists in the guest. */
export interface ContainerOptions {
  readonly id: string;
  readonly bundle: string;
  readonly guest: GuestContainer;
  readonly io: IoSource;
  readonly context: ContainerContext;
  readonly hooks?: HostHooks;
  /** of the virtual machine, for hooks */
  readonly pid: number;
  /** of the process that stands for this container alone, if there is one */
  readonly standIn?: number;
  /** its limits */
  readonly resources: Resources | undefined;
  /** what the host holds for it; released when it is deleted */
  readonly taken: AsyncDisposableStack;
}

/** What to execute in a container. */
export interface ExecOptions {
  readonly id: string;
  readonly process: ProcessSpec;
  readonly io: IoSource;
}

/** An exec, and how it is started. */
export class Exec {
  readonly process: Process;
  readonly #container: Container;
  readonly #begin: () => Promise<void>;

  constructor(container: Container, process: Process, begin: () => Promise<void>) {
    this.#container = container;
    this.process = process;
    this.#begin = begin;
  }

  /** @throws {RpcError} `FAILED_PRECONDITION` when the container does not run, or it was started before */
  async start(): Promise<void> {
    this.#container.expect(["running"], "execute in");
    await this.process.start(this.#begin);
    this.process.watch();
  }
}

/** A container. */
export class Container {
  readonly id: string;
  readonly bundle: string;
  readonly init: Process;
  readonly #guest: GuestContainer;
  readonly #context: ContainerContext;
  readonly #taken: AsyncDisposableStack;
  readonly #hooks: HostHooks | undefined;
  /** what clients see as its pid */
  readonly shownPid: number;
  readonly #pid: number;
  readonly #execs = new Map<string, Exec>();
  #freezer: "thawed" | "freezing" | "frozen" = "thawed";
  #execCount = 0;
  #resources: Resources | undefined;
  /** one update at a time, as each changes what the one before has left; never rejects */
  #updating: Promise<void> = Promise.resolve();
  #deleting: Promise<Exit> | undefined;

  constructor(options: ContainerOptions) {
    this.id = options.id;
    this.bundle = options.bundle;
    this.#guest = options.guest;
    this.#context = options.context;
    this.#taken = options.taken;
    this.#hooks = options.hooks;
    this.#pid = options.pid;
    this.shownPid = options.standIn ?? options.pid;
    this.#resources = options.resources;
    this.init = new Process({
      id: this.id,
      guest: options.guest.init,
      io: options.io,
      log: withFields(options.context.log, { container: this.id }),
      isInit: true,
      onChange: () => this.#context.save(),
      beforeExit: async (end) => {
        await this.#endExecs();
        await this.#tellOfMemory(end);
      },
    });
  }

  get status(): ContainerStatus {
    const state = this.init.state.kind;
    if (state === "stopped") return "stopped";
    if (state !== "running") return "created";
    if (this.#freezer === "thawed") return "running";
    return this.#freezer === "frozen" ? "paused" : "pausing";
  }

  /** Whether there is anything of it in the guest. */
  get isInGuest(): boolean {
    return this.#guest.exists;
  }

  get execs(): ReadonlyMap<string, Exec> {
    return this.#execs;
  }

  /**
   * @throws {RpcError} `FAILED_PRECONDITION` when it was started before; what the guest says when it cannot be
   * @throws {HookError} it runs, but not for long
   */
  async start(): Promise<void> {
    await this.init.start(async () => {
      await this.#context.starting(this.id);
      await this.#guest.start();
    });
    try {
      await this.#hooks?.started(this.#pid);
    } catch (error) {
      await this.init.signal(SIGNALS.SIGKILL, true);
      throw error;
    }
  }

  /**
   * Registers a process to be executed; {@linkcode Exec.start} runs it.
   *
   * @throws {RpcError} `ALREADY_EXISTS`, `FAILED_PRECONDITION` when the container does not run, `INVALID_ARGUMENT`
   */
  exec(options: ExecOptions): Exec {
    const { id, io } = options;
    validateId("exec id", id);
    if (id === this.id || this.#execs.has(id)) {
      throw new RpcError(Code.AlreadyExists, `exec "${id}" exists already`);
    }
    this.expect(["running", "paused", "pausing"], "execute in");
    // an exec id may be used again after its deletion, but the guest may still hold on to the earlier process
    const token = `${id}.${this.#execCount++}`;
    const { apparmorProfile: _profile, selinuxLabel: _label, ...spec } = options.process;
    const exec = this.#guest.exec(token, { ...spec, terminal: io.names.terminal });
    const process = new Process({
      id,
      guest: exec.process,
      io,
      log: withFields(this.#context.log, { container: this.id, exec: id }),
      isInit: false,
      onChange: () => Promise.resolve(),
    });
    const registered = new Exec(this, process, () => exec.begin());
    this.#execs.set(id, registered);
    return registered;
  }

  /** @throws {RpcError} `FAILED_PRECONDITION` unless it runs */
  async pause(): Promise<void> {
    this.expect(["running"], "pause");
    this.#freezer = "freezing";
    try {
      await this.#guest.pause();
      this.#freezer = "frozen";
    } catch (error) {
      this.#freezer = "thawed";
      throw error;
    }
    await this.#context.save();
  }

  /** @throws {RpcError} `FAILED_PRECONDITION` unless it is paused */
  async resume(): Promise<void> {
    this.expect(["paused"], "resume");
    await this.#guest.resume();
    this.#freezer = "thawed";
    await this.#context.save();
  }

  /** @throws {RpcError} `NOT_FOUND` when the container has no counters any more */
  async stats(): Promise<CgroupStats | undefined> {
    if (this.status === "stopped") {
      throw new RpcError(Code.NotFound, `container "${this.id}" has ended: no statistics`);
    }
    return await this.#guest.stats();
  }

  /**
   * Changes limits, and makes the machine large enough for them.
   *
   * @throws {RpcError} `FAILED_PRECONDITION` when it has ended; what the guest says when it cannot be, and then the
   * limits are what they were
   */
  update(resources: Resources): Promise<void> {
    const done = this.#updating.then(() => this.#update(resources));
    this.#updating = done.catch(() => {});
    return done;
  }

  async #update(change: Resources): Promise<void> {
    this.expect(["created", "running", "paused"], "update");
    const before = this.#resources;
    const wanted = merged(before, change);
    const told = await this.#context.makeRoom(this.id, wanted, change);
    try {
      await this.#guest.update(told);
    } catch (error) {
      await this.#context.makeRoom(this.id, before ?? {}, {}).catch(() => {});
      throw error;
    }
    this.#resources = wanted;
  }

  /**
   * Forgets an exec that has ended or was never started.
   *
   * @throws {RpcError} `NOT_FOUND`, `FAILED_PRECONDITION`
   */
  async deleteExec(id: string): Promise<Exit> {
    const exec = this.#execs.get(id);
    if (exec === undefined) {
      throw new RpcError(Code.NotFound, `exec "${id}" of container "${this.id}" does not exist`);
    }
    const exit = await deletable(exec.process);
    this.#execs.delete(id);
    return exit;
  }

  /**
   * Removes a container that has ended or was never started, with everything the host holds for it.
   *
   * @throws {RpcError} `FAILED_PRECONDITION` while it runs; `NOT_FOUND` when another call does it already
   */
  async delete(): Promise<Exit> {
    if (this.#deleting !== undefined) {
      throw new RpcError(Code.NotFound, `container "${this.id}" does not exist`);
    }
    const state = this.init.state.kind;
    if (state !== "stopped" && state !== "created") throw stillRuns(this.init);
    this.#deleting = this.#delete();
    return await this.#deleting;
  }

  async #delete(): Promise<Exit> {
    const exit = await deletable(this.init);
    await this.release();
    this.#context.forget(this.id);
    await this.#context.save();
    return exit;
  }

  /** Removes the container from the guest and the host, without waiting for its exit. */
  async release(): Promise<void> {
    if (!this.#context.isLost()) {
      await this.#guest.remove().catch((error) => {
        // when the machine goes, so does the container
        this.#context.log.write("debug", `cannot remove container "${this.id}": ${reason(error)}`);
      });
    }
    await this.#taken.disposeAsync();
    await this.#hooks?.stopped();
  }

  /** Gives up one that came to be in part: nothing is left of it. */
  async discard(): Promise<void> {
    await this.forceExit(UNKNOWN_STATUS);
    await this.release();
  }

  /** Marks every process as ended, without an answer of the guest. */
  async forceExit(status: number): Promise<void> {
    const execs = [...this.#execs.values()].filter(({ process }) => process.state.kind !== "created");
    await Promise.all(execs.map(({ process }) => process.forceExit(status)));
    await this.init.forceExit(status);
  }

  /** @throws {RpcError} `FAILED_PRECONDITION` unless the container is in one of these states */
  expect(allowed: readonly ContainerStatus[], operation: string): void {
    if (allowed.includes(this.status)) return;
    throw new RpcError(
      Code.FailedPrecondition,
      `cannot ${operation} container "${this.id}" as it must be ${
        allowed.join(" or ")
      }: it is ${this.status}`,
    );
  }

  /** An out-of-memory kill uses SIGKILL like any other; that it was one is reported before the end. */
  async #tellOfMemory({ status, killed }: { status: number; killed: boolean }): Promise<void> {
    if (status !== KILLED_STATUS || killed || this.#context.isLost()) return;
    await within(this.#context.outOfMemory(this.id), MEMORY_EVENT_MS);
  }

  /** The init's exit is reported last: its execs end with it, and are reported first. */
  async #endExecs(): Promise<void> {
    const alive = [...this.#execs.values()].map(({ process }) => process).filter(({ state }) =>
      state.kind === "running" || state.kind === "starting"
    );
    await Promise.all(alive.map(async (process) => {
      if (!this.#context.isLost()) process.signal(SIGNALS.SIGKILL, false).catch(() => {});
      if (!await within(process.exited, EXEC_END_MS)) await process.forceExit(KILLED_STATUS);
    }));
  }
}

/** The exit of a process that may be forgotten now. */
async function deletable(process: Process): Promise<Exit> {
  if (process.state.kind === "created") await process.discard();
  if (process.state.kind !== "stopped") throw stillRuns(process);
  return process.state.exit;
}

function stillRuns(process: Process): RpcError {
  return new RpcError(
    Code.FailedPrecondition,
    `cannot delete process "${process.id}" as it must be stopped: it is ${process.state.kind}`,
  );
}

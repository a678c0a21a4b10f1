import type { Process, Resources } from "../oci/spec.ts";
import type { CgroupStats } from "./container/cgroup/stats.ts";
import type { Container } from "./container/container.ts";
import { openContainerPty } from "./container_pty.ts";
import { alreadyExists, failedPrecondition, notFound } from "./errors.ts";
import { GuestProcess } from "./guest_process.ts";
import { initSignal } from "./init_signal.ts";
import { openStreams, type ProcessIo } from "./process_io.ts";

/**
 * How many ended processes, whose end was reported, keep their unread output. Mostly the output was read first; this
 * bounds what a client that never reads can pile up.
 */
const MAX_LINGERING = 64;

/** What was taken for a container and goes with it. */
export interface ContainerParts {
  readonly container: Container;
  readonly io: ProcessIo;
  /** Everything else, given up after the container is gone. */
  readonly resources: DisposableStack;
  readonly pipeSize: number;
}

/** A container with its processes, and which operation is allowed in which state. */
export class GuestContainer {
  readonly id: string;
  readonly #container: Container;
  readonly #resources: DisposableStack;
  readonly #pipeSize: number;
  readonly #init: GuestProcess;
  /** Processes by exec id; undefined while one is being made. */
  readonly #execs = new Map<string, GuestProcess | undefined>();
  #removal: Promise<void> | undefined;

  constructor(id: string, parts: ContainerParts) {
    this.id = id;
    this.#container = parts.container;
    this.#resources = parts.resources;
    this.#pipeSize = parts.pipeSize;
    this.#init = new GuestProcess(id, parts.container.init, parts.io);
  }

  get init(): GuestProcess {
    return this.#init;
  }

  /**
   * The process with this id; empty or the container's own id is the first one.
   *
   * @throws {RpcError} `NotFound`
   */
  process(execId: string): GuestProcess {
    if (execId === "" || execId === this.id) return this.#init;
    const process = this.#execs.get(execId);
    if (process) return process;
    throw notFound(`process "${execId}" of container "${this.id}" does not exist`);
  }

  /** Lets the first process run. */
  start(): Promise<void> {
    return this.#alive("start").start();
  }

  /** Starts another process; resolves when its program was reached. */
  async exec(execId: string, process: Process): Promise<void> {
    const container = this.#alive("execute a process in");
    this.#reserve(execId);
    try {
      using streams = openStreams(process, this.#pipeSize, () => openContainerPty(this.#init.pid));
      const started = await container.exec(execId, process, streams.child.stdio);
      // The removal has killed it, or will: it is one of the container's processes.
      if (this.#removal) throw failedPrecondition(`container "${this.id}" is being removed`);
      this.#execs.set(execId, new GuestProcess(execId, started, streams.take()));
    } catch (error) {
      this.#execs.delete(execId);
      throw error;
    }
  }

  /** Sends a signal to the process; an empty id means every process of the container. */
  signal(execId: string, number: number): void {
    if (execId !== "") {
      const process = this.process(execId);
      process.signal(process === this.#init ? initSignal(this.#init.pid, number) : number);
      return;
    }
    this.#init.signal(initSignal(this.#init.pid, number));
    this.#container.signalAll(number);
  }

  /** Waits for the end of a process, and drops ended processes that nobody needs any more. */
  async wait(execId: string, signal?: AbortSignal): Promise<number> {
    const code = await this.process(execId).wait(signal);
    this.#forgetFinished();
    return code;
  }

  /** Changes limits. */
  update(resources: Resources): void {
    this.#alive("update").update(resources);
  }

  stats(): CgroupStats {
    return this.#alive("measure").stats();
  }

  pause(): Promise<void> {
    return this.#alive("pause").pause();
  }

  resume(): void {
    this.#alive("resume").resume();
  }

  /**
   * Ends all processes and releases everything. Concurrent calls share the result; after a failure it can be tried
   * again.
   *
   * @param timeoutMs how long the processes may take to die; 0 = any time
   */
  remove(timeoutMs: number): Promise<void> {
    return this.#removal ??= this.#tearDown(timeoutMs).catch((error) => {
      this.#removal = undefined;
      throw error;
    });
  }

  async #tearDown(timeoutMs: number): Promise<void> {
    await this.#container.destroy(timeoutMs);
    this.#init[Symbol.dispose]();
    for (const process of this.#execs.values()) process?.[Symbol.dispose]();
    this.#execs.clear();
    this.#resources.dispose();
  }

  /** The container, unless it is on its way out; what it can do in which state it knows itself. */
  #alive(verb: string): Container {
    if (!this.#removal) return this.#container;
    throw failedPrecondition(`cannot ${verb} container "${this.id}" as it is being removed`);
  }

  #reserve(execId: string): void {
    const known = this.#execs.get(execId);
    const free = !this.#execs.has(execId) || (known?.exited && known.reported);
    if (execId === this.id || !free) {
      throw alreadyExists(`process "${execId}" of container "${this.id}" exists already`);
    }
    known?.[Symbol.dispose]();
    this.#execs.set(execId, undefined);
  }

  #forgetFinished(): void {
    let lingering = 0;
    for (const [id, process] of [...this.#execs].reverse()) {
      if (!process?.exited || !process.reported) continue;
      if (!process.io.drained && ++lingering <= MAX_LINGERING) continue;
      process[Symbol.dispose]();
      this.#execs.delete(id);
    }
  }
}

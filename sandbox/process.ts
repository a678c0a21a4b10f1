/**
 * One process of a container: its first one (init), or one executed in it later.
 *
 * @module
 */

import { Code, RpcError } from "../rpc/errors.ts";
import { SIGNALS } from "../sys/signals.ts";
import { Timer } from "../sys/timer.ts";
import { type Exit, KILLED_STATUS, UNKNOWN_STATUS } from "./exit.ts";
import type { GuestProcess } from "./guest/process.ts";
import { StreamCopier } from "./io/copy.ts";
import { closeIo, type IoSource, type ProcessIo, type StdioNames } from "./io/streams.ts";
import { type Log, reason } from "./log/log.ts";
import { within } from "./timing.ts";

/**
 * How long a guest may take to report the end of a process after it was told to kill it, in milliseconds. Clients wait
 * for that without end, and could never take a pod away whose guest says nothing.
 */
const KILL_MS = 60_000;

/** How long after a signal that could not be sent the end of its process may become known, in milliseconds. */
const LATE_END_MS = 2_000;

/** Where a process is in its life; a state carries what exists in it. */
export type ProcessState =
  | { readonly kind: "created" }
  | { readonly kind: "starting" }
  | { readonly kind: "running" }
  | { readonly kind: "stopped"; readonly exit: Exit };

/** A terminal's size in character cells. */
export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

/** How to make a process known. */
export interface ProcessOptions {
  /** container id for init, exec id for others */
  readonly id: string;
  readonly guest: GuestProcess;
  readonly io: IoSource;
  readonly log: Log;
  /** whether its end is the end of every process that could hold its output open */
  readonly isInit: boolean;
  /** called with each new state, before waiters are notified */
  onChange(): Promise<void>;
  /** default: 60 000 ms */
  readonly killMs?: number;
  /** awaited before the exit of the process is reported: exits that must be reported first */
  beforeExit?(end: { status: number; killed: boolean }): Promise<void>;
}

/**
 * A process and its streams.
 *
 * The order at its end is what clients rely on: all output delivered, the host's ends of the streams closed, state
 * "stopped", and only then is {@linkcode exited} settled.
 */
export class Process {
  readonly id: string;
  readonly guest: GuestProcess;
  /** Settles once the process has ended and all of its output is delivered; never rejects. */
  readonly exited: Promise<Exit>;
  readonly #options: ProcessOptions;
  readonly #exit = Promise.withResolvers<Exit>();
  readonly #startDone = Promise.withResolvers<void>();
  #state: ProcessState = { kind: "created" };
  #io: ProcessIo | undefined;
  #copier: StreamCopier | undefined;
  #size: WindowSize | undefined;
  #inputFinished = false;
  #killed = false;
  #lastWait: Timer | undefined;
  #ending: Promise<void> | undefined;

  constructor(options: ProcessOptions) {
    this.#options = options;
    this.id = options.id;
    this.guest = options.guest;
    this.exited = this.#exit.promise;
  }

  get state(): ProcessState {
    return this.#state;
  }

  get stdio(): StdioNames {
    return this.#options.io.names;
  }

  /** Opens the host's ends of the streams; clients of a container's init expect that at creation. */
  async openIo(): Promise<void> {
    this.#io ??= await this.#options.io.open();
  }

  /** The process exists in the guest: from now on its exit is observed. */
  watch(): void {
    this.guest.wait().then(
      (status) => this.#end(status),
      (error) => {
        this.#options.log.write("debug", `cannot wait for "${this.id}": ${reason(error)}`);
        return this.#end(UNKNOWN_STATUS);
      },
    );
  }

  /**
   * Runs it. `begin` is the call that makes the guest do so.
   *
   * @throws {RpcError} `FAILED_PRECONDITION` when it was started before; whatever `begin` throws
   */
  async start(begin: () => Promise<void>): Promise<void> {
    this.#expect("created", "start");
    this.#state = { kind: "starting" };
    try {
      await this.openIo();
      await begin();
    } catch (error) {
      this.#startDone.resolve();
      await this.forceExit(UNKNOWN_STATUS);
      throw error;
    }
    this.#startCopying();
    // its exit may have been reported already, and waits for this
    this.#state = { kind: "running" };
    this.#startDone.resolve();
    await this.#options.onChange();
    if (this.#size !== undefined) await this.guest.resize(this.#size).catch(() => {});
  }

  #startCopying(): void {
    this.#copier = new StreamCopier(this.guest, this.#io ?? {}, this.#options.log);
    this.#copier.start(this.stdio.terminal);
    if (this.#inputFinished) this.#copier.closeInput();
  }

  /**
   * Sends a signal. One that is there to end it has nothing to do when it has ended.
   *
   * @throws {RpcError} `NOT_FOUND` when it has ended, `FAILED_PRECONDITION` when it is not in the guest yet
   */
  async signal(signal: number, all: boolean): Promise<void> {
    const ends = signal === SIGNALS.SIGKILL || signal === SIGNALS.SIGTERM;
    if (this.#state.kind === "stopped") {
      if (ends) return;
      throw new RpcError(Code.NotFound, `process "${this.id}" already finished`);
    }
    if (!this.#options.isInit && this.#state.kind !== "running") {
      throw new RpcError(Code.FailedPrecondition, `cannot signal process "${this.id}" as it is not started`);
    }
    if (ends) this.#killed = true;
    if (signal === SIGNALS.SIGKILL) this.#waitNotForEver();
    try {
      await this.guest.signal(signal, all);
    } catch (error) {
      // it may end at this moment by itself, or by the guest's end
      if (!ends || !await within(this.exited, LATE_END_MS)) throw error;
    }
  }

  /** What was killed has ended, whether the guest says so or not; what it still writes is for nobody. */
  #waitNotForEver(): void {
    this.#lastWait ??= new Timer(this.#options.killMs ?? KILL_MS, () => {
      this.#options.log.write(
        "warning",
        `the guest does not report the end of "${this.id}", which was killed`,
      );
      this.forceExit(KILLED_STATUS).catch((error) => this.#options.log.write("warning", reason(error)));
    });
  }

  /** Sets the terminal's size; before the start it is remembered, without a terminal there is nothing to do. */
  async resize(size: WindowSize): Promise<void> {
    if (!this.stdio.terminal) return;
    if (this.#state.kind === "stopped") {
      throw new RpcError(Code.FailedPrecondition, `cannot resize the terminal of "${this.id}": it has ended`);
    }
    this.#size = size;
    if (this.#state.kind === "running") await this.guest.resize(size);
  }

  /** The client has written all of the input. */
  closeInput(): void {
    this.#inputFinished = true;
    this.#copier?.closeInput();
  }

  /** Marks it as ended without an answer of the guest: the guest is gone, or it never ran. */
  async forceExit(status: number): Promise<void> {
    this.#ending ??= this.#finish(status, "abandon");
    await this.#copier?.abandon();
    await this.#ending;
  }

  /** Forgets a process that was never started. */
  async discard(): Promise<void> {
    await this.forceExit(KILLED_STATUS);
  }

  #end(status: number): Promise<void> {
    return this.#ending ??= this.#finish(status, "drain");
  }

  async #finish(status: number, how: "drain" | "abandon"): Promise<void> {
    const at = new Date();
    if (how === "drain") {
      // the report of its exit may overtake the answer to its start
      if (this.#state.kind === "starting") await this.#startDone.promise;
      await this.#copier?.finish({ endOfFile: this.#options.isInit, killed: () => this.#killed });
    }
    if (this.#io !== undefined) await closeIo(this.#io);
    await this.#options.beforeExit?.({ status, killed: this.#killed || how === "abandon" });
    const exit = { status, at };
    this.#lastWait?.cancel();
    this.#state = { kind: "stopped", exit };
    await this.#options.onChange();
    this.#exit.resolve(exit);
  }

  #expect(kind: ProcessState["kind"], operation: string): void {
    if (this.#state.kind === kind) return;
    throw new RpcError(
      Code.FailedPrecondition,
      `cannot ${operation} process "${this.id}" as it must be ${kind}: it is ${this.#state.kind}`,
    );
  }
}

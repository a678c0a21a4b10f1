/**
 * The pause container of a pod.
 *
 * Engines create one per pod, with a program that only waits: on a host it keeps the pod's namespaces alive. Here the
 * sandbox does that, so the guest has neither the container nor its process; what clients see of them is simulated.
 *
 * @module
 */

import { Code, RpcError } from "../rpc/errors.ts";
import { SIGNALS } from "../sys/signals.ts";
import { KILLED_STATUS } from "./exit.ts";
import type { GuestContainer, GuestExec } from "./guest/container.ts";
import type { GuestProcess } from "./guest/process.ts";

/** Signals that end the pause program with exit status 0. */
const ENDING: ReadonlySet<number> = new Set([SIGNALS.SIGINT, SIGNALS.SIGTERM]);

/** The container. */
export class PauseContainer implements GuestContainer {
  readonly exists = false;
  readonly init: GuestProcess;
  readonly #id: string;

  constructor(id: string) {
    this.#id = id;
    this.init = new WaitingProcess();
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  /** @throws {RpcError} `FAILED_PRECONDITION` */
  exec(): GuestExec {
    throw new RpcError(
      Code.FailedPrecondition,
      `cannot execute in container "${this.#id}": it is the pause container of its pod and has no files in the guest`,
    );
  }

  pause(): Promise<void> {
    return Promise.resolve();
  }

  resume(): Promise<void> {
    return Promise.resolve();
  }

  /** It uses nothing, so it has no statistics. */
  stats(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  /** It has no processes to limit. */
  update(): Promise<void> {
    return Promise.resolve();
  }

  remove(): Promise<void> {
    return Promise.resolve();
  }
}

/** A process that waits for a signal to end it. */
class WaitingProcess implements GuestProcess {
  readonly #end = Promise.withResolvers<number>();

  wait(): Promise<number> {
    return this.#end.promise;
  }

  /** As the first process of a pid namespace it would not notice any other signal. */
  signal(signal: number): Promise<void> {
    if (signal === SIGNALS.SIGKILL) this.#end.resolve(KILLED_STATUS);
    else if (ENDING.has(signal)) this.#end.resolve(0);
    return Promise.resolve();
  }

  resize(): Promise<void> {
    return Promise.resolve();
  }

  /** It writes nothing, and closes its outputs when it ends. */
  async readOutput(): Promise<Uint8Array> {
    await this.#end.promise;
    throw new Error("the output is at its end");
  }

  /** It never reads. */
  async writeInput(): Promise<void> {
    await this.#end.promise;
  }

  closeInput(): Promise<void> {
    return Promise.resolve();
  }

  roundTrip(): Promise<void> {
    return Promise.resolve();
  }
}

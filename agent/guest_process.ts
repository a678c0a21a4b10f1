import { isErrno } from "../sys/errors.ts";
import { exitCodeOf } from "../sys/signals.ts";
import type { ExitStatus } from "../sys/process.ts";
import type { ContainerProcess } from "./container/container.ts";
import { failedPrecondition } from "./errors.ts";
import type { ProcessIo } from "./process_io.ts";
import type { StreamReader } from "./stream_reader.ts";

/** A process of a container as its clients see it: its streams, its exit, and whether the exit was reported. */
export class GuestProcess implements Disposable {
  readonly id: string;
  readonly io: ProcessIo;
  readonly #process: ContainerProcess;
  #exit: ExitStatus | undefined;
  #reported = false;

  constructor(id: string, process: ContainerProcess, io: ProcessIo) {
    this.id = id;
    this.io = io;
    this.#process = process;
    process.exit.then((status) => this.#exit = status);
  }

  /** Process id in the guest. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Whether it has ended. */
  get exited(): boolean {
    return this.#exit !== undefined;
  }

  /** Whether its exit was reported: from then on its id may be reused. */
  get reported(): boolean {
    return this.#reported;
  }

  /**
   * Waits for its end. All who wait get the same answer, whenever they ask.
   *
   * @returns the exit code, or 128 + the number of the signal that ended it
   */
  async wait(signal?: AbortSignal): Promise<number> {
    const status = this.#exit ?? await this.#process.exit;
    // An answer to a closed connection does not count as reported.
    if (!signal?.aborted) this.#reported = true;
    return exitCodeOf(status);
  }

  /** Sends a signal; a process that has ended is no error. */
  signal(number: number): void {
    if (this.exited) return;
    try {
      this.#process.signal(number);
    } catch (error) {
      if (!isErrno(error, "ESRCH")) throw error;
    }
  }

  /** @throws {RpcError} `FailedPrecondition` if the input was closed, or nobody can read it */
  async write(data: Uint8Array): Promise<void> {
    if (this.io.stdin.ended) throw failedPrecondition(`the input of process "${this.id}" is closed`);
    try {
      await this.io.stdin.write(data);
    } catch (error) {
      if (!isErrno(error, "EPIPE", "EBADF", "EIO")) throw error;
      throw failedPrecondition(`nobody reads the input of process "${this.id}"`, { cause: error });
    }
  }

  /** The reader of one of its outputs; undefined if it has no such output. */
  output(stream: "stdout" | "stderr"): StreamReader | undefined {
    return stream === "stdout" ? this.io.stdout : this.io.stderr;
  }

  /** Closes its streams. The process itself belongs to its container. */
  [Symbol.dispose](): void {
    this.io[Symbol.dispose]();
  }
}

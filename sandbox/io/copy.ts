/**
 * Copies a process's streams between the host and the guest.
 *
 * Each direction has one call in flight at a time, so a slow reader on either side slows the writer on the other
 * and nothing piles up in between.
 *
 * @module
 */

import { delay } from "../../sys/timer.ts";
import { type Log, reason } from "../log/log.ts";
import { within } from "../timing.ts";
import { closeIo, type InputEnd, type OutputEnd, type ProcessIo } from "./streams.ts";

/** The guest's ends of one process's streams. */
export interface GuestStreams {
  /** Waits for output; empty where a policy keeps it from us. @throws at its end */
  readOutput(which: "stdout" | "stderr"): Promise<Uint8Array>;
  /** Resolves when the process's pipe has taken all of it. */
  writeInput(data: Uint8Array): Promise<void>;
  closeInput(): Promise<void>;
  /** Resolves when the guest has processed everything sent before. */
  roundTrip(): Promise<void>;
}

/** After an exec has ended: how long its output may be silent before processes that still hold it are ignored, in ms. */
const SILENCE_MS = 2_000;

/** How long a client that had the process killed may refuse to read the rest of its output, in milliseconds. */
const STALL_MS = 10_000;

/** Pause after an answer without output, in ms: a guest that always has one at hand would keep us busy for ever. */
const EMPTY_PAUSE_MS = 10;

const INPUT_CHUNK_BYTES = 65_536;

/** The copying for one process. */
export class StreamCopier {
  readonly #guest: GuestStreams;
  readonly #io: ProcessIo;
  readonly #log: Log;
  readonly #outputs: OutputCopy[] = [];
  #started = false;
  #inputFinished = false;

  constructor(guest: GuestStreams, io: ProcessIo, log: Log) {
    this.#guest = guest;
    this.#io = io;
    this.#log = log;
  }

  /** Begins to copy. `terminal`: there is no standard error of its own. */
  start(terminal: boolean): void {
    this.#started = true;
    this.#outputs.push(new OutputCopy(this.#guest, "stdout", this.#io.stdout, this.#log));
    if (!terminal) this.#outputs.push(new OutputCopy(this.#guest, "stderr", this.#io.stderr, this.#log));
    this.#copyInput(terminal).catch((error) => this.#log.write("debug", `input ended: ${reason(error)}`));
  }

  /** The client will write no more; may be called before {@linkcode start}. */
  closeInput(): void {
    this.#inputFinished = true;
    this.#io.stdin?.finish();
  }

  /**
   * Ends the copying after the process: all of its output is delivered, then the host's ends are closed.
   *
   * @param ended what is known: `endOfFile` = nothing can hold the output open any more; `killed` = the client asked
   * for the end and may not have come to read the rest
   */
  async finish(ended: { endOfFile: boolean; killed: () => boolean }): Promise<void> {
    this.#io.stdin?.close();
    this.#io.stdout?.ending();
    this.#io.stderr?.ending();
    if (this.#started) await Promise.all(this.#outputs.map((output) => output.drain(ended)));
    await closeIo(this.#io);
  }

  /** Cancels what is in flight and closes the host's ends. */
  async abandon(): Promise<void> {
    for (const output of this.#outputs) output.abandon();
    await closeIo(this.#io);
  }

  async #copyInput(terminal: boolean): Promise<void> {
    const input: InputEnd | undefined = this.#io.stdin;
    if (input === undefined) {
      // nothing will ever be written; a terminal stays as it is
      if (!terminal) await this.#guest.closeInput();
      return;
    }
    if (this.#inputFinished) input.finish();
    const buffer = new Uint8Array(INPUT_CHUNK_BYTES);
    while (true) {
      const count = await input.read(buffer);
      if (count === 0) break;
      await this.#guest.writeInput(buffer.subarray(0, count));
    }
    await this.#guest.closeInput();
  }
}

/** One output stream on its way from the guest to the host. */
class OutputCopy {
  readonly #guest: GuestStreams;
  readonly #which: "stdout" | "stderr";
  readonly #log: Log;
  readonly #done = Promise.withResolvers<void>();
  #sink: OutputEnd | undefined;
  /** which side the copy waits for now; changes count as progress */
  #waitsFor: "guest" | "host" = "guest";
  #steps = 0;

  constructor(guest: GuestStreams, which: "stdout" | "stderr", sink: OutputEnd | undefined, log: Log) {
    this.#guest = guest;
    this.#which = which;
    this.#sink = sink;
    this.#log = log;
    this.#run().finally(() => this.#done.resolve());
  }

  async #run(): Promise<void> {
    while (true) {
      this.#step("guest");
      const data = await this.#guest.readOutput(this.#which).catch(() => undefined);
      if (data === undefined) return;
      if (data.length === 0) await delay(EMPTY_PAUSE_MS);
      // without a sink, or where a policy keeps it from us, the guest's pipe is still emptied: its writers would block
      if (this.#sink === undefined || data.length === 0) continue;
      this.#step("host");
      try {
        await this.#sink.write(data);
      } catch (error) {
        this.#log.write("debug", `nobody reads ${this.#which} any more: ${reason(error)}`);
        this.#sink = undefined;
      }
    }
  }

  #step(waitsFor: "guest" | "host"): void {
    this.#waitsFor = waitsFor;
    this.#steps++;
  }

  /** Resolves when everything that the process wrote has been delivered, or never can be. */
  async drain(ended: { endOfFile: boolean; killed: () => boolean }): Promise<void> {
    while (true) {
      const steps = this.#steps;
      const limit = this.#waitsFor === "guest" ? SILENCE_MS : STALL_MS;
      if (await within(this.#done.promise, limit)) break;
      if (steps !== this.#steps) continue;
      if (this.#waitsFor === "guest" && !ended.endOfFile && await this.#isSilent(steps)) break;
      if (this.#waitsFor === "host" && ended.killed()) {
        this.#log.write("warning", `the rest of ${this.#which} is dropped: its reader does not read`);
        break;
      }
    }
    this.abandon();
  }

  /** Whether the guest has nothing: it answered a later question, but not the read that waits. */
  async #isSilent(steps: number): Promise<boolean> {
    await this.#guest.roundTrip().catch(() => {});
    return steps === this.#steps;
  }

  /** Stops delivering; what children of the process still write is read and thrown away. */
  abandon(): void {
    this.#sink = undefined;
    this.#done.resolve();
  }
}

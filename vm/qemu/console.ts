/** What the guest writes on its console: lines for the log, the last ones for error messages, and a kernel panic. */

import type { ByteStream } from "../../rpc/stream.ts";
import { LineSplitter, Tail } from "../../sys/lines.ts";

/** How many lines an error message can carry. */
const TAIL_LINES = 50;

/** Longest line in characters; a guest may write anything. */
const MAX_LINE = 1024;

const BUFFER_SIZE = 16 * 1024;

// Colours, cursor movements, titles, and what is left of control characters. Firmware and shells send them.
const ESCAPES =
  // deno-lint-ignore no-control-regex
  /\x1b(?:\[[0-9;?]*[ -\/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[0-~])|[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

const PANIC = /Kernel panic - not syncing: (.*)/;

/** A kernel panic as the console shows it. */
export interface GuestPanic {
  readonly reason: string;
  /** The lines before it: what led there, where those after it are only a trace. */
  readonly before: readonly string[];
}

/** Follows a guest's console. */
export class GuestConsole {
  readonly #tail = new Tail(TAIL_LINES);
  readonly #onLine: (line: string) => void;
  readonly #lines = new LineSplitter((line) => this.#line(line), MAX_LINE);
  #panic: GuestPanic | undefined;

  /** @param onLine called with each line, without control characters; empty ones are left out */
  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  /** The last lines, oldest first. */
  get tail(): readonly string[] {
    return this.#tail.lines;
  }

  /** The first panic of the guest's kernel. */
  get panic(): GuestPanic | undefined {
    return this.#panic;
  }

  /** Reads until the end of the stream. Never rejects: a console that breaks off has just ended. */
  async follow(stream: Pick<ByteStream, "read">): Promise<void> {
    const buffer = new Uint8Array(BUFFER_SIZE);
    try {
      for (let count = 1; count > 0;) {
        count = await stream.read(buffer);
        this.#lines.push(buffer.subarray(0, count));
      }
    } catch {
      // closed on this side, or reset by the end of the process
    }
    this.#lines.end();
  }

  #line(raw: string): void {
    const line = raw.replace(ESCAPES, "").trimEnd();
    if (line === "") return;
    this.#tail.push(line);
    const reason = PANIC.exec(line)?.[1];
    if (reason !== undefined) this.#panic ??= { reason, before: this.#tail.lines.slice(0, -1) };
    this.#onLine(line);
  }
}

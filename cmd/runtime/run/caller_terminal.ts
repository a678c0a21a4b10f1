import { getWindowSize, makeRaw } from "../../../sys/pty.ts";
import type { WindowSize } from "../../../sandbox/process.ts";

/**
 * The caller's terminal, lent to the process in the container: raw, so that every key reaches it, and with its size
 * followed. What is not a terminal is left alone.
 */
export class CallerTerminal implements Disposable {
  readonly #restore: () => void;
  readonly #onResize: () => void;

  constructor(resize: (size: WindowSize) => Promise<void>) {
    this.#restore = Deno.stdin.isTerminal() ? makeRaw(0) : () => {};
    this.#onResize = () => {
      if (Deno.stdout.isTerminal()) resize(getWindowSize(1)).catch(() => {});
    };
    Deno.addSignalListener("SIGWINCH", this.#onResize);
    this.#onResize();
  }

  [Symbol.dispose](): void {
    Deno.removeSignalListener("SIGWINCH", this.#onResize);
    this.#restore();
  }
}

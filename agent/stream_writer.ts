import type { AsyncFd } from "../sys/poll.ts";

/**
 * The agent's end of a process's input.
 *
 * Writes take effect in the order in which they came, and the end of input comes after all of them, even if it is
 * asked for while the process still refuses to read.
 */
export class StreamWriter implements Disposable {
  readonly #fd: AsyncFd;
  readonly #owned: boolean;
  #pending = 0;
  #ended = false;

  /**
   * @param owned whether the end of input closes the descriptor: that of a pipe yes; that of a terminal no, it also
   * carries the output, and belongs to the output's reader
   */
  constructor(fd: AsyncFd, owned: boolean) {
    this.#fd = fd;
    this.#owned = owned;
  }

  /** Whether the end of input was asked for. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Resolves when the kernel has taken all of `data`.
   *
   * @throws {SysError} `EPIPE` if nobody can read it any more, `EBADF` if it was closed in the meantime
   */
  async write(data: Uint8Array): Promise<void> {
    this.#pending++;
    try {
      await this.#fd.write(data);
    } finally {
      this.#pending--;
      if (this.#ended && this.#pending === 0) this.#close();
    }
  }

  /** Ends the input after what is being written; to do so again is no error. */
  end(): void {
    this.#ended = true;
    if (this.#pending === 0) this.#close();
  }

  /** Closes at once: what is being written fails. */
  [Symbol.dispose](): void {
    this.#ended = true;
    this.#close();
  }

  #close(): void {
    if (this.#owned) this.#fd.close();
  }
}

/**
 * FIFOs that a containerd client created for a process's streams.
 *
 * The client may go and come back (a restarted containerd, a detached terminal), so the other end of each FIFO is
 * held open here as well: its disappearing is then neither an end of input nor a broken pipe. Only `CloseIO` ends the
 * input, and only the end of the process makes a missing reader an error.
 *
 * @module
 */

import { isErrno } from "../../sys/errors.ts";
import { closeFd, O, openFd, readFd } from "../../sys/fd.ts";
import { AsyncFd } from "../../sys/poll.ts";
import type { InputEnd, OutputEnd } from "./streams.ts";

/** Reads a FIFO; the end comes only after {@linkcode InputEnd.finish}. */
export class FifoInput implements InputEnd {
  readonly #reader: AsyncFd;
  readonly #finished = Promise.withResolvers<void>();
  /** our own write end; while it is open the FIFO has no end */
  #keeper: number | undefined;
  #ended = false;

  /** @throws {SysError} the path cannot be opened */
  constructor(path: string) {
    const reader = openFd(path, O.RDONLY | O.NONBLOCK);
    try {
      this.#keeper = openFd(path, O.WRONLY | O.NONBLOCK);
    } catch (error) {
      closeFd(reader);
      throw error;
    }
    this.#reader = new AsyncFd(reader, path);
  }

  async read(into: Uint8Array): Promise<number> {
    while (!this.#ended) {
      try {
        return readFd(this.#reader.fd, into);
      } catch (error) {
        if (!isErrno(error, "EAGAIN")) throw error;
      }
      // empty, and the client said that nothing more comes
      if (this.#keeper === undefined) return 0;
      // the wait that is given up rejects when the descriptor is closed
      const readable = this.#reader.readable().catch(() => {});
      await Promise.race([readable, this.#finished.promise]);
    }
    return 0;
  }

  finish(): void {
    if (this.#keeper !== undefined) closeFd(this.#keeper);
    this.#keeper = undefined;
    this.#finished.resolve();
  }

  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.finish();
    this.#reader.close();
  }
}

/** Writes a FIFO; waits when the client does not read. */
export class FifoOutput implements OutputEnd {
  readonly #writer: AsyncFd;
  /** our own read end; while it is open there is always a reader */
  #keeper: number | undefined;
  #closed = false;

  /** @throws {SysError} the path cannot be opened */
  constructor(path: string) {
    const keeper = openFd(path, O.RDONLY | O.NONBLOCK);
    try {
      this.#writer = new AsyncFd(openFd(path, O.WRONLY | O.NONBLOCK), path);
    } catch (error) {
      closeFd(keeper);
      throw error;
    }
    this.#keeper = keeper;
  }

  write(data: Uint8Array): Promise<void> {
    return this.#writer.write(data);
  }

  ending(): void {
    // a pending write wakes up with EPIPE if this was the last reader
    if (this.#keeper !== undefined) closeFd(this.#keeper);
    this.#keeper = undefined;
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#writer.close();
      this.ending();
    }
    return Promise.resolve();
  }
}

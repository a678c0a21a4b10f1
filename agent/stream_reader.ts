import type { AsyncFd } from "../sys/poll.ts";
import { readFd } from "../sys/fd.ts";
import { isErrno } from "../sys/errors.ts";

/** Most that one read returns, in bytes: what a caller asks for is not what it may make the guest allocate. */
const MAX_READ_BYTES = 1 << 20;

interface Waiter {
  readonly limit: number;
  resolve(data: Uint8Array | undefined): void;
  reject(error: unknown): void;
}

/**
 * The agent's end of a process's output.
 *
 * Nothing is read before somebody asks for it, so a slow reader makes the process wait: the kernel's pipe is the
 * only buffer. Readers are served in the order in which they came. A reader that has gone away (its connection
 * was lost, its deadline has passed) leaves the queue before bytes are taken for it, so that none are lost.
 */
export class StreamReader implements Disposable {
  readonly #fd: AsyncFd;
  readonly #waiters: Waiter[] = [];
  #pumping = false;
  #ended = false;

  /** Takes ownership of the descriptor. */
  constructor(fd: AsyncFd) {
    this.#fd = fd;
  }

  /** Whether the end was seen by a reader, or the reader was closed. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Waits for at least one byte.
   *
   * @param limit most bytes wanted
   * @returns 1 to `limit` bytes, or undefined at the end of the stream
   */
  read(limit: number, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    if (this.#ended) return Promise.resolve(undefined);
    const bounded = Math.min(Math.max(limit, 1), MAX_READ_BYTES);
    if (this.#waiters.length === 0) {
      const data = tryRead(this.#fd.fd, bounded);
      if (data === undefined) this.#finish();
      if (data !== "again") return Promise.resolve(data);
    }
    return this.#enqueue(bounded, signal);
  }

  [Symbol.dispose](): void {
    this.#finish();
  }

  #enqueue(limit: number, signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array | undefined>();
    const waiter: Waiter = { limit, resolve, reject };
    this.#waiters.push(waiter);
    const leave = () => {
      const place = this.#waiters.indexOf(waiter);
      if (place >= 0) this.#waiters.splice(place, 1);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", leave, { once: true });
    if (!this.#pumping) this.#pump().catch((error) => this.#fail(error));
    return promise.finally(() => signal?.removeEventListener("abort", leave));
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    try {
      while (!this.#ended) {
        await this.#fd.readable();
        if (!this.#serve()) return;
      }
    } finally {
      this.#pumping = false;
    }
  }

  /** Serves who can be served; false if nobody waits any more. */
  #serve(): boolean {
    while (!this.#ended) {
      const waiter = this.#waiters[0];
      if (!waiter) return false;
      const data = tryRead(this.#fd.fd, waiter.limit);
      if (data === "again") return true;
      if (data === undefined) this.#finish();
      else this.#waiters.shift()?.resolve(data);
    }
    return false;
  }

  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#fd.close();
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(undefined);
  }

  #fail(error: unknown): void {
    // Closing the descriptor makes a pending wait fail: that is an end, not an error.
    if (this.#ended) return;
    const waiters = this.#waiters.splice(0);
    this.#finish();
    for (const waiter of waiters) waiter.reject(error);
  }
}

/** Reused for all reads: what was read is copied out at its true size, which is mostly far below the limit. */
let scratch = new Uint8Array(64 * 1024);

/** Bytes that are there now, undefined at the end, "again" if there are none yet. */
function tryRead(fd: number, limit: number): Uint8Array | undefined | "again" {
  if (scratch.length < limit) scratch = new Uint8Array(limit);
  try {
    const count = readFd(fd, scratch.subarray(0, limit));
    return count === 0 ? undefined : scratch.slice(0, count);
  } catch (error) {
    if (isErrno(error, "EAGAIN")) return "again";
    // The kernel's way to say that nobody holds the terminal any more.
    if (isErrno(error, "EIO")) return undefined;
    throw error;
  }
}

/** A bounded queue of messages with one consumer: what was received on a stream and not read yet. */

import { Timer } from "../../sys/timer.ts";

/** Messages that one stream holds before its connection waits for the reader. */
const CAPACITY = 64;

/** How long a connection waits for a stream's reader before it gives up on that stream, in milliseconds. */
const PATIENCE_MS = 1000;

/** Iterated once, by one consumer; leaving the loop early discards what is left and what still comes. */
export class MessageQueue implements AsyncIterableIterator<Uint8Array> {
  readonly #items: Uint8Array[] = [];
  #state: "open" | "ended" | "discarding" = "open";
  #error: unknown;
  #changed = Promise.withResolvers<void>();

  /** False once the sender's half has ended. */
  get open(): boolean {
    return this.#state !== "ended";
  }

  /**
   * Adds a message; waits a limited time while the queue is full.
   *
   * @returns false when there was no room in time; then the message was not added
   */
  async push(item: Uint8Array): Promise<boolean> {
    if (this.#items.length >= CAPACITY && this.#state === "open") {
      const late = Promise.withResolvers<void>();
      using _timer = new Timer(PATIENCE_MS, late.resolve);
      // one step of the reader is enough
      await Promise.race([late.promise, this.#changed.promise]);
      if (this.#items.length >= CAPACITY && this.#state === "open") return false;
    }
    if (this.#state !== "open") return true;
    this.#items.push(item);
    this.#change();
    return true;
  }

  /** No more messages: the reader gets those that are here, and then the end, or `error`. */
  end(error?: unknown): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#error = error;
    this.#change();
  }

  /** The stream failed: the reader gets `error` at once. */
  fail(error: unknown): void {
    this.#items.length = 0;
    this.#state = "ended";
    this.#error = error;
    this.#change();
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) {
        this.#change();
        return { done: false, value: item };
      }
      if (this.#state !== "open") {
        const error = this.#error;
        this.#error = undefined;
        if (error !== undefined) throw error;
        return { done: true, value: undefined };
      }
      await this.#changed.promise;
    }
  }

  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#items.length = 0;
    if (this.#state === "open") this.#state = "discarding";
    this.#change();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

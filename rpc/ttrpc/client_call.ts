/** One call on the calling side. */

import { Code, RpcError } from "../errors.ts";
import type { Kind } from "../service.ts";
import { dataFrame, endFrame } from "./messages.ts";
import { MessageQueue } from "./queue.ts";
import { Timer } from "../../sys/timer.ts";

/** The largest delay that a timer takes; longer ones would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A call that was started and what became of it. The first outcome counts; later ones do nothing. */
export class ClientCall {
  /** What was received and not read yet; absent when the server sends no messages but one answer. */
  readonly messages: MessageQueue | undefined;
  /** The answer; empty for a stream of messages that ended well. */
  readonly response: Promise<Uint8Array>;
  readonly #response = Promise.withResolvers<Uint8Array>();
  readonly #onSettled: (() => void)[] = [];
  #settled = false;

  constructor(kind: Kind) {
    const receives = kind === "server-stream" || kind === "bidi";
    this.messages = receives ? new MessageQueue() : undefined;
    this.response = this.#response.promise;
    // the caller of a stream may see the error elsewhere first, and never come to look here
    if (kind !== "unary") this.response.catch(() => {});
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** Success. */
  finish(payload: Uint8Array): void {
    if (!this.#settle()) return;
    this.messages?.end();
    this.#response.resolve(payload);
  }

  /** @param drop messages that came before the error are not delivered any more */
  fail(error: unknown, drop = true): void {
    if (!this.#settle()) return;
    if (drop) this.messages?.fail(error);
    else this.messages?.end(error);
    this.#response.reject(error);
  }

  /** Registers what has to be undone when the call ends. */
  onSettled(undo: () => void): void {
    if (this.#settled) undo();
    else this.#onSettled.push(undo);
  }

  /** Fails the call when the time is over. @param name of the call, for the message */
  limit(timeoutMs: number, name: string): void {
    // a longer time is for the server to watch
    if (timeoutMs > MAX_TIMER_MS) return;
    const expire = () =>
      this.fail(new RpcError(Code.DeadlineExceeded, `no answer to ${name} in ${timeoutMs} ms`));
    const timer = new Timer(timeoutMs, expire);
    this.onSettled(() => timer.cancel());
  }

  /** Fails the call when the signal is aborted. @param name of the call, for the message */
  heed(signal: AbortSignal, name: string): void {
    const abort = () =>
      this.fail(new RpcError(Code.Canceled, `${name} was cancelled`, { cause: signal.reason }));
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort);
    this.onSettled(() => signal.removeEventListener("abort", abort));
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    for (const undo of this.#onSettled) undo();
    return true;
  }
}

/** The caller's end of a stream: iterate over it for the server's messages. */
export class ClientStream implements AsyncIterable<Uint8Array> {
  readonly #call: ClientCall;
  readonly #id: number;
  readonly #write: (frame: Uint8Array) => Promise<void>;
  #sending: boolean;

  constructor(call: ClientCall, id: number, sends: boolean, write: (frame: Uint8Array) => Promise<void>) {
    this.#call = call;
    this.#id = id;
    this.#sending = sends;
    this.#write = write;
  }

  /** The one answer of a `client-stream`; for the others resolves, empty, when the stream has ended. */
  get response(): Promise<Uint8Array> {
    return this.#call.response;
  }

  /**
   * Sends one message. Once the stream has ended, what is sent is dropped: the outcome is with the answer.
   *
   * @throws {RpcError} RESOURCE_EXHAUSTED when it is longer than a frame may be
   */
  async send(message: Uint8Array): Promise<void> {
    if (!this.#sending) throw new Error("cannot send: this half of the stream is closed");
    const frame = dataFrame(this.#id, message);
    if (!this.#call.settled) await this.#write(frame);
  }

  /** Tells the server that no more messages come. */
  async closeSend(): Promise<void> {
    if (!this.#sending) return;
    this.#sending = false;
    if (!this.#call.settled) await this.#write(endFrame(this.#id));
  }

  /** Gives the call up; what still comes is dropped. */
  cancel(): void {
    this.#call.fail(new RpcError(Code.Canceled, "the stream was cancelled"));
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined> {
    if (this.#call.messages === undefined) throw new TypeError("the server sends no messages in this call");
    return this.#call.messages;
  }
}

/** One call on the serving side: runs the handler and answers exactly once. */

import { Code, RpcError } from "../errors.ts";
import { dataFrame, endFrame, errorFrame, type Metadata, responseFrame } from "./messages.ts";
import { MessageQueue } from "./queue.ts";
import type { CallContext, MethodDefinition } from "./server.ts";
import { Timer } from "../../sys/timer.ts";

/** The largest delay that a timer takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What a call needs of its connection. */
export interface CallPort {
  /** Rejects when the connection is gone. */
  send(frame: Uint8Array): Promise<void>;
  /** The call is over; frames of its id are not for it any more. */
  ended(): void;
  /** An error that is not the caller's business came up. */
  crashed(error: unknown): void;
}

export class ServerCall {
  readonly #id: number;
  readonly #port: CallPort;
  readonly #context: CallContext;
  readonly #abort = new AbortController();
  /** what the client sends; absent when it sends one request only */
  #requests: MessageQueue | undefined;
  #timer: Timer | undefined;
  #over = false;

  constructor(id: number, port: CallPort, timeoutMs: number | undefined, metadata: Metadata) {
    this.#id = id;
    this.#port = port;
    this.#context = { signal: this.#abort.signal, metadata, timeoutMs };
  }

  /** Runs the handler. @param open the client is going to send data */
  start(method: MethodDefinition, payload: Uint8Array, open: boolean): void {
    const { timeoutMs } = this.#context;
    if (timeoutMs !== undefined && timeoutMs <= MAX_TIMER_MS) {
      if (timeoutMs < 0) return this.#expire();
      this.#timer = new Timer(timeoutMs, () => this.#expire());
    }
    if (method.kind === "client-stream" || method.kind === "bidi") {
      this.#requests = new MessageQueue();
      // some clients send the first message with the request
      if (payload.length > 0) void this.#requests.push(payload);
      if (!open) this.#requests.end();
    }
    this.#run(method, payload).then(
      (frame) => this.#answer(frame),
      (error) => this.fail(this.#explain(error)),
    );
  }

  /** Takes a message from the client. @returns false when the call is over because of it */
  async receive(data: Uint8Array): Promise<boolean> {
    if (this.#requests === undefined) {
      this.fail(new RpcError(Code.InvalidArgument, `stream data for stream ${this.#id}, which takes none`));
      return false;
    }
    if (!this.#requests.open) {
      this.fail(new RpcError(Code.InvalidArgument, `stream data for stream ${this.#id} after its end`));
      return false;
    }
    if (await this.#requests.push(data)) return true;
    this.fail(new RpcError(Code.ResourceExhausted, `messages of stream ${this.#id} were not taken in time`));
    return false;
  }

  /** The client sends no more. */
  endOfRequests(): void {
    this.#requests?.end();
  }

  /** Answers with an error, and lets the handler know. */
  fail(error: RpcError): void {
    if (this.#over) return;
    this.#answer(errorFrame(this.#id, error));
    this.#stop(error);
  }

  /** The connection is gone: no answer. */
  abandon(reason: Error): void {
    if (this.#over) return;
    this.#finish();
    this.#stop(reason);
  }

  /** @returns the frame that ends the call */
  async #run(method: MethodDefinition, payload: Uint8Array): Promise<Uint8Array> {
    const requests = this.#requests ?? new MessageQueue();
    switch (method.kind) {
      case "unary":
        return this.#response(await method.run(payload, this.#context));
      case "client-stream":
        return this.#response(await method.run(requests, this.#context));
      case "server-stream":
        return await this.#stream(method.run(payload, this.#context));
      case "bidi":
        return await this.#stream(method.run(requests, this.#context));
    }
  }

  #response(payload: Uint8Array | undefined): Uint8Array {
    if (payload === undefined) {
      throw new RpcError(Code.Unknown, "the handler gave neither a result nor an error");
    }
    return responseFrame(this.#id, payload);
  }

  async #stream(messages: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
    for await (const message of messages) {
      // leaving the loop ends the handler's generator
      if (this.#over) break;
      await this.#port.send(dataFrame(this.#id, message));
    }
    return endFrame(this.#id);
  }

  #answer(frame: Uint8Array): void {
    if (this.#over) return;
    this.#finish();
    // a lost connection is noticed by its reader
    this.#port.send(frame).catch(() => {});
  }

  #expire(): void {
    this.fail(new RpcError(Code.DeadlineExceeded, "the deadline has passed"));
  }

  #explain(thrown: unknown): RpcError {
    const error = RpcError.from(thrown);
    if (error.code === Code.Internal && error !== thrown && !this.#over) this.#port.crashed(thrown);
    return error;
  }

  #finish(): void {
    this.#over = true;
    this.#timer?.cancel();
    this.#port.ended();
  }

  #stop(reason: Error): void {
    this.#requests?.fail(reason);
    this.#abort.abort(reason);
  }
}

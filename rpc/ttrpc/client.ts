/** The calling side of a ttrpc connection. */

import { Code, ConnectionClosed, RpcError } from "../errors.ts";
import type { Kind } from "../service.ts";
import type { ByteStream } from "../stream.ts";
import { ClientCall, ClientStream } from "./client_call.ts";
import { Flag, type Frame, FrameReader, FrameType, MAX_DATA_BYTES } from "./frame.ts";
import { decodeResponse, requestFrame } from "./messages.ts";

/** How one call is made. */
export interface CallOptions {
  /** After this the call fails with DEADLINE_EXCEEDED here, and the server gets the limit, too; default: none. */
  timeoutMs?: number | undefined;
  /** Sent along; keys become lower case. */
  metadata?: Readonly<Record<string, string | readonly string[]>> | undefined;
  /** When it is aborted the call fails with CANCELLED here. The server is not told: ttrpc has no means to. */
  signal?: AbortSignal | undefined;
}

/** Which method is called. */
interface Target {
  /** full proto name with package */
  service: string;
  method: string;
}

/** Which method is called, and who sends several messages. */
export interface StreamTarget extends Target {
  kind: Exclude<Kind, "unary">;
}

/** A call's first frame. */
interface FirstFrame extends Target {
  flags: number;
  payload: Uint8Array;
}

const LAST_STREAM_ID = 0xffff_ffff;

const NOTHING = new Uint8Array();

/**
 * A connection to a ttrpc server. Any number of calls may run at once.
 *
 * It reads from the stream until the stream ends or {@link close} is called, and then closes it. When the
 * connection is lost all pending calls fail with {@link ConnectionClosed}; nothing is sent again.
 */
export class TtrpcClient implements Disposable {
  readonly #stream: ByteStream;
  readonly #calls = new Map<number, ClientCall>();
  readonly #ended = Promise.withResolvers<Error | undefined>();
  /** odd numbers in the order in which requests are written */
  #nextId = 1;
  #lost: ConnectionClosed | undefined;

  /** Resolves when the connection has ended: with the error, unless {@link close} or the server ended it orderly. */
  readonly closed: Promise<Error | undefined> = this.#ended.promise;

  /** @param stream is owned from now on */
  constructor(stream: ByteStream) {
    this.#stream = stream;
    this.#receive().then(() => this.#end(), (error) => this.#end(error));
  }

  /**
   * One request, one answer.
   *
   * @param service full proto name with package
   * @returns the encoded answer
   * @throws {RpcError} what the server answered, or DEADLINE_EXCEEDED, CANCELLED, RESOURCE_EXHAUSTED from here
   * @throws {ConnectionClosed} when the connection is or gets lost
   */
  call(service: string, method: string, payload: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> {
    const call = new ClientCall("unary");
    this.#start(call, { service, method, flags: 0, payload }, options);
    return call.response;
  }

  /**
   * Starts a call in which at least one side sends several messages. Errors appear where its messages or its
   * answer are awaited; see {@link call}.
   *
   * @param payload the one request of a `server-stream`; the other kinds send theirs with {@link ClientStream.send}
   */
  stream(
    { service, method, kind }: StreamTarget,
    payload: Uint8Array = NOTHING,
    options: CallOptions = {},
  ): ClientStream {
    const sends = kind !== "server-stream";
    const call = new ClientCall(kind);
    const flags = sends ? Flag.RemoteOpen : Flag.RemoteClosed;
    const first = { service, method, flags, payload: sends ? NOTHING : payload };
    const id = this.#start(call, first, options);
    return new ClientStream(call, id, sends, (frame) => this.#write(frame));
  }

  /** Ends the connection; pending calls fail. Calling it again does nothing. */
  close(): void {
    this.#end();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Sends the request. @returns the call's stream id */
  #start(call: ClientCall, first: FirstFrame, { timeoutMs, signal, metadata }: CallOptions): number {
    const id = this.#nextId;
    const { service, method, flags, payload } = first;
    const name = `${service}/${method}`;
    if (timeoutMs !== undefined && !(timeoutMs > 0)) {
      call.fail(new RpcError(Code.DeadlineExceeded, `no time left to call ${name}`));
    }
    if (signal !== undefined) call.heed(signal, name);
    if (this.#lost !== undefined) call.fail(this.#lost);
    if (id > LAST_STREAM_ID) {
      call.fail(new RpcError(Code.Unavailable, "all stream ids of the connection are used"));
    }
    if (call.settled) return id;
    try {
      const frame = requestFrame(id, flags, { service, method, timeoutMs, metadata }, payload);
      // id and frame in one step: ids must reach the wire in their order
      this.#nextId += 2;
      this.#calls.set(id, call);
      call.onSettled(() => this.#calls.delete(id));
      if (timeoutMs !== undefined) call.limit(timeoutMs, name);
      this.#write(frame).catch(() => {});
    } catch (error) {
      call.fail(error);
    }
    return id;
  }

  /** Rejects when the connection is lost. */
  async #write(frame: Uint8Array): Promise<void> {
    if (this.#lost !== undefined) throw this.#lost;
    try {
      await this.#stream.write(frame);
    } catch (error) {
      throw this.#end(error);
    }
  }

  async #receive(): Promise<void> {
    const reader = new FrameReader(this.#stream);
    for (;;) {
      const frame = await reader.next();
      if (frame === undefined) return;
      const call = this.#calls.get(frame.streamId);
      // a call that was given up, or never was
      if (call === undefined) continue;
      if (frame.type === FrameType.Response) takeResponse(call, frame);
      else if (frame.type === FrameType.Data) await takeData(call, frame);
    }
  }

  #end(error?: unknown): ConnectionClosed {
    if (this.#lost !== undefined) return this.#lost;
    const lost = new ConnectionClosed(error);
    this.#lost = lost;
    this.#stream.close();
    for (const call of [...this.#calls.values()]) call.fail(lost, false);
    this.#ended.resolve(error === undefined || error instanceof Error ? error : new Error(String(error)));
    return lost;
  }
}

function takeResponse(call: ClientCall, frame: Frame): void {
  if (frame.data === undefined) return call.fail(tooLong(frame));
  try {
    call.finish(decodeResponse(frame.data));
  } catch (error) {
    call.fail(error, false);
  }
}

async function takeData(call: ClientCall, frame: Frame): Promise<void> {
  if (frame.data === undefined) return call.fail(tooLong(frame));
  if (call.messages === undefined) {
    return call.fail(new RpcError(Code.Internal, "the server sent stream data in a call with one answer"));
  }
  if (!(frame.flags & Flag.NoData) && !await call.messages.push(frame.data)) {
    return call.fail(new RpcError(Code.ResourceExhausted, "messages of the stream were not read in time"));
  }
  if (frame.flags & Flag.RemoteClosed) call.finish(NOTHING);
}

function tooLong(frame: Frame): RpcError {
  return new RpcError(
    Code.ResourceExhausted,
    `frame of ${frame.length} bytes from the server exceeds ${MAX_DATA_BYTES}`,
  );
}

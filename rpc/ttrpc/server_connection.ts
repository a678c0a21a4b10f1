/** One connection of a server: takes requests, runs handlers beside each other, and answers. */

import { Code, ConnectionClosed, RpcError } from "../errors.ts";
import type { Request } from "../gen/ttrpc_pb.ts";
import { Timer } from "../../sys/timer.ts";
import type { ByteStream } from "../stream.ts";
import { Flag, type Frame, FrameReader, FrameType, MAX_DATA_BYTES } from "./frame.ts";
import { decodeRequest, errorFrame, metadataOf } from "./messages.ts";
import type { MethodDefinition, ServeOptions, ServiceDefinition } from "./server.ts";
import { ServerCall } from "./server_call.ts";

/** Bytes of answers that may wait for a client that does not read, before its requests are not read any more. */
const MAX_UNSENT_BYTES = 4 * MAX_DATA_BYTES;

/** Id of the first request of a client. */
const FIRST_ID = 1;

export class ServerConnection {
  readonly #stream: ByteStream;
  readonly #services: ReadonlyMap<string, ServiceDefinition>;
  readonly #onError: (error: unknown) => void;
  readonly #clientsFollow: boolean;
  readonly #calls = new Map<number, ServerCall>();
  #lastId = 0;
  #unsent = 0;
  #closed = false;
  #draining = false;
  /** resolved and renewed whenever a call has ended or a write is through */
  #progress = Promise.withResolvers<void>();

  constructor(
    stream: ByteStream,
    services: ReadonlyMap<string, ServiceDefinition>,
    onError: (error: unknown) => void,
    { clientsFollow = false }: ServeOptions = {},
  ) {
    this.#stream = stream;
    this.#services = services;
    this.#onError = onError;
    this.#clientsFollow = clientsFollow;
  }

  /** Serves until the connection ends. */
  async run(): Promise<void> {
    const reader = new FrameReader(this.#stream);
    try {
      for (;;) {
        const frame = await reader.next();
        if (frame === undefined) break;
        await this.#take(frame);
        while (this.#unsent > MAX_UNSENT_BYTES && !this.#closed) await this.#progress.promise;
      }
    } catch (error) {
      // an own close() makes the outstanding read fail
      if (!this.#closed) this.#onError(error);
    } finally {
      this.#close();
    }
  }

  /** Refuses new calls, waits for running ones and for their answers to be out, and closes. */
  async drain(graceMs: number): Promise<void> {
    this.#draining = true;
    const expired = Promise.withResolvers<void>();
    let late = false;
    using _timer = new Timer(graceMs, () => {
      late = true;
      expired.resolve();
    });
    while (!late && !this.#closed && (this.#calls.size > 0 || this.#unsent > 0)) {
      await Promise.race([this.#progress.promise, expired.promise]);
    }
    this.#close();
  }

  async #take(frame: Frame): Promise<void> {
    if (frame.type !== FrameType.Request && frame.type !== FrameType.Data) return;
    if (frame.data === undefined) {
      const text = `frame of ${frame.length} bytes exceeds ${MAX_DATA_BYTES}`;
      this.#refuse(frame.streamId, new RpcError(Code.ResourceExhausted, text));
    } else if (frame.type === FrameType.Request) {
      this.#request(frame.streamId, frame.flags, frame.data);
    } else {
      await this.#data(frame.streamId, frame.flags, frame.data);
    }
  }

  #request(id: number, flags: number, data: Uint8Array): void {
    if (id % 2 !== 1) {
      return this.#refuse(id, invalid(`stream id ${id} of a request must be odd`));
    }
    if (id === FIRST_ID && this.#clientsFollow) this.#nextClient();
    if (id <= this.#lastId) {
      return this.#refuse(id, invalid(`stream id ${id} cannot be used again: ids must increase`));
    }
    this.#lastId = id;
    let request: Request;
    try {
      request = decodeRequest(data);
    } catch (error) {
      return this.#refuse(id, invalid(`cannot decode the request: ${RpcError.from(error).message}`));
    }
    const method = this.#find(request, flags);
    if (method instanceof RpcError) return this.#refuse(id, method);
    const call = new ServerCall(
      id,
      {
        send: (frame) => this.#send(frame),
        ended: () => {
          this.#calls.delete(id);
          this.#moved();
        },
        crashed: this.#onError,
      },
      timeLeft(request),
      metadataOf(request),
    );
    this.#calls.set(id, call);
    call.start(method, request.payload, (flags & Flag.RemoteOpen) !== 0);
  }

  /** Nobody is left to take the answers of calls before this. */
  #nextClient(): void {
    const lost = new ConnectionClosed();
    for (const call of [...this.#calls.values()]) call.abandon(lost);
    this.#lastId = 0;
  }

  #find(request: Request, flags: number): MethodDefinition | RpcError {
    const service = this.#services.get(request.service);
    if (service === undefined) return new RpcError(Code.Unimplemented, `service ${request.service}`);
    const method = service.methods.get(request.method);
    if (method === undefined) {
      return new RpcError(Code.Unimplemented, `method ${request.method} of ${request.service}`);
    }
    if (this.#draining) return new RpcError(Code.Unavailable, "the server is shutting down");
    if (method.kind === "unary" && flags & Flag.RemoteOpen) {
      return invalid(`method ${request.method} of ${request.service} takes no stream`);
    }
    return method;
  }

  async #data(id: number, flags: number, data: Uint8Array): Promise<void> {
    const call = this.#calls.get(id);
    if (call === undefined) return this.#refuse(id, invalid(`stream ${id} is not active`));
    if (!(flags & Flag.NoData) && !await call.receive(data)) return;
    if (flags & Flag.RemoteClosed) call.endOfRequests();
  }

  /** Answers with an error; a running call of that id is over. */
  #refuse(id: number, error: RpcError): void {
    const call = this.#calls.get(id);
    if (call !== undefined) call.fail(error);
    else this.#send(errorFrame(id, error)).catch(() => {});
  }

  /** Rejects when the connection is gone. */
  async #send(frame: Uint8Array): Promise<void> {
    if (this.#closed) throw new ConnectionClosed();
    this.#unsent += frame.length;
    try {
      await this.#stream.write(frame);
    } catch (error) {
      this.#close();
      throw new ConnectionClosed(error);
    } finally {
      this.#unsent -= frame.length;
      this.#moved();
    }
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stream.close();
    const lost = new ConnectionClosed();
    for (const call of [...this.#calls.values()]) call.abandon(lost);
    this.#moved();
  }

  #moved(): void {
    this.#progress.resolve();
    this.#progress = Promise.withResolvers();
  }
}

function invalid(text: string): RpcError {
  return new RpcError(Code.InvalidArgument, text);
}

/** In milliseconds, rounded up; negative when the time is over already. */
function timeLeft(request: Request): number | undefined {
  if (request.timeoutNano === 0n) return undefined;
  return request.timeoutNano < 0n ? -1 : Math.ceil(Number(request.timeoutNano) / 1e6);
}

/** The serving side of ttrpc: which methods there are, and the life of its connections. */

import type { ByteStream } from "../stream.ts";
import { ServerConnection } from "./server_connection.ts";
import type { Metadata } from "./messages.ts";

/** What a handler gets besides the request. */
export interface CallContext {
  /** Aborted when the caller's deadline has passed or the connection is gone: nobody waits for the answer then. */
  readonly signal: AbortSignal;
  readonly metadata: Metadata;
  /** Time that the caller left, in milliseconds; absent = no limit. */
  readonly timeoutMs: number | undefined;
}

/** A method on encoded messages, by kind. */
export type MethodDefinition =
  | { kind: "unary"; run(request: Uint8Array, context: CallContext): Promise<Uint8Array> }
  | { kind: "server-stream"; run(request: Uint8Array, context: CallContext): AsyncIterable<Uint8Array> }
  | {
    kind: "client-stream";
    run(messages: AsyncIterable<Uint8Array>, context: CallContext): Promise<Uint8Array>;
  }
  | {
    kind: "bidi";
    run(messages: AsyncIterable<Uint8Array>, context: CallContext): AsyncIterable<Uint8Array>;
  };

/** A service as it is offered on the wire. */
export interface ServiceDefinition {
  /** full proto name with package */
  readonly name: string;
  readonly methods: ReadonlyMap<string, MethodDefinition>;
}

/** Settings of a server. */
export interface ServerOptions {
  /** Called with errors that reach no caller: crashes of handlers (which callers see as INTERNAL) and broken frames. */
  onError?: (error: unknown) => void;
}

/** What a server has to know about the stream that it serves. */
export interface ServeOptions {
  /**
   * Clients follow each other on the stream without its end in between being always seen, as on a serial line. A client's
   * first request has the stream id 1, so that id begins a new client: calls of the one before are given up.
   */
  clientsFollow?: boolean;
}

/** How long {@link TtrpcServer.shutdown} waits for running calls by default, in milliseconds. */
const SHUTDOWN_GRACE_MS = 10_000;

/** Serves the same services on any number of connections. */
export class TtrpcServer {
  readonly #services: ReadonlyMap<string, ServiceDefinition>;
  readonly #onError: (error: unknown) => void;
  readonly #connections = new Set<ServerConnection>();
  #stopping = false;

  constructor(services: readonly ServiceDefinition[], options: ServerOptions = {}) {
    this.#services = new Map(services.map((service) => [service.name, service]));
    this.#onError = options.onError ?? (() => {});
  }

  /** Serves one connection, and closes it. Resolves when it has ended, however it did. */
  async serve(stream: ByteStream, options: ServeOptions = {}): Promise<void> {
    if (this.#stopping) return stream.close();
    const connection = new ServerConnection(stream, this.#services, this.#onError, options);
    this.#connections.add(connection);
    try {
      await connection.run();
    } finally {
      this.#connections.delete(connection);
    }
  }

  /**
   * Ends all connections: idle ones at once, others when their running calls are answered, or after the grace. New
   * calls are refused with UNAVAILABLE. The listener is its owner's to close, before this.
   *
   * A handler that causes the shutdown must not wait for it: its own call is one of those running.
   */
  async shutdown(graceMs: number = SHUTDOWN_GRACE_MS): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#connections].map((connection) => connection.drain(graceMs)));
  }
}

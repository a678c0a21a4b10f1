/**
 * gRPC calls over a unix socket: enough of a client to talk to a container engine.
 *
 * @module
 */

import http2 from "node:http2";
import net from "node:net";
import { Code, ConnectionClosed, RpcError } from "../../../rpc/errors.ts";
import type { CallOptions, StreamTarget } from "../../../rpc/ttrpc/client.ts";
import type { Connection } from "../../../rpc/ttrpc/typed.ts";

/** Bytes before each message: whether it is compressed, and its length. */
const PREFIX_BYTES = 5;

/** Longest that a call may take where nothing else is said, in milliseconds. */
const TIMEOUT_MS = 300_000;

/** A connection to a server behind a unix socket; it is made anew when it was lost. */
export class GrpcClient implements Connection, Disposable {
  readonly #path: string;
  #session: http2.ClientHttp2Session | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws {RpcError} what the server answered, `DEADLINE_EXCEEDED`, or `CANCELED` when the signal says so */
  async call(
    service: string,
    method: string,
    payload: Uint8Array,
    { timeoutMs = TIMEOUT_MS, signal }: CallOptions = {},
  ): Promise<Uint8Array> {
    const stream = this.#connect().request({
      ":method": "POST",
      ":path": `/${service}/${method}`,
      "content-type": "application/grpc",
      "grpc-timeout": `${timeoutMs}m`,
      te: "trailers",
    });
    const late = new RpcError(Code.DeadlineExceeded, `"${method}" was not answered in ${timeoutMs / 1000} s`);
    const timer = setTimeout(() => stream.destroy(late), timeoutMs);
    const giveUp = () => stream.destroy(new RpcError(Code.Canceled, `"${method}" was given up`));
    signal?.addEventListener("abort", giveUp);
    try {
      stream.end(framed(payload));
      return await answerOf(stream);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", giveUp);
    }
  }

  stream({ service, method }: StreamTarget): never {
    throw new Error(`this client cannot stream, as "${service}/${method}" needs`);
  }

  [Symbol.dispose](): void {
    this.#session?.destroy();
    this.#session = undefined;
  }

  #connect(): http2.ClientHttp2Session {
    const open = this.#session;
    if (open !== undefined && !open.closed && !open.destroyed) return open;
    const session = http2.connect("http://localhost", { createConnection: () => net.connect(this.#path) });
    // each call learns of it by itself
    session.on("error", () => {});
    session.on("close", () => {
      if (this.#session === session) this.#session = undefined;
    });
    return this.#session = session;
  }
}

function framed(payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(PREFIX_BYTES + payload.length);
  new DataView(frame.buffer).setUint32(1, payload.length);
  frame.set(payload, PREFIX_BYTES);
  return frame;
}

function answerOf(stream: http2.ClientHttp2Stream): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const chunks: Uint8Array[] = [];
  // an error without an answer has its status where other answers have their first headers
  let status: http2.IncomingHttpHeaders = {};
  const note = (headers: http2.IncomingHttpHeaders) => status = { ...status, ...headers };
  stream.on("response", note);
  stream.on("trailers", note);
  stream.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  stream.on("error", reject);
  stream.on("close", () => {
    const code = status["grpc-status"];
    if (code === undefined) return reject(new ConnectionClosed());
    if (code !== "0") {
      return reject(new RpcError(Number(code), decodeURIComponent(String(status["grpc-message"] ?? ""))));
    }
    resolve(joined(chunks).subarray(PREFIX_BYTES));
  });
  return promise;
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

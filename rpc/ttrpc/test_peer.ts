/** For tests: the other side of a connection, which does exactly what it is told. */

import type { ByteStream } from "../stream.ts";
import { streamPair } from "../stream.ts";
import { encodeFrame, type Frame, type FrameHeader, FrameReader } from "./frame.ts";
import type { MethodDefinition, ServiceDefinition } from "./server.ts";

export class Peer {
  readonly #stream: ByteStream;
  readonly #reader: FrameReader;

  constructor(stream: ByteStream) {
    this.#stream = stream;
    this.#reader = new FrameReader(stream);
  }

  /** Sends a frame. */
  async frame(header: FrameHeader, data: Uint8Array = new Uint8Array()): Promise<void> {
    await this.#stream.write(encodeFrame(header, data));
  }

  /** Sends any bytes. */
  async bytes(bytes: Uint8Array): Promise<void> {
    await this.#stream.write(bytes);
  }

  /** The next frame that the other side sent. */
  async next(): Promise<Frame> {
    const frame = await this.#reader.next();
    if (frame === undefined) throw new Error("the other side closed the connection");
    return frame;
  }

  /** True if the other side has closed the connection and sent nothing more. */
  async ended(): Promise<boolean> {
    return await this.#reader.next() === undefined;
  }

  close(): void {
    this.#stream.close();
  }
}

/** A stream and its peer. */
export function withPeer(): { stream: ByteStream; peer: Peer } {
  const [stream, other] = streamPair();
  return { stream, peer: new Peer(other) };
}

/** A stream that yields the given pieces and then ends; what is written is dropped. */
export function streamOf(pieces: Iterable<Uint8Array>): ByteStream {
  const left = pieces[Symbol.iterator]();
  let rest = new Uint8Array();
  return {
    read(into) {
      while (rest.length === 0) {
        const { done, value } = left.next();
        if (done) return Promise.resolve(0);
        rest = new Uint8Array(value);
      }
      const count = Math.min(rest.length, into.length);
      into.set(rest.subarray(0, count));
      rest = rest.subarray(count);
      return Promise.resolve(count);
    },
    write: () => Promise.resolve(),
    close() {},
  };
}

/** A service of which `Echo` gives back its request. */
export function echoService(extra: Readonly<Record<string, MethodDefinition>> = {}): ServiceDefinition {
  const echo: MethodDefinition = { kind: "unary", run: (request) => Promise.resolve(request) };
  return { name: "test.Echo", methods: new Map(Object.entries({ Echo: echo, ...extra })) };
}

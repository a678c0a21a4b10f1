/** Reliable byte streams: what ttrpc runs over, and a pair of them in memory. */

/**
 * One end of a reliable byte stream, such as a connected socket.
 *
 * Writes are put out in the order of the calls and never interleave; several may be outstanding.
 */
export interface ByteStream {
  /** Reads at least one byte. @returns the number of bytes, 0 at the end of the stream */
  read(into: Uint8Array): Promise<number>;
  /** Resolves when all of `data` was taken. The bytes must not change before. */
  write(data: Uint8Array): Promise<void>;
  /** Ends both directions; outstanding operations reject. Calling it again does nothing. */
  close(): void;
}

/** Why an operation on a stream in memory failed. */
export class StreamClosed extends Error {
  override name = "StreamClosed";
}

/**
 * Two connected streams in memory, for tests and for talking to a service without a socket.
 *
 * @param capacity bytes that one direction holds before a writer has to wait, default 64 KiB
 */
export function streamPair(capacity = 64 * 1024): [ByteStream, ByteStream] {
  const there = new Pipe(capacity);
  const back = new Pipe(capacity);
  return [new End(back, there), new End(there, back)];
}

class End implements ByteStream {
  readonly #from: Pipe;
  readonly #to: Pipe;
  #lastWrite: Promise<void> = Promise.resolve();

  constructor(from: Pipe, to: Pipe) {
    this.#from = from;
    this.#to = to;
  }

  read(into: Uint8Array): Promise<number> {
    return this.#from.read(into);
  }

  write(data: Uint8Array): Promise<void> {
    const done = this.#lastWrite.then(() => this.#to.write(data));
    this.#lastWrite = done.catch(() => {});
    return done;
  }

  close(): void {
    this.#from.abandon();
    this.#to.finish();
  }
}

/** One direction. */
class Pipe {
  readonly #capacity: number;
  readonly #chunks: Uint8Array[] = [];
  #held = 0;
  /** no more writes; what is held can still be read */
  #finished = false;
  /** the reader is gone */
  #abandoned = false;
  #changed = Promise.withResolvers<void>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  async read(into: Uint8Array): Promise<number> {
    for (;;) {
      if (this.#abandoned) throw new StreamClosed("cannot read: the stream is closed");
      const chunk = this.#chunks[0];
      if (chunk !== undefined) return this.#take(chunk, into);
      if (this.#finished) return 0;
      await this.#changed.promise;
    }
  }

  async write(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length;) {
      if (this.#finished) throw new StreamClosed("cannot write: the stream is closed");
      if (this.#abandoned) throw new StreamClosed("cannot write: the other end is closed");
      const part = data.slice(at, at + this.#capacity - this.#held);
      if (part.length === 0) {
        await this.#changed.promise;
        continue;
      }
      this.#chunks.push(part);
      this.#held += part.length;
      at += part.length;
      this.#change();
    }
  }

  finish(): void {
    this.#finished = true;
    this.#change();
  }

  abandon(): void {
    this.#abandoned = true;
    this.#change();
  }

  #take(chunk: Uint8Array, into: Uint8Array): number {
    const count = Math.min(chunk.length, into.length);
    into.set(chunk.subarray(0, count));
    if (count === chunk.length) this.#chunks.shift();
    else this.#chunks[0] = chunk.subarray(count);
    this.#held -= count;
    this.#change();
    return count;
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

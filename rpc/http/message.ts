/** The part of HTTP/1.1 that both sides need: heads of messages, and their limits. */

import type { ByteStream } from "../stream.ts";

/** Longest head (first line and headers) of a message, in bytes. */
const MAX_HEAD_BYTES = 16 * 1024;

/** Why a message cannot be taken, with the status that says so. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Headers by name in lower case; of a name that comes twice the values are joined by a comma. */
export type Headers = ReadonlyMap<string, string>;

/** The first line, and the headers. */
export interface Head {
  readonly line: string;
  readonly headers: Headers;
}

/** Names of headers are tokens (RFC 9110, 5.6.2). */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Control characters that would break a head; a tab is allowed in values. */
// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;

/**
 * Reads the lines of a head.
 *
 * @param text without the empty line at its end
 * @throws {HttpError} 400
 */
function parseHead(text: string): Head {
  const [line = "", ...rest] = text.split("\r\n");
  const headers = new Map<string, string>();
  for (const header of rest) {
    const colon = header.indexOf(":");
    const name = header.slice(0, Math.max(0, colon));
    const value = header.slice(colon + 1).trim();
    if (!TOKEN.test(name) || CONTROL.test(value)) {
      throw new HttpError(400, `not a header: ${JSON.stringify(header.slice(0, 100))}`);
    }
    const key = name.toLowerCase();
    const before = headers.get(key);
    headers.set(key, before === undefined ? value : `${before}, ${value}`);
  }
  return { line, headers };
}

/**
 * The length of a body as its header says.
 *
 * @returns undefined without the header
 * @throws {HttpError} 400
 */
export function contentLength(headers: Headers): number | undefined {
  const text = headers.get("content-length");
  if (text === undefined) return undefined;
  if (!/^[0-9]{1,15}$/.test(text)) {
    throw new HttpError(400, `not a content length: ${JSON.stringify(text.slice(0, 100))}`);
  }
  return Number(text);
}

/** Takes a stream apart that is read in pieces of any size. */
export class HttpReader {
  readonly #stream: ByteStream;
  readonly #buffer = new Uint8Array(16 * 1024);
  #held: Uint8Array = new Uint8Array();

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  /** What was read and not taken. */
  get rest(): Uint8Array {
    return this.#held;
  }

  /**
   * The next head.
   *
   * @returns undefined if the stream ends before it begins
   * @throws {HttpError} 431 if it is too long, 400 if the stream ends within
   */
  async head(): Promise<Head | undefined> {
    for (let from = 0;;) {
      const end = indexOfEnd(this.#held, from);
      if (end >= 0) {
        const text = new TextDecoder("latin1").decode(this.#held.subarray(0, end));
        this.#held = this.#held.subarray(end + 4);
        return parseHead(text);
      }
      if (this.#held.length > MAX_HEAD_BYTES) {
        throw new HttpError(431, `the head of a message must have at most ${MAX_HEAD_BYTES} bytes`);
      }
      from = Math.max(0, this.#held.length - 3);
      if (!await this.#more()) {
        if (this.#held.length === 0) return undefined;
        throw new HttpError(400, "the message ends within its head");
      }
    }
  }

  /** Exactly so many bytes. @throws {HttpError} 400 if the stream ends before */
  async exactly(length: number): Promise<Uint8Array> {
    const body = new Uint8Array(length);
    for (let done = 0; done < length;) {
      if (this.#held.length === 0 && !await this.#more()) {
        throw new HttpError(400, `the message ends after ${done} of ${length} bytes`);
      }
      const part = this.#held.subarray(0, length - done);
      body.set(part, done);
      done += part.length;
      this.#held = this.#held.subarray(part.length);
    }
    return body;
  }

  /** One line without its end. @throws {HttpError} 400 if it is too long, or the stream ends within */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#held.indexOf(10);
      if (end >= 0) {
        const text = new TextDecoder("latin1").decode(this.#held.subarray(0, end));
        this.#held = this.#held.subarray(end + 1);
        return text.replace(/\r$/, "");
      }
      if (this.#held.length > MAX_HEAD_BYTES) throw new HttpError(400, "a line of the message is too long");
      if (!await this.#more()) throw new HttpError(400, "the message ends within a line");
    }
  }

  /** All that comes until the end. @throws {HttpError} 413 if it is more than `most` bytes */
  async toEnd(most: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let total = 0;
    do {
      parts.push(this.#held);
      total += this.#held.length;
      if (total > most) throw new HttpError(413, `a body must have at most ${most} bytes`);
      this.#held = new Uint8Array();
    } while (await this.#more());
    return joined(parts, total);
  }

  /** @returns false at the end of the stream */
  async #more(): Promise<boolean> {
    const count = await this.#stream.read(this.#buffer);
    if (count === 0) return false;
    this.#held = joined([this.#held, this.#buffer.subarray(0, count)], this.#held.length + count);
    return true;
  }
}

/** Pieces as one. @param total of their lengths */
export function joined(parts: readonly Uint8Array[], total: number): Uint8Array {
  const all = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Where the empty line is that ends a head. */
function indexOfEnd(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(13, from); at >= 0; at = bytes.indexOf(13, at + 1)) {
    if (bytes[at + 1] === 10 && bytes[at + 2] === 13 && bytes[at + 3] === 10) return at;
  }
  return -1;
}

/** A stream whose first bytes were read already. */
export function withRest(stream: ByteStream, rest: Uint8Array): ByteStream {
  let left = rest;
  return {
    read(into) {
      if (left.length === 0) return stream.read(into);
      const part = left.subarray(0, into.length);
      into.set(part);
      left = left.subarray(part.length);
      return Promise.resolve(part.length);
    },
    write: (data) => stream.write(data),
    close: () => stream.close(),
  };
}

/** Requests to HTTP servers behind unix sockets, with a limit on the time and on the size of what comes back. */

import { isErrno } from "../../sys/errors.ts";
import { connectUnix } from "../../sys/socket.ts";
import { inTime } from "../../sys/timer.ts";
import type { ByteStream } from "../stream.ts";
import {
  contentLength,
  type Head,
  type Headers,
  HttpError,
  HttpReader,
  joined,
  withRest,
} from "./message.ts";

/** Largest body of an answer, in bytes. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;

/** What to ask. */
export interface ClientRequest {
  /** Path of the socket. */
  readonly socket: string;
  readonly method?: string;
  /** With the query, encoded. */
  readonly path: string;
  readonly type?: string;
  readonly body?: Uint8Array;
  /** For the whole exchange; for an upgrade up to the answer. */
  readonly timeoutMs: number;
}

/** What was answered. */
export interface ClientAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/**
 * Asks, and reads the answer to its end.
 *
 * @throws {SysError} nobody listens at the socket
 * @throws {Error} a sentence: no answer within the time, or none that can be understood
 */
export async function requestUnix(request: ClientRequest): Promise<ClientAnswer> {
  return await exchange(request, {}, async (stream, reader, head) => {
    const answer = { status: statusOf(head), headers: head.headers, body: await readBody(reader, head) };
    stream.close();
    return answer;
  });
}

/**
 * Asks for another protocol on the same connection.
 *
 * @returns the connection, which is the caller's, or the answer of a server that does not want to
 * @throws as {@linkcode requestUnix}
 */
export async function upgradeUnix(
  request: ClientRequest,
  protocol: string,
): Promise<ByteStream | ClientAnswer> {
  const headers = { connection: "Upgrade", upgrade: protocol };
  return await exchange(request, headers, async (stream, reader, head) => {
    const status = statusOf(head);
    if (status === 101) return withRest(stream, reader.rest);
    const answer = { status, headers: head.headers, body: await readBody(reader, head) };
    stream.close();
    return answer;
  });
}

async function exchange<T>(
  request: ClientRequest,
  headers: Readonly<Record<string, string>>,
  read: (stream: ByteStream, reader: HttpReader, head: Head) => Promise<T>,
): Promise<T> {
  const { socket, timeoutMs } = request;
  let stream: ByteStream | undefined;
  let isLate = false;
  const ask = async (): Promise<T> => {
    stream = await connectUnix(socket);
    if (isLate) stream.close();
    // a server that refuses early hangs up before it has read everything; its answer is there all the same
    await stream.write(encodeRequest(request, headers)).catch(unlessGone);
    const reader = new HttpReader(stream);
    for (;;) {
      const head = await reader.head().catch(unlessGone);
      if (head === undefined) throw new HttpError(502, "the connection was closed without an answer");
      if (statusOf(head) !== 100) return await read(stream, reader, head);
    }
  };
  try {
    return await inTime(ask(), timeoutMs, () => {
      isLate = true;
      return new Error(`"${socket}" did not answer within ${timeoutMs / 1000} s`);
    });
  } catch (error) {
    stream?.close();
    if (!(error instanceof HttpError)) throw error;
    throw new Error(`"${socket}" sent an invalid answer: ${error.message}`, { cause: error });
  }
}

function unlessGone(error: unknown): undefined {
  if (!isErrno(error, "EPIPE", "ECONNRESET")) throw error;
}

function encodeRequest(
  { method = "GET", path, type, body = new Uint8Array() }: ClientRequest,
  more: Readonly<Record<string, string>>,
): Uint8Array {
  const headers: Record<string, string> = { host: "shim", connection: "close", ...more };
  if (type !== undefined) headers["content-type"] = type;
  if (body.length > 0 || method !== "GET") headers["content-length"] = String(body.length);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const head = new TextEncoder().encode(`${method} ${path} HTTP/1.1\r\n${lines}\r\n`);
  return joined([head, body], head.length + body.length);
}

function statusOf({ line }: Head): number {
  const match = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(line);
  if (match === null) throw new HttpError(502, `not an answer: ${JSON.stringify(line.slice(0, 100))}`);
  return Number(match[1]);
}

async function readBody(reader: HttpReader, { headers }: Head): Promise<Uint8Array> {
  if (/\bchunked\b/i.test(headers.get("transfer-encoding") ?? "")) return await readChunks(reader);
  const length = contentLength(headers);
  if (length === undefined) return await reader.toEnd(MAX_ANSWER_BYTES);
  if (length > MAX_ANSWER_BYTES) throw tooLarge();
  return await reader.exactly(length);
}

async function readChunks(reader: HttpReader): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    const line = await reader.line();
    const size = /^([0-9A-Fa-f]{1,8})\s*(?:;|$)/.exec(line)?.[1];
    if (size === undefined) {
      throw new HttpError(502, `not a chunk's size: ${JSON.stringify(line.slice(0, 100))}`);
    }
    const length = parseInt(size, 16);
    total += length;
    if (total > MAX_ANSWER_BYTES) throw tooLarge();
    if (length === 0) break;
    chunks.push(await reader.exactly(length));
    await reader.line();
  }
  return joined(chunks, total);
}

function tooLarge(): HttpError {
  return new HttpError(502, `the body must have at most ${MAX_ANSWER_BYTES} bytes`);
}

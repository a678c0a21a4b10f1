/**
 * A small HTTP/1.1 server for local clients: one request per connection, bodies of a known length, and a limit on
 * everything that a client could make long, large or many.
 */

import { inTime } from "../../sys/timer.ts";
import type { ByteStream } from "../stream.ts";
import { contentLength, type Headers, HttpError, HttpReader, joined, withRest } from "./message.ts";

/** Largest body of a request, in bytes. It is handed on in one message to the guest, which may have 4 MiB. */
export const MAX_REQUEST_BODY_BYTES = 2 * 1024 * 1024;

/** How long a request may take to arrive, and its answer to be taken, in milliseconds each. */
const TRANSFER_MS = 10_000;

/** A request that has arrived as a whole. */
export interface HttpRequest {
  readonly method: string;
  /** Decoded, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** An answer; text has the type `text/plain` unless another is given. */
export interface HttpAnswer {
  readonly status: number;
  readonly type?: string;
  readonly body?: string | Uint8Array;
  /** Is started when the answer was sent. */
  after?(): void;
}

/** An answer after which the connection speaks another protocol. */
export interface HttpUpgrade {
  /** Name of the protocol. */
  readonly upgrade: string;
  /** Speaks it; the connection is closed when it returns. */
  run(stream: ByteStream): Promise<void>;
}

/** Answers requests. What it throws becomes the status of an {@linkcode HttpError}, or 500 with the message. */
export type HttpHandler = (request: HttpRequest) => Promise<HttpAnswer | HttpUpgrade>;

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  411: "Length Required",
  413: "Content Too Large",
  426: "Upgrade Required",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
};

/** Serves one connection to its end. Never rejects: a client that breaks the rules only harms its own connection. */
export async function serveHttp(
  stream: ByteStream,
  handler: HttpHandler,
  { transferMs = TRANSFER_MS }: { transferMs?: number } = {},
): Promise<void> {
  const reader = new HttpReader(stream);
  try {
    const answer = await answerTo(reader, stream, handler, transferMs);
    if (answer === undefined) return;
    if ("upgrade" in answer) {
      await send(stream, upgradeHead(answer.upgrade), transferMs);
      await answer.run(withRest(stream, reader.rest));
      return;
    }
    await send(stream, encodeAnswer(answer), transferMs);
    answer.after?.();
  } catch {
    // the client disconnected, or was too slow to get an answer
  } finally {
    stream.close();
  }
}

/** @returns undefined if the client went without asking anything */
async function answerTo(
  reader: HttpReader,
  stream: ByteStream,
  handler: HttpHandler,
  transferMs: number,
): Promise<HttpAnswer | HttpUpgrade | undefined> {
  try {
    const request = await withLimit(readRequest(reader, stream), transferMs);
    return request === undefined ? undefined : await handler(request);
  } catch (error) {
    if (error instanceof HttpError) return { status: error.status, body: `${error.message}\n` };
    return { status: 500, body: `${error instanceof Error ? error.message : error}\n` };
  }
}

async function readRequest(reader: HttpReader, stream: ByteStream): Promise<HttpRequest | undefined> {
  const head = await reader.head();
  if (head === undefined) return undefined;
  const target = parseRequestLine(head.line);
  if (head.headers.has("transfer-encoding")) {
    throw new HttpError(411, "a body must come with its length: this server takes no transfer encoding");
  }
  const length = contentLength(head.headers) ?? 0;
  if (length > MAX_REQUEST_BODY_BYTES) {
    throw new HttpError(413, `a body must have at most ${MAX_REQUEST_BODY_BYTES} bytes: it has ${length}`);
  }
  if (head.headers.get("expect")?.toLowerCase() === "100-continue") {
    await stream.write(new TextEncoder().encode("HTTP/1.1 100 Continue\r\n\r\n"));
  }
  return { ...target, headers: head.headers, body: await reader.exactly(length) };
}

/** @throws {HttpError} 400, 505 */
function parseRequestLine(line: string): Pick<HttpRequest, "method" | "path" | "query"> {
  const match = /^([A-Z]{1,20}) ([\x21-\x7e]+) HTTP\/(\d\.\d)$/.exec(line);
  const [, method = "", target = "", version = ""] = match ?? [];
  if (match === null) throw new HttpError(400, `not a request: ${JSON.stringify(line.slice(0, 100))}`);
  if (!version.startsWith("1.")) throw new HttpError(505, `HTTP ${version} is not spoken here: use HTTP/1.1`);
  const local = target.replace(/^http:\/\/[^/?#]*/i, "");
  const question = local.indexOf("?");
  const path = question < 0 ? local : local.slice(0, question);
  if (!path.startsWith("/")) throw new HttpError(400, `not a path: ${JSON.stringify(target.slice(0, 100))}`);
  const query = new URLSearchParams(question < 0 ? "" : local.slice(question + 1));
  try {
    return { method, path: decodeURIComponent(path), query };
  } catch {
    throw new HttpError(400, `not an encoded path: ${JSON.stringify(path.slice(0, 100))}`);
  }
}

function encodeAnswer({ status, type = "text/plain; charset=utf-8", body = "" }: HttpAnswer): Uint8Array {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const head = `HTTP/1.1 ${status} ${REASONS[status] ?? "Status"}\r\nContent-Type: ${type}\r\n` +
    `Content-Length: ${bytes.length}\r\nConnection: close\r\n\r\n`;
  const encoded = new TextEncoder().encode(head);
  return joined([encoded, bytes], encoded.length + bytes.length);
}

function upgradeHead(protocol: string): Uint8Array {
  return new TextEncoder().encode(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`,
  );
}

/** The caller closes the connection if the client does not read its answer. */
async function send(stream: ByteStream, data: Uint8Array, transferMs: number): Promise<void> {
  await withLimit(stream.write(data), transferMs);
}

/** What is late ends when the connection is closed. */
function withLimit<T>(promise: Promise<T>, limitMs: number): Promise<T> {
  return inTime(promise, limitMs, () => new HttpError(408, `it took more than ${limitMs / 1000} s`));
}

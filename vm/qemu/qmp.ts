/**
 * QEMU's control protocol (QMP): JSON objects, one per line. The server greets, the client leaves the negotiation mode,
 * then commands are answered in order, with events in between.
 */

import type { ByteStream } from "../../rpc/stream.ts";
import { inTime } from "../../sys/timer.ts";

/** Something that QEMU tells unasked. */
export interface QmpEvent {
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** QEMU's answer that it cannot do what it was asked. */
export class QmpError extends Error {
  override readonly name = "QmpError";

  /**
   * @param command what it was asked
   * @param errorClass of the protocol: "GenericError", "DeviceNotFound", …
   */
  constructor(readonly command: string, readonly errorClass: string, description: string) {
    super(`QEMU cannot do "${command}": ${description}`);
  }
}

/** The connection has ended, and with it most likely QEMU. */
export class QmpClosed extends Error {
  override readonly name = "QmpClosed";
}

/** Oldest QEMU that has what the command line and the client use. */
const MIN_MAJOR = 5;

/** Longest line; answers to queries of big machines have a few hundred KiB. */
const MAX_LINE_BYTES = 4 * 1024 * 1024;

const NEWLINE = 10;

const GONE = "QEMU closed its control connection";

interface Pending {
  readonly command: string;
  readonly done: PromiseWithResolvers<unknown>;
}

/** How to connect. */
export interface ConnectOptions {
  readonly timeoutMs: number;
  onEvent?(event: QmpEvent): void;
  /** Writes bytes that a descriptor travels with; without it none can be sent. */
  sendFd?(bytes: Uint8Array, fd: number): Promise<void>;
}

/** A client on one connection. */
export class QmpClient {
  readonly #stream: ByteStream;
  readonly #greeting = handled(Promise.withResolvers<unknown>());
  readonly #pending = new Map<number, Pending>();
  readonly #onEvent: (event: QmpEvent) => void;
  readonly #sendFd: ConnectOptions["sendFd"];
  #lastId = 0;
  #end: QmpClosed | undefined;

  private constructor(stream: ByteStream, options: ConnectOptions) {
    this.#stream = stream;
    this.#onEvent = (event) => options.onEvent?.(event);
    this.#sendFd = options.sendFd;
    this.#follow();
  }

  /**
   * Waits for the greeting and enters command mode, which QEMU allows only when its machine is built. Takes ownership
   * of the stream, which is closed if that fails.
   *
   * @param onEvent called with every event; must not throw
   * @throws {QmpClosed} the connection ended
   * @throws {Error} nobody answers, or QEMU is too old
   */
  static async connect(
    stream: ByteStream,
    options: ConnectOptions,
  ): Promise<QmpClient> {
    const client = new QmpClient(stream, options);
    try {
      await within(options.timeoutMs, client.#negotiate(), "did not answer on its control socket");
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /**
   * Has QEMU do something.
   *
   * @param options `fd` is sent along; QEMU gets a copy
   * @returns the `return` member of the answer
   * @throws {QmpError} QEMU refused
   * @throws {QmpClosed} the connection ended first
   * @throws {Error} no answer came within `timeoutMs` (default 10 000)
   */
  async execute(
    command: string,
    args: Readonly<Record<string, unknown>> = {},
    options: { readonly timeoutMs?: number; readonly fd?: number } = {},
  ): Promise<unknown> {
    if (this.#end) throw this.#end;
    const id = ++this.#lastId;
    const done = handled(Promise.withResolvers<unknown>());
    this.#pending.set(id, { command, done });
    try {
      const request = JSON.stringify({ execute: command, arguments: args, id });
      await this.#write(new TextEncoder().encode(request + "\n"), options.fd);
      return await within(options.timeoutMs ?? 10_000, done.promise, `did not answer "${command}"`);
    } catch (error) {
      // A write that fails says less than how the connection ended.
      throw this.#end ?? error;
    } finally {
      this.#pending.delete(id);
    }
  }

  async #write(bytes: Uint8Array, fd: number | undefined): Promise<void> {
    try {
      if (fd === undefined) return await this.#stream.write(bytes);
      if (!this.#sendFd) throw new Error("descriptors cannot be sent over this connection");
      await this.#sendFd(bytes, fd);
    } catch (cause) {
      // QEMU is gone; the reader, who would say so, has just not had its turn yet
      throw this.#end ?? new QmpClosed(GONE, { cause });
    }
  }

  /** Ends the connection. Safe to call again. */
  close(): void {
    this.#finish(new QmpClosed("the control connection to QEMU is closed"));
  }

  async #negotiate(): Promise<void> {
    const version = versionOf(await this.#greeting.promise);
    if (version.major < MIN_MAJOR) {
      throw new Error(`QEMU must be of version ${MIN_MAJOR}.0 or newer: it is ${version.text}`);
    }
    await this.execute("qmp_capabilities");
  }

  async #follow(): Promise<void> {
    try {
      for await (const line of readLines(this.#stream)) this.#message(JSON.parse(line));
      this.#finish(new QmpClosed(GONE));
    } catch (error) {
      this.#finish(new QmpClosed(`the control connection to QEMU broke: ${text(error)}`, { cause: error }));
    }
  }

  #message(message: unknown): void {
    if (!isRecord(message)) throw new Error("a message is not an object");
    if (isRecord(message.QMP)) return this.#greeting.resolve(message.QMP);
    if (typeof message.event === "string") {
      return this.#onEvent({ name: message.event, data: isRecord(message.data) ? message.data : {} });
    }
    const pending = typeof message.id === "number" ? this.#pending.get(message.id) : undefined;
    if (pending === undefined) return; // the answer to a command that nobody waits for any more
    if (isRecord(message.error)) {
      const { class: errorClass, desc } = message.error;
      pending.done.reject(new QmpError(pending.command, String(errorClass), String(desc)));
    } else {
      pending.done.resolve(message.return);
    }
  }

  #finish(reason: QmpClosed): void {
    if (this.#end) return;
    this.#end = reason;
    this.#stream.close();
    this.#greeting.reject(reason);
    for (const { done } of this.#pending.values()) done.reject(reason);
  }
}

/** Lines without their ends; the bytes after the last one are dropped. */
async function* readLines(stream: ByteStream): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(16 * 1024);
  let parts: Uint8Array[] = [];
  let held = 0;
  for (;;) {
    const count = await stream.read(buffer);
    if (count === 0) return;
    let start = 0;
    for (let end; (end = buffer.subarray(0, count).indexOf(NEWLINE, start)) >= 0; start = end + 1) {
      parts.push(buffer.slice(start, end));
      const line = decoder.decode(concat(parts)).trim();
      parts = [];
      held = 0;
      if (line !== "") yield line;
    }
    held += count - start;
    if (held > MAX_LINE_BYTES) throw new Error(`a line has more than ${MAX_LINE_BYTES} bytes`);
    parts.push(buffer.slice(start, count));
  }
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function versionOf(greeting: unknown): { major: number; text: string } {
  const version = isRecord(greeting) && isRecord(greeting.version) ? greeting.version : {};
  const qemu = isRecord(version.qemu) ? version.qemu : {};
  const major = Number(qemu.major);
  if (!Number.isInteger(major)) throw new Error("QEMU's greeting has no version");
  return { major, text: `${major}.${qemu.minor}.${qemu.micro}` };
}

function within<T>(ms: number, promise: Promise<T>, what: string): Promise<T> {
  return inTime(promise, ms, () => new Error(`QEMU ${what} within ${ms} ms`));
}

/** A promise that may be rejected before, or without, anybody waiting for it. */
function handled<T>(deferred: PromiseWithResolvers<T>): PromiseWithResolvers<T> {
  deferred.promise.catch(() => {});
  return deferred;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

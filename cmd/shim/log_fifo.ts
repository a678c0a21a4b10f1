/**
 * The shim's log: lines in logrus' text form into the bundle's log FIFO, which containerd copies to its own log.
 *
 * containerd goes and comes back. While nobody reads, lines are lost rather than waited for.
 *
 * @module
 */

import { isErrno } from "../../sys/errors.ts";
import { closeFd, O, openFd, writeFd } from "../../sys/fd.ts";
import type { Log, LogFields, LogLevel } from "../../sandbox/log.ts";

/** Up to this length a write to a pipe is all or nothing, and lines of several writers do not mix. */
const PIPE_BUF = 4096;

/** Pause before the FIFO is opened again after its reader went, in milliseconds. */
const REOPEN_MS = 1_000;

/** Writes to a FIFO and never waits for it. */
export class FifoLog implements Log {
  readonly #path: string;
  readonly #fields: LogFields;
  #debug: boolean;
  #fd: number | undefined;
  #openAgainAt = 0;

  /** @param fields go with every line */
  constructor(path: string, debug: boolean, fields: LogFields = {}) {
    this.#path = path;
    this.#debug = debug;
    this.#fields = fields;
  }

  /** Debug lines are written from now on, too. */
  enableDebug(): void {
    this.#debug = true;
  }

  write(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (level === "debug" && !this.#debug) return;
    const fd = this.#open();
    if (fd === undefined) return;
    try {
      writeFd(fd, encodeLine(formatLine(new Date(), level, message, { ...this.#fields, ...fields })));
    } catch (error) {
      // a full pipe costs this line; a reader that went costs the lines until the next one comes
      if (!isErrno(error, "EAGAIN")) this.#close();
    }
  }

  #open(): number | undefined {
    if (this.#fd !== undefined) return this.#fd;
    if (performance.now() < this.#openAgainAt) return undefined;
    try {
      // without a reader this fails at once (ENXIO)
      this.#fd = openFd(this.#path, O.WRONLY | O.NONBLOCK);
    } catch {
      this.#openAgainAt = performance.now() + REOPEN_MS;
    }
    return this.#fd;
  }

  #close(): void {
    if (this.#fd !== undefined) closeFd(this.#fd);
    this.#fd = undefined;
    this.#openAgainAt = performance.now() + REOPEN_MS;
  }
}

/** One line in logrus' text form. */
export function formatLine(time: Date, level: LogLevel, message: string, fields: LogFields): string {
  const parts = [`time="${time.toISOString()}"`, `level=${level}`, `msg=${quote(message, true)}`];
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) parts.push(`${key}=${quote(String(value), false)}`);
  }
  return `${parts.join(" ")}\n`;
}

/** Quoted where logrus quotes: when anything but plain characters is in it. */
function quote(text: string, always: boolean): string {
  return !always && /^[A-Za-z0-9\-._/@^+]+$/.test(text) ? text : JSON.stringify(text);
}

function encodeLine(line: string): Uint8Array {
  const bytes = new TextEncoder().encode(line);
  if (bytes.length <= PIPE_BUF) return bytes;
  const cut = bytes.slice(0, PIPE_BUF);
  cut.set(new TextEncoder().encode('…"\n'), PIPE_BUF - 5);
  return cut;
}

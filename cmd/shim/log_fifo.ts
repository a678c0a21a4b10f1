/**
 * The shim's log: lines in logrus' text form into the bundle's log FIFO, which containerd copies to its own log.
 *
 * containerd goes and comes back. While nobody reads, lines are lost rather than waited for.
 *
 * @module
 */

import type { Log, LogFields, LogLevel } from "../../sandbox/log/log.ts";
import { encodeLine, formatLine } from "../../sandbox/log/log_line.ts";
import { isErrno } from "../../sys/errors.ts";
import { closeFd, O, openFd, writeFd } from "../../sys/fd.ts";

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
      const line = formatLine(new Date(), level, message, { ...this.#fields, ...fields });
      writeFd(fd, encodeLine(line, PIPE_BUF));
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

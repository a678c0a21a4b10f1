/**
 * Descriptors of the caller as a process's streams: what a shell gave to a command-line program.
 *
 * @module
 */

import { isErrno } from "../../sys/errors.ts";
import { dupFd, O, openFd, openFlags, S, setNonblock, statFd } from "../../sys/fd.ts";
import { AsyncFd } from "../../sys/poll.ts";
import type { InputEnd, IoSource, OutputEnd, ProcessIo } from "./streams.ts";

/** The caller's descriptors; they stay open and stay the caller's. */
export interface CallerFds {
  readonly stdin?: number;
  readonly stdout?: number;
  readonly stderr?: number;
}

/**
 * Streams that lead to descriptors of this process. With a terminal there is no standard error of its own.
 *
 * @param onUnread called when something is written that nobody can read any more, as with a pipe to `head`
 */
export function fdIo(fds: CallerFds, terminal: boolean, onUnread?: () => void): IoSource {
  return {
    names: { terminal, stdin: "", stdout: "", stderr: "" },
    open: () => Promise.resolve(openFds(fds, terminal, onUnread)),
  };
}

function openFds(fds: CallerFds, terminal: boolean, onUnread?: () => void): ProcessIo {
  return {
    stdin: fds.stdin === undefined ? undefined : new FdInput(fds.stdin),
    stdout: fds.stdout === undefined ? undefined : new FdOutput(fds.stdout, onUnread),
    stderr: fds.stderr === undefined || terminal ? undefined : new FdOutput(fds.stderr, onUnread),
  };
}

/** A descriptor of our own, and what to do with the caller's when it is closed. */
interface OwnDescriptor {
  readonly fd: AsyncFd;
  restore(): void;
}

/**
 * A descriptor of our own for the same file.
 *
 * `O_NONBLOCK` belongs to the open file and not to the descriptor: set on a shell's terminal it would confuse every
 * other program there. Pipes and terminals can be opened anew through `/proc` and are then open files of their own.
 * Of what cannot, the flag is put back in the end. (Plain files must not be: they have a position.)
 */
function ownDescriptor(fd: number, access: number): OwnDescriptor {
  const { type } = statFd(fd);
  if (type === S.IFIFO || type === S.IFCHR) {
    try {
      const own = openFd(`/proc/self/fd/${fd}`, access | O.NOCTTY | O.NONBLOCK);
      return { fd: new AsyncFd(own, `descriptor ${fd}`), restore: () => {} };
    } catch {
      // a terminal that belongs to somebody else, for example
    }
  }
  const wasBlocking = (openFlags(fd) & O.NONBLOCK) === 0;
  return {
    fd: new AsyncFd(dupFd(fd), `descriptor ${fd}`),
    restore: () => {
      if (wasBlocking) setNonblock(fd, false);
    },
  };
}

/** Reads a descriptor of the caller until its end. */
export class FdInput implements InputEnd {
  readonly #own: OwnDescriptor;
  #closed = false;

  constructor(fd: number) {
    this.#own = ownDescriptor(fd, O.RDONLY);
  }

  async read(into: Uint8Array): Promise<number> {
    if (this.#closed) return 0;
    try {
      return await this.#own.fd.read(into);
    } catch (error) {
      // a read that waits rejects when its descriptor is closed
      if (this.#closed) return 0;
      throw error;
    }
  }

  finish(): void {
    this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#own.fd.close();
    this.#own.restore();
  }
}

/** Writes to a descriptor of the caller. */
export class FdOutput implements OutputEnd {
  readonly #own: OwnDescriptor;
  readonly #onUnread: (() => void) | undefined;
  #closed = false;

  constructor(fd: number, onUnread?: () => void) {
    this.#own = ownDescriptor(fd, O.WRONLY);
    this.#onUnread = onUnread;
  }

  async write(data: Uint8Array): Promise<void> {
    try {
      await this.#own.fd.write(data);
    } catch (error) {
      if (isErrno(error, "EPIPE")) this.#onUnread?.();
      throw error;
    }
  }

  ending(): void {}

  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#own.fd.close();
      this.#own.restore();
    }
    return Promise.resolve();
  }
}

/** A shell in the guest for an operator of the host, with a terminal or with pipes. */

import { failedPrecondition } from "../errors.ts";
import { StreamReader } from "../stream_reader.ts";
import { isErrno } from "../../sys/errors.ts";
import { isFile } from "../../sys/exists.ts";
import { closeFd, pipe } from "../../sys/fd.ts";
import { AsyncFd } from "../../sys/poll.ts";
import { type ChildProcess, type ExitStatus, killProcess } from "../../sys/process.ts";
import { openPty, setWindowSize, type WindowSize } from "../../sys/pty.ts";
import { SIGNALS } from "../../sys/signals.ts";
import { spawn } from "../../sys/spawn.ts";
import { Timer } from "../../sys/timer.ts";

/** Shells that are looked for, in this order. */
export const SHELLS: readonly string[] = ["/bin/bash", "/bin/sh"];

/** Most bytes of one piece of output. */
const CHUNK_BYTES = 65_536;

/** How long a shell may take to end when its terminal is gone, in milliseconds. */
const HANGUP_MS = 2_000;

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** How to start a shell. */
export interface ShellOptions {
  /** Pipes if absent. */
  readonly size?: WindowSize;
  /** Kind of the operator's terminal. */
  readonly term: string;
  /** Default: {@linkcode SHELLS}. */
  readonly shells?: readonly string[];
}

/** The descriptors of a shell: ours, and its own. */
interface Streams {
  readonly input: AsyncFd;
  readonly output: AsyncFd;
  /** Of the shell, by their numbers there. */
  readonly fds: ReadonlyMap<number, number>;
}

/** A running shell. */
export class Shell implements Disposable {
  readonly path: string;
  readonly #child: ChildProcess;
  readonly #input: AsyncFd;
  readonly #output: StreamReader;
  readonly #hasTerminal: boolean;

  private constructor(path: string, child: ChildProcess, { input, output }: Streams, hasTerminal: boolean) {
    this.path = path;
    this.#child = child;
    this.#input = input;
    this.#output = new StreamReader(output);
    this.#hasTerminal = hasTerminal;
    // always: a shell that has ended is reaped
    child.wait().catch(() => {});
  }

  /** @throws {RpcError} `FailedPrecondition` if the guest has no shell */
  static async start({ size, term, shells = SHELLS }: ShellOptions): Promise<Shell> {
    const path = shells.find(isFile);
    if (path === undefined) {
      throw failedPrecondition(
        `the guest has no shell: there is neither ${shells.map((shell) => `"${shell}"`).join(" nor ")}; ` +
          `guest assets with one are made by "kata-runtime guest build --with FILE:/bin/sh"`,
      );
    }
    const streams = size === undefined ? pipes() : terminal(size);
    try {
      const child = await spawn({
        argv: [path],
        cwd: "/",
        env: { PATH, TERM: term, HOME: "/root", USER: "root" },
        fds: streams.fds,
        session: true,
        controllingTerminal: size !== undefined,
      });
      return new Shell(path, child, streams, size !== undefined);
    } catch (error) {
      streams.input.close();
      streams.output.close();
      throw error;
    } finally {
      for (const fd of new Set(streams.fds.values())) closeFd(fd);
    }
  }

  /** Settles when the shell has ended. */
  get exited(): Promise<ExitStatus> {
    return this.#child.wait();
  }

  /** The next piece of what is written; undefined when the shell and all other holders of its pipe have ended. */
  read(signal?: AbortSignal): Promise<Uint8Array | undefined> {
    return this.#output.read(CHUNK_BYTES, signal);
  }

  /** Waits until the shell has taken it. What a shell that has ended does not take is lost. */
  async write(data: Uint8Array): Promise<void> {
    try {
      await this.#input.write(data);
    } catch (error) {
      if (!isErrno(error, "EPIPE", "EIO", "EBADF")) throw error;
    }
  }

  /** No more input comes: the end of a pipe, or on a terminal the key for it. */
  async end(): Promise<void> {
    const END_OF_TRANSMISSION = 4;
    if (this.#hasTerminal) await this.write(Uint8Array.of(END_OF_TRANSMISSION));
    else this.#input.close();
  }

  /** Does nothing without a terminal. */
  resize(size: WindowSize): void {
    if (this.#hasTerminal && this.#input.fd >= 0) setWindowSize(this.#input.fd, size);
  }

  /** Hangs up: sends SIGHUP to the shell and its foreground job, then SIGKILL if they do not end. */
  [Symbol.dispose](): void {
    this.#output[Symbol.dispose]();
    this.#input.close();
    if (this.#child.status) return;
    this.#signalGroup(SIGNALS.SIGHUP);
    const timer = new Timer(HANGUP_MS, () => this.#signalGroup(SIGNALS.SIGKILL));
    this.#child.wait().then(() => timer.cancel(), () => timer.cancel());
  }

  #signalGroup(signal: number): void {
    try {
      if (!this.#child.status) killProcess(-this.#child.pid, signal);
    } catch (error) {
      if (!isErrno(error, "ESRCH")) throw error;
    }
  }
}

function terminal(size: WindowSize): Streams {
  const { master, slave } = openPty();
  setWindowSize(master.fd, size);
  return { input: master, output: master, fds: new Map([[0, slave], [1, slave], [2, slave]]) };
}

function pipes(): Streams {
  const [stdin, input] = pipe();
  const [output, stdout] = pipe();
  return {
    input: new AsyncFd(input, "input of a shell"),
    output: new AsyncFd(output, "output of a shell"),
    fds: new Map([[0, stdin], [1, stdout], [2, stdout]]),
  };
}

/** Helper programs that run beside this one: their output is read, their end is noticed. */

import { isErrno } from "./errors.ts";
import { closeFd, pipe } from "./fd.ts";
import { LineSplitter, Tail } from "./lines.ts";
import { AsyncFd } from "./poll.ts";
import { type ChildProcess, type ExitStatus, killProcess } from "./process.ts";
import { signalName, SIGNALS } from "./signals.ts";
import { spawn, type SpawnOptions } from "./spawn.ts";
import { Timer } from "./timer.ts";

/** How a daemon is started. It dies with this process, and is in a process group of its own. */
export interface DaemonOptions
  extends Omit<SpawnOptions, "parentDeathSignal" | "processGroup" | "session" | "fds"> {
  /** Descriptors from 3 on: child fd → fd of this process, which stays the caller's. */
  readonly fds?: ReadonlyMap<number, number>;
  /** Receives each line of standard output and standard error. */
  onLine(line: string): void;
}

/** How a daemon ended. */
export interface DaemonExit {
  readonly status: ExitStatus;
  /** The last lines that it wrote, oldest first. */
  readonly lastLines: readonly string[];
}

const TAIL_LINES = 20;
const MAX_LINE = 4096;

/** How long output is read after the end, in milliseconds: some other process may hold the pipe. */
const DRAIN_MS = 200;

/** A running program, with all processes of its group. */
export class Daemon implements AsyncDisposable {
  readonly pid: number;
  /** Resolves when the program has ended and what it wrote is read; the rest of its group is killed then. */
  readonly exited: Promise<DaemonExit>;
  readonly #child: ChildProcess;
  readonly #tail = new Tail(TAIL_LINES);

  private constructor(child: ChildProcess, output: AsyncFd, onLine: (line: string) => void) {
    this.pid = child.pid;
    this.#child = child;
    this.exited = this.#watch(output, this.#follow(output, onLine));
  }

  /**
   * Starts a program; only the standard environment variable PATH is handed on unless `env` is given.
   *
   * @throws {StepError} it cannot be executed: `execve /usr/bin/x: ENOENT`
   */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const [read, write] = pipe();
    const output = new AsyncFd(read, `output of ${options.argv[0]}`);
    try {
      const child = await spawn({
        cwd: "/",
        env: searchPath(),
        ...options,
        fds: new Map([...options.fds ?? [], [1, write], [2, write]]),
        parentDeathSignal: SIGNALS.SIGKILL,
        processGroup: true,
      });
      return new Daemon(child, output, options.onLine);
    } catch (error) {
      output.close();
      throw error;
    } finally {
      closeFd(write);
    }
  }

  /** The last lines that it wrote up to now, oldest first. */
  get lastLines(): readonly string[] {
    return this.#tail.lines;
  }

  /** Kills the whole group. Safe to call when it has ended. */
  kill(): void {
    // A group keeps its number while it has members, and so does a leader that is not reaped.
    if (!this.#child.status) this.#killGroup();
  }

  /** Kills it and waits for its end. Safe to call again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.exited;
  }

  #killGroup(): void {
    try {
      killProcess(-this.pid, SIGNALS.SIGKILL);
    } catch (error) {
      if (!isErrno(error, "ESRCH")) throw error;
    }
  }

  async #follow(output: AsyncFd, onLine: (line: string) => void): Promise<void> {
    const lines = new LineSplitter((line) => {
      this.#tail.push(line);
      onLine(line);
    }, MAX_LINE);
    const buffer = new Uint8Array(4096);
    try {
      for (let count; (count = await output.read(buffer)) > 0;) lines.push(buffer.subarray(0, count));
    } catch (error) {
      if (!isErrno(error, "EBADF")) throw error; // closed below
    }
    lines.end();
  }

  async #watch(output: AsyncFd, followed: Promise<void>): Promise<DaemonExit> {
    const status = await this.#child.wait();
    this.#killGroup();
    const timer = new Timer(DRAIN_MS, () => output.close());
    await followed;
    timer.cancel();
    output.close();
    return { status, lastLines: this.#tail.lines };
  }
}

/** A host's environment may hold secrets: helpers only get PATH. */
function searchPath(): Record<string, string> {
  const path = Deno.env.get("PATH");
  return path === undefined ? {} : { PATH: path };
}

/** How a program ended, in words: "exited with 1", "was killed by SIGSEGV". */
export function describeStatus(status: ExitStatus): string {
  return status.signal === 0 ? `exited with ${status.code}` : `was killed by ${signalName(status.signal)}`;
}

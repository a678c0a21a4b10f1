/** A process of a container, from the moment that it is complete. */

import type { ChildProcess, ExitStatus } from "../../sys/process.ts";

/** A running or ended process. */
export class ContainerProcess {
  /** Its id, as the agent sees it. */
  readonly pid: number;
  /**
   * How it ended, once it has. Watched from the start: a pid namespace only ends when all its processes are
   * reaped.
   */
  readonly exit: Promise<ExitStatus>;
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.pid = child.pid;
    this.exit = child.wait();
  }

  /** Descriptor of the process; -1 once it is reaped. */
  get pidfd(): number {
    return this.#child.pidfd;
  }

  /** How it ended; undefined while it runs. */
  get status(): ExitStatus | undefined {
    return this.#child.status;
  }

  /** Sends a signal, as it is. @throws {SysError} `ESRCH` when it has ended */
  signal(signal: number): void {
    this.#child.signal(signal);
  }
}

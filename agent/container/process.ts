/** A process of a container, from the moment that it is complete. */

import type { Rlimit } from "../../oci/spec.ts";
import { SpecError } from "../../oci/check.ts";
import { RLIMITS } from "../../oci/rules.ts";
import { isErrno } from "../../sys/errors.ts";
import type { ChildProcess, ExitStatus } from "../../sys/process.ts";
import { syscall } from "../../sys/syscall.ts";

/** A running or ended process. */
export class ContainerProcess {
  /** Its id, as the agent sees it. */
  readonly pid: number;
  /** How it ended, once it has. Watched from the start: a pid namespace only ends when all its processes are reaped. */
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

/**
 * Sets the limits of a process that waits for its start. From outside, as the process has given its privileges away,
 * and would have been limited itself.
 *
 * @throws {SpecError} if the agent may not set one
 */
export function setRlimits(pid: number, rlimits: readonly Rlimit[]): void {
  for (const [index, { type, soft, hard }] of rlimits.entries()) {
    const limits = new BigUint64Array([BigInt(soft), BigInt(hard)]);
    try {
      syscall("prlimit64", [pid, RLIMITS[type] ?? -1, new Uint8Array(limits.buffer), null], type);
    } catch (error) {
      if (!isErrno(error)) throw error;
      const problem = `cannot be set: ${type} of ${soft} and ${hard} gives ${error.code}`;
      throw new SpecError(`process.rlimits[${index}]`, problem);
    }
  }
}

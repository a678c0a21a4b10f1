import { STRUCTS } from "./abi/structs.ts";
import { ERRNO, isErrno, SysError } from "./errors.ts";
import { closeFd } from "./fd.ts";
import { AsyncFd } from "./poll.ts";
import { syscall, trySyscall } from "./syscall.ts";

/** How a process ended. */
export interface ExitStatus {
  /** What it passed to exit(); 0 if a signal ended it. */
  readonly code: number;
  /** The signal that ended it; 0 if it exited. */
  readonly signal: number;
}

const SIGINFO = STRUCTS.siginfo;
const P_ALL = 0;
const P_PIDFD = 3;
const WNOHANG = 0x1;
const WEXITED = 0x4;
const WNOWAIT = 0x01000000;
// Children made by clone3 without an exit signal are waited for only with this.
const WALL = 0x40000000;
const CLD_EXITED = 1;
const SIGKILL = 9;

const PR_SET_CHILD_SUBREAPER = 36;

/** struct siginfo as waitid fills it: the id of the process and how it ended; pid 0 if there was nothing. */
function waitid(kind: number, id: number, options: number): { pid: number; status: ExitStatus } {
  const info = new Uint8Array(SIGINFO.size);
  syscall("waitid", [kind, id, info, options, null], String(id));
  const view = new DataView(info.buffer);
  const value = view.getInt32(SIGINFO.si_status, true);
  const exited = view.getInt32(SIGINFO.si_code, true) === CLD_EXITED;
  return {
    pid: view.getInt32(SIGINFO.si_pid, true),
    status: exited ? { code: value, signal: 0 } : { code: 0, signal: value },
  };
}

/**
 * A descriptor for a process, which cannot come to mean another process as a pid can. Close-on-exec; the caller owns
 * it.
 *
 * @throws {SysError} `ESRCH` if there is none of that id
 */
export function pidfdOpen(pid: number): number {
  return syscall("pidfd_open", [pid, 0], String(pid));
}

/** Sends a signal to a process of any parent. @throws {SysError} `ESRCH`, `EPERM` */
export function killProcess(pid: number, signal: number): void {
  syscall("kill", [pid, signal], String(pid));
}

/** From now on, orphans among the descendants become children of this process. */
export function setChildSubreaper(): void {
  syscall("prctl", [PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0]);
}

const children = new Map<number, ChildProcess>();

/** A child of this process, reaped through its pidfd and by nobody else. */
export class ChildProcess implements AsyncDisposable {
  readonly pid: number;
  readonly #pidfd: AsyncFd;
  readonly #exit = Promise.withResolvers<ExitStatus>();
  #status: ExitStatus | undefined;
  #watching = false;

  private constructor(pid: number, pidfd: number) {
    this.pid = pid;
    this.#pidfd = new AsyncFd(pidfd, `pidfd of ${pid}`);
    children.set(pid, this);
  }

  /**
   * Takes charge of a child. To be called in the turn that made it, before {@linkcode reapOrphans} can run.
   *
   * @param pidfd a descriptor for it, which the object then owns; opened here if left out
   * @throws {SysError} `ESRCH` if there is no such process
   */
  static adopt(pid: number, pidfd?: number): ChildProcess {
    const known = children.get(pid);
    if (known) throw new Error(`process ${pid} is adopted already`);
    return new ChildProcess(pid, pidfd ?? pidfdOpen(pid));
  }

  /** The child's pidfd, owned by this object; -1 once it is reaped. */
  get pidfd(): number {
    return this.#pidfd.fd;
  }

  /** How it ended; undefined while that is not known. */
  get status(): ExitStatus | undefined {
    return this.#status;
  }

  /**
   * Waits until it ended, and reaps it. All callers get the same answer. A pending wait keeps the program alive.
   *
   * @throws {SysError} `ECHILD` if it is not a child of this process
   */
  wait(): Promise<ExitStatus> {
    if (!this.#watching && !this.#status) {
      this.#watching = true;
      this.#watch().catch((error: unknown) => this.#exit.reject(error));
    }
    return this.#exit.promise;
  }

  async #watch(): Promise<void> {
    while (!this.reap()) {
      try {
        await this.#pidfd.readable();
      } catch (error) {
        // Reaped by reapOrphans in the meantime, which closed the pidfd.
        if (!this.#status) throw error;
      }
    }
  }

  /** Reaps it if it ended. @returns whether it is reaped. Does not wait; for {@linkcode reapOrphans} and this class. */
  reap(): boolean {
    if (this.#status) return true;
    let ended: { pid: number; status: ExitStatus };
    try {
      ended = waitid(P_PIDFD, this.#pidfd.fd, WEXITED | WNOHANG | WALL);
    } catch (error) {
      this.#forget(); // not a child of this process, or reaped by somebody else
      throw error;
    }
    if (ended.pid === 0) return false;
    this.#status = ended.status;
    this.#forget();
    this.#exit.resolve(ended.status);
    return true;
  }

  #forget(): void {
    children.delete(this.pid);
    this.#pidfd.close();
  }

  /** Sends a signal. @throws {SysError} `ESRCH` when it ended */
  signal(signal: number): void {
    if (this.#pidfd.fd < 0) throw new SysError("pidfd_send_signal", ERRNO.ESRCH, String(this.pid));
    const result = trySyscall("pidfd_send_signal", [this.#pidfd.fd, signal, null, 0]);
    if (result < 0) throw new SysError("pidfd_send_signal", -result, String(this.pid));
  }

  /** Kills it if it runs, and reaps it. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.signal(SIGKILL);
    } catch (error) {
      if (!isErrno(error, "ESRCH")) throw error;
    }
    await this.wait();
  }
}

/**
 * Reaps all ended children without a {@linkcode ChildProcess}: orphans that this process inherited.
 * Adopted ones that ended are reaped too, into their object.
 *
 * @returns the pids of the orphans
 */
export function reapOrphans(): number[] {
  const reaped: number[] = [];
  for (;;) {
    let next: number;
    try {
      // Look first, without taking: an adopted child's status belongs to its object.
      next = waitid(P_ALL, 0, WEXITED | WNOHANG | WNOWAIT | WALL).pid;
    } catch (error) {
      if (isErrno(error, "ECHILD")) return reaped;
      throw error;
    }
    if (next === 0) return reaped;
    const child = children.get(next);
    if (child) {
      child.reap();
    } else {
      const pidfd = pidfdOpen(next);
      try {
        waitid(P_PIDFD, pidfd, WEXITED | WNOHANG | WALL);
      } finally {
        closeFd(pidfd);
      }
      reaped.push(next);
    }
  }
}

/**
 * Runs a syscall program (program.ts) in a new process.
 *
 * The parent prepares everything as bytes in memory of its own, then one native call clones the process: from there to
 * `execve` the child runs nothing but the native loop. Parent and child share a socket that closes itself at `execve`;
 * failures and checkpoints come back through it as records, and each `go` is a byte on it.
 */

import { isErrno } from "./errors.ts";
import { closeFd, dupFd, O, openFd, OwnedFd, writeFd } from "./fd.ts";
import { buildImage, type Image } from "./native/image.ts";
import { HEADER, OPERATION, RECORD_SIZE } from "./native/layout.ts";
import { Arena, runNative } from "./native/memory.ts";
import { BEFORE_EXECVE, CHECKPOINT, CONTINUED, type Plan } from "./native/operations.ts";
import { AsyncFd } from "./poll.ts";
import { ChildProcess, type ExitStatus } from "./process.ts";
import { type Program, type Slot, StepError } from "./program.ts";
import { syscall } from "./syscall.ts";

/** How a program is run. All file descriptors stay the caller's. */
export interface LaunchOptions {
  /** CLONE_NEW* namespaces that the child is created in. */
  readonly flags?: number;
  /** Folder of a version 2 cgroup that the child is created in. */
  readonly cgroupFd?: number;
  /** A pid namespace that the child is created in; the caller stays in its own. */
  readonly pidNamespaceFd?: number;
  /**
   * child fd → the parent's fd that it becomes, whatever the overlap; 0, 1 and 2 are /dev/null where they are missing.
   * Descriptors that the program itself opened must not have one of these numbers when `wireFds` comes.
   */
  readonly fds?: ReadonlyMap<number, number>;
  /**
   * The parent's fds that steps name by number. When given, all others (from 3 up) are closed in the child at once,
   * but for those in `fds`. A child that waits (`awaitGo`) needs this: it would keep pipes and sockets of the parent
   * open, so that their other ends never see the end.
   */
  readonly inherit?: Iterable<number>;
  /** First values of slots. */
  readonly inputs?: ReadonlyMap<Slot, number | bigint>;
}

/** A child on its way to `execve`. Who launched it owns `child`: dispose of it (or of this), or wait for its end. */
export interface Launched extends AsyncDisposable {
  /** Another one from the moment on that the program went on in a new process (`continueInChild`). */
  readonly child: ChildProcess;
  /** Names of the checkpoints that were reached so far, in order. */
  readonly checkpoints: readonly string[];
  /**
   * Waits for a checkpoint.
   *
   * @throws {StepError} a step failed, and the child has ended
   * @throws {Error} it died, or went on to `execve` without passing the checkpoint
   */
  reached(checkpoint: string): Promise<void>;
  /**
   * Waits until `execve` has succeeded.
   *
   * @throws {StepError} a step failed, and the child has ended
   * @throws {Error} it died, or the program ended without `execve`
   */
  executed(): Promise<void>;
  /** Lets the child go on from one `awaitGo`. A child that is no more is no error here: the promises tell. */
  go(): void;
}

/** All that a child may be given of its own at its creation: CLONE_NEWTIME to CLONE_NEWNET. */
const NAMESPACE_FLAGS = 0x7e02_0080;
const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 0o2000001;

/**
 * Creates a process that runs the program.
 *
 * In the child, before the first step: all signals have their default action and none is blocked. What a failed
 * launch took is given back before it throws.
 *
 * @throws {StepError} `create process` or `join pid namespace` failed
 * @throws {Error} the program or the options are invalid
 */
export function launch(program: Program, options: LaunchOptions = {}): Launched {
  const flags = options.flags ?? 0;
  if ((flags & ~NAMESPACE_FLAGS) !== 0) {
    throw new Error(`flags can only be CLONE_NEW* ones: they are 0x${(flags >>> 0).toString(16)}`);
  }
  using taken = new DisposableStack();
  const own = (fd: number): number => {
    taken.defer(() => closeFd(fd));
    return fd;
  };
  const fds = wiring(options.fds, own);
  const [parent, statusFd] = statusSocket(Math.max(...fds.keys()) + 1, own);
  using parentFd = parent;
  const image = buildImage(program, {
    flags,
    cgroupFd: options.cgroupFd,
    pidNamespace: pidNamespaces(options.pidNamespaceFd, own),
    statusFd,
    parentFd: parentFd.fd,
    fds,
    inherit: options.inherit,
    inputs: options.inputs ?? new Map(),
  });
  const child = createProcess(image);
  return new Launch(
    child,
    image.names,
    program.checkpoints,
    new AsyncFd(parentFd.release(), "status socket"),
  );
}

/** 0, 1 and 2 are always wired, so that a child never has the parent's own by accident. */
function wiring(wanted: LaunchOptions["fds"], own: (fd: number) => number): ReadonlyMap<number, number> {
  const fds = new Map(wanted);
  const missing = [0, 1, 2].filter((fd) => !fds.has(fd));
  if (missing.length > 0) {
    const devNull = own(openFd("/dev/null", O.RDWR | O.CLOEXEC));
    for (const fd of missing) fds.set(fd, devNull);
  }
  return fds;
}

/** The parent's end, and the child's, whose number is kept out of the way of the child's descriptors. */
function statusSocket(above: number, own: (fd: number) => number): [OwnedFd, number] {
  const pair = new Int32Array(2);
  syscall("socketpair", [AF_UNIX, SOCK_STREAM_CLOEXEC, 0, new Uint8Array(pair.buffer)]);
  const [first = -1, second = -1] = pair;
  own(second);
  const parent = new OwnedFd(first);
  try {
    return [parent, second >= above ? second : own(dupFd(second, above))];
  } catch (error) {
    parent.close();
    throw error;
  }
}

function pidNamespaces(fd: number | undefined, own: (fd: number) => number): Plan["pidNamespace"] {
  if (fd === undefined) return undefined;
  return { fd, ownFd: own(openFd("/proc/thread-self/ns/pid_for_children", O.RDONLY | O.CLOEXEC)) };
}

/** Runs the image; what the child does from here on comes through the status socket. */
function createProcess(image: Image): ChildProcess {
  using arena = new Arena(image.bytes.length);
  image.relocate(arena.address);
  arena.bytes.set(image.bytes);
  runNative(arena.address);
  const header = new DataView(arena.bytes.buffer);
  const pid = Number(header.getBigInt64(HEADER.PID, true));
  const child = pid === 0 ? undefined : ChildProcess.adopt(pid, header.getInt32(image.pidfd, true));
  const failed = header.getBigInt64(HEADER.FAILED, true);
  if (child && failed === 0n) return child;
  child?.[Symbol.asyncDispose]();
  const first = header.getBigInt64(HEADER.FIRST, true);
  const step = image.names[Number(failed - first) / OPERATION.SIZE] ?? "create process";
  throw new StepError(step, -Number(header.getBigInt64(HEADER.RESULT, true)));
}

/** Follows a child by its status socket. */
class Launch implements Launched {
  child: ChildProcess;
  readonly #passed: string[] = [];
  readonly #awaited = new Map<string, PromiseWithResolvers<void>>();
  readonly #executed = settled(Promise.withResolvers<void>());
  #atExecve = false;
  #failure: StepError | undefined;
  #disposed = false;
  /** The process in whose place the child has gone on. */
  #before: ChildProcess | undefined;
  readonly #followed: Promise<void>;

  constructor(
    child: ChildProcess,
    readonly names: readonly string[],
    checkpoints: ReadonlySet<string>,
    readonly status: AsyncFd,
  ) {
    for (const name of checkpoints) this.#awaited.set(name, settled(Promise.withResolvers<void>()));
    this.child = child;
    this.#followed = this.#follow();
  }

  get checkpoints(): readonly string[] {
    return [...this.#passed];
  }

  reached(checkpoint: string): Promise<void> {
    const awaited = this.#awaited.get(checkpoint);
    if (awaited === undefined) {
      return Promise.reject(new Error(`the program has no checkpoint "${checkpoint}"`));
    }
    return awaited.promise;
  }

  executed(): Promise<void> {
    return this.#executed.promise;
  }

  go(): void {
    try {
      writeFd(this.status.fd, new Uint8Array(1));
    } catch (error) {
      if (!isErrno(error, "EPIPE", "EBADF", "ECONNRESET")) throw error;
    }
  }

  /** Kills it if it runs, and reaps it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await this.child[Symbol.asyncDispose]();
    // A process that has just taken its place ends: it waits to be let go on. If its record was written it is known
    // when the socket has been read to its end; else it is an orphan.
    this.#hangUp();
    await this.#followed;
    await this.child[Symbol.asyncDispose]();
  }

  #hangUp(): void {
    const SHUT_WR = 1;
    try {
      syscall("shutdown", [this.status.fd, SHUT_WR]);
    } catch (error) {
      if (!isErrno(error, "ENOTCONN", "EBADF")) throw error;
    }
  }

  async #follow(): Promise<void> {
    try {
      await this.#readRecords();
      await this.#before?.wait();
      this.#finish(this.#atExecve && !this.#failure ? undefined : await this.#reason());
    } catch (error) {
      this.#finish(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.status.close();
    }
  }

  /** Until the socket ends: at execve, or with the child. */
  async #readRecords(): Promise<void> {
    const buffer = new Uint8Array(16 * RECORD_SIZE);
    const view = new DataView(buffer.buffer);
    let length = 0;
    while (true) {
      const count = await this.#read(buffer.subarray(length));
      if (count === 0) return;
      length += count;
      const whole = length - length % RECORD_SIZE;
      for (let at = 0; at < whole; at += RECORD_SIZE) {
        this.#record(
          Number(view.getBigInt64(at, true)) / OPERATION.SIZE,
          Number(view.getBigInt64(at + 8, true)),
        );
      }
      buffer.copyWithin(0, whole, length);
      length -= whole;
    }
  }

  /** An end with unread `go` bytes looks like a reset connection. */
  async #read(into: Uint8Array): Promise<number> {
    try {
      return await this.status.read(into);
    } catch (error) {
      if (isErrno(error, "ECONNRESET")) return 0;
      throw error;
    }
  }

  #record(index: number, result: number): void {
    const name = this.names[index] ?? `operation ${index}`;
    this.#atExecve = result === BEFORE_EXECVE;
    if (result < 0) this.#failure = new StepError(name, -result);
    else if (result === CHECKPOINT) {
      this.#passed.push(name);
      this.#awaited.get(name)?.resolve();
    } else if (result >= CONTINUED) this.#continue(result - CONTINUED);
  }

  /** Another process goes on with the program; it waits until it is known here. */
  #continue(pid: number): void {
    this.#before = this.child;
    this.#before.wait().catch(() => {});
    try {
      this.child = ChildProcess.adopt(pid);
    } catch (error) {
      // It is gone already; why, its last record says.
      if (!isErrno(error, "ESRCH")) throw error;
    }
    if (this.#disposed) this.child[Symbol.asyncDispose]().catch(() => {});
    else this.go();
  }

  /** Why there was no execve; known for sure only when the child is gone. */
  async #reason(): Promise<Error> {
    const status = await this.child.wait();
    if (this.#failure) return this.#failure;
    const last = this.#passed.at(-1);
    const where = last === undefined ? "" : ` after checkpoint "${last}"`;
    return new Error(`the child process ended before execve${where}: ${endText(status)}`);
  }

  #finish(error: Error | undefined): void {
    if (error) this.#executed.reject(error);
    else this.#executed.resolve();
    for (const [name, awaited] of this.#awaited) {
      awaited.reject(error ?? new Error(`checkpoint "${name}" was not reached: the child went on to execve`));
    }
  }
}

/** A promise that may be rejected before anybody waits for it. */
function settled<T>(deferred: PromiseWithResolvers<T>): PromiseWithResolvers<T> {
  deferred.promise.catch(() => {});
  return deferred;
}

function endText(status: ExitStatus): string {
  return status.signal === 0 ? `it exited with ${status.code}` : `it was killed by signal ${status.signal}`;
}

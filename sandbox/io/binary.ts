/**
 * `binary://` logging programs: a process's output goes to the pipes of a program that the client chose.
 *
 * The program gets standard output as descriptor 3, standard error as 4, and closes 5 (or, with `binary-v2`, writes
 * a byte to it) when it is ready.
 *
 * @module
 */

import { OwnedFd, pipe } from "../../sys/fd.ts";
import { AsyncFd } from "../../sys/poll.ts";
import type { ChildProcess } from "../../sys/process.ts";
import { SIGNALS } from "../../sys/signals.ts";
import { spawn } from "../../sys/spawn.ts";
import { inTime, Timer } from "../../sys/timer.ts";
import type { IoOwner } from "./open.ts";
import type { OutputEnd, ProcessIo, StdioNames } from "./streams.ts";

/** How long a logging program may go on after SIGTERM before SIGKILL, in milliseconds. */
const STOP_GRACE_MS = 12_000;

/** How long a logging program may take to say that it is ready, in milliseconds. */
const READY_TIMEOUT_MS = 10_000;

/** Starts the logging program that `names.stdout` asks for and waits until it is ready. */
export async function openLogger(names: StdioNames, owner: IoOwner): Promise<ProcessIo> {
  const uri = new URL(names.stdout);
  using passing = new DisposableStack();
  const [outRead, outWrite] = ownedPipe(passing);
  const [errRead, errWrite] = ownedPipe(passing);
  const [readyRead, readyWrite] = ownedPipe(passing);
  const ready = passing.use(new AsyncFd(readyRead.release(), "logger's readiness"));
  await using kept = new AsyncDisposableStack();
  const stdout = kept.use(new AsyncFd(outWrite.release(), "logger's stdout"));
  const stderr = kept.use(new AsyncFd(errWrite.release(), "logger's stderr"));
  const program = kept.use(
    await spawn({
      argv: loggerArguments(uri),
      env: { CONTAINER_ID: owner.id, CONTAINER_NAMESPACE: owner.namespace },
      fds: new Map([[3, outRead.fd], [4, errRead.fd], [5, readyWrite.fd]]),
    }),
  );
  // with our copies closed, they end with the program
  for (const end of [outRead, errRead, readyWrite]) end.close();
  await awaitReady(ready, program, uri);
  kept.move();
  const logger = new Logger(program, 2);
  return { stdout: new LoggerOutput(stdout, logger), stderr: new LoggerOutput(stderr, logger) };
}

function ownedPipe(taken: DisposableStack): [read: OwnedFd, write: OwnedFd] {
  const [read, write] = pipe();
  return [taken.use(new OwnedFd(read)), taken.use(new OwnedFd(write))];
}

/** The program, then every query key followed by its first value. */
export function loggerArguments(uri: URL): string[] {
  const argv = [decodeURIComponent(uri.pathname)];
  for (const key of new Set(uri.searchParams.keys())) {
    argv.push(key, uri.searchParams.get(key) ?? "");
  }
  return argv;
}

async function awaitReady(ready: AsyncFd, program: ChildProcess, uri: URL): Promise<void> {
  const name = `logging program "${uri.pathname}"`;
  const late = () => new Error(`${name} was not ready within ${READY_TIMEOUT_MS} ms`);
  const got = await inTime(ready.read(new Uint8Array(1)), READY_TIMEOUT_MS, late);
  if (uri.protocol !== "binary-v2:" || got > 0) return;
  const { code } = await inTime(program.wait(), READY_TIMEOUT_MS, late);
  throw new Error(`${name} ended (status ${code}) before it was ready`);
}

/** The program behind both outputs; it is stopped when the last of them is closed. */
class Logger {
  readonly #program: ChildProcess;
  #users: number;
  #stopped: Promise<void> | undefined;

  constructor(program: ChildProcess, users: number) {
    this.#program = program;
    this.#users = users;
  }

  async release(): Promise<void> {
    this.#users--;
    if (this.#users === 0) this.#stopped = this.#stop();
    await this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#program.signal(SIGNALS.SIGTERM);
    const timer = new Timer(STOP_GRACE_MS, () => this.#program.signal(SIGNALS.SIGKILL));
    try {
      await this.#program.wait();
    } finally {
      timer.cancel();
    }
  }
}

class LoggerOutput implements OutputEnd {
  readonly #pipe: AsyncFd;
  readonly #logger: Logger;
  #closed: Promise<void> | undefined;

  constructor(pipe: AsyncFd, logger: Logger) {
    this.#pipe = pipe;
    this.#logger = logger;
  }

  write(data: Uint8Array): Promise<void> {
    return this.#pipe.write(data);
  }

  ending(): void {}

  close(): Promise<void> {
    if (this.#closed === undefined) {
      this.#pipe.close();
      this.#closed = this.#logger.release();
    }
    return this.#closed;
  }
}

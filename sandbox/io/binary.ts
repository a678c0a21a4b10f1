/**
 * `binary://` logging programs: a process's output goes to the pipes of a program that the client chose.
 *
 * The program gets standard output as descriptor 3, standard error as 4, and closes 5 (or, with `binary-v2`, writes
 * a byte to it) when it is ready.
 *
 * @module
 */

import { closeFd, pipe } from "../../sys/fd.ts";
import { AsyncFd } from "../../sys/poll.ts";
import type { ChildProcess } from "../../sys/process.ts";
import { SIGNALS } from "../../sys/signals.ts";
import { spawn } from "../../sys/spawn.ts";
import { Timer } from "../../sys/timer.ts";
import type { IoOwner } from "./open.ts";
import type { OutputEnd, ProcessIo, StdioNames } from "./streams.ts";

/** How long a logging program may go on after SIGTERM before SIGKILL, in milliseconds. */
const STOP_GRACE_MS = 12_000;

/** How long a logging program may take to say that it is ready, in milliseconds. */
const READY_TIMEOUT_MS = 10_000;

/** Starts the logging program that `names.stdout` asks for and waits until it is ready. */
export async function openLogger(names: StdioNames, owner: IoOwner): Promise<ProcessIo> {
  const uri = new URL(names.stdout);
  const [outRead, outWrite] = pipe();
  const [errRead, errWrite] = pipe();
  const [readyRead, readyWrite] = pipe();
  const ours = [new AsyncFd(outWrite, "logger's stdout"), new AsyncFd(errWrite, "logger's stderr")] as const;
  const ready = new AsyncFd(readyRead, "logger's readiness");
  let program: ChildProcess | undefined;
  try {
    program = await spawn({
      argv: loggerArguments(uri),
      env: { CONTAINER_ID: owner.id, CONTAINER_NAMESPACE: owner.namespace },
      fds: new Map([[3, outRead], [4, errRead], [5, readyWrite]]),
    });
    for (const fd of [outRead, errRead, readyWrite]) closeFd(fd);
    await awaitReady(ready, program, uri);
  } catch (error) {
    for (const fd of ours) fd.close();
    if (program === undefined) { for (const fd of [outRead, errRead, readyWrite]) closeFd(fd); }
    else await program[Symbol.asyncDispose]();
    throw error;
  } finally {
    ready.close();
  }
  const logger = new Logger(program, 2);
  return { stdout: new LoggerOutput(ours[0], logger), stderr: new LoggerOutput(ours[1], logger) };
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
  const late = Promise.withResolvers<never>();
  const message = `logging program "${uri.pathname}" was not ready within ${READY_TIMEOUT_MS} ms`;
  const timer = new Timer(READY_TIMEOUT_MS, () => late.reject(new Error(message)));
  try {
    const got = await Promise.race([ready.read(new Uint8Array(1)), late.promise]);
    if (uri.protocol === "binary-v2:" && got === 0) {
      const { code } = await program.wait();
      throw new Error(`logging program "${uri.pathname}" ended (status ${code}) before it was ready`);
    }
  } finally {
    timer.cancel();
  }
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

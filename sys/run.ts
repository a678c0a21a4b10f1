/** Runs a program to its end and keeps what it wrote. */

import { memfd, OwnedFd, readAllFd, seekFd } from "./fd.ts";
import { spawn, type SpawnOptions } from "./spawn.ts";
import type { ExitStatus } from "./process.ts";

/** What to run, and for how long. */
export interface RunOptions extends Pick<SpawnOptions, "argv" | "env" | "cwd" | "uid" | "gid"> {
  /** it is killed when it takes longer; milliseconds */
  readonly timeoutMs: number;
}

/** How it ended, and what it wrote. */
export interface Ran {
  readonly status: ExitStatus;
  readonly stdout: string;
  readonly stderr: string;
}

const SIGKILL = 9;
const SEEK_SET = 0;

/**
 * Runs a program without input.
 *
 * @throws {StepError} it cannot be started
 * @throws {Error} it took too long
 */
export async function runProgram(options: RunOptions): Promise<Ran> {
  using taken = new DisposableStack();
  // files in memory instead of pipes: nobody has to read while the program writes
  const stdout = taken.use(new OwnedFd(memfd("stdout")));
  const stderr = taken.use(new OwnedFd(memfd("stderr")));
  const { timeoutMs, ...rest } = options;
  const child = await spawn({ ...rest, fds: new Map([[1, stdout.fd], [2, stderr.fd]]) });
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.signal(SIGKILL);
  }, timeoutMs);
  try {
    const status = await child.wait();
    if (isLate) throw new Error(`"${options.argv.join(" ")}" took longer than ${timeoutMs} ms`);
    return { status, stdout: contentOf(stdout.fd), stderr: contentOf(stderr.fd) };
  } finally {
    clearTimeout(timer);
    await child[Symbol.asyncDispose]();
  }
}

function contentOf(fd: number): string {
  seekFd(fd, 0, SEEK_SET);
  return new TextDecoder().decode(readAllFd(fd));
}

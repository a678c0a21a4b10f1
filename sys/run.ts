/** Runs a program to its end and keeps what it wrote. */

import { memfd, OwnedFd, readAllFd, seekFd, writeAllFd } from "./fd.ts";
import { spawn, type SpawnOptions } from "./spawn.ts";
import type { ExitStatus } from "./process.ts";
import { Timer } from "./timer.ts";

/** What to run, and for how long. */
export interface RunOptions extends Pick<SpawnOptions, "argv" | "env" | "cwd" | "uid" | "gid" | "rlimits"> {
  /** what it reads from its standard input; default: nothing */
  readonly input?: Uint8Array;
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
 * Runs a program. The limit FSIZE is a limit for what it writes, too.
 *
 * @throws {StepError} it cannot be started
 * @throws {Error} it took too long
 */
export async function runProgram(options: RunOptions): Promise<Ran> {
  using taken = new DisposableStack();
  // files in memory instead of pipes: nobody has to read while the program writes
  const stdout = taken.use(new OwnedFd(memfd("stdout")));
  const stderr = taken.use(new OwnedFd(memfd("stderr")));
  const { timeoutMs, input, ...rest } = options;
  const fds = new Map([[1, stdout.fd], [2, stderr.fd]]);
  if (input !== undefined) fds.set(0, taken.use(inputFile(input)).fd);
  const child = await spawn({ ...rest, fds });
  let isLate = false;
  const timer = new Timer(timeoutMs, () => {
    isLate = true;
    child.signal(SIGKILL);
  });
  try {
    const status = await child.wait();
    if (isLate) throw new Error(`"${options.argv.join(" ")}" took longer than ${timeoutMs} ms`);
    return { status, stdout: contentOf(stdout.fd), stderr: contentOf(stderr.fd) };
  } finally {
    timer.cancel();
    await child[Symbol.asyncDispose]();
  }
}

function inputFile(input: Uint8Array): OwnedFd {
  const file = new OwnedFd(memfd("stdin"));
  try {
    writeAllFd(file.fd, input);
    seekFd(file.fd, 0, SEEK_SET);
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

function contentOf(fd: number): string {
  seekFd(fd, 0, SEEK_SET);
  return new TextDecoder().decode(readAllFd(fd));
}

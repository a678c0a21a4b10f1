/** Runs hooks. Loaded when there are some, since most containers have none. */

import { describeStatus } from "../sys/daemon.ts";
import { isErrno } from "../sys/errors.ts";
import { OwnedFd, pipe, writeFd } from "../sys/fd.ts";
import { LineSplitter, Tail } from "../sys/lines.ts";
import { AsyncFd } from "../sys/poll.ts";
import { type ChildProcess, type ExitStatus, killProcess } from "../sys/process.ts";
import { SIGNALS } from "../sys/signals.ts";
import { spawn } from "../sys/spawn.ts";
import { cstr, syscall } from "../sys/syscall.ts";
import { Timer } from "../sys/timer.ts";
import type { HookKind } from "./hooks.ts";
import type { Hook, Hooks } from "./spec.ts";

/** The container state that a hook gets on standard input (runtime-spec, "State"). */
export interface HookState {
  readonly ociVersion: string;
  readonly id: string;
  readonly status: "creating" | "created" | "running" | "stopped";
  /** Of the container's first process, as the hook sees it; none once that has ended. */
  readonly pid?: number;
  readonly bundle: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A hook that could not be run, failed, or took too long; the message says which, and what it printed last. */
export class HookError extends Error {
  override readonly name = "HookError";
}

/**
 * Starts a hook's program as the leader of a process group of its own.
 *
 * @param fds its 0, 1 and 2, which stay the caller's
 */
export type HookStarter = (hook: Hook, fds: ReadonlyMap<number, number>) => Promise<ChildProcess>;

const LAST_LINES = 5;
const MAX_LINE = 1024;
/** How long output is read after the end, in milliseconds: a process that was left behind may hold the pipe. */
const DRAIN_MS = 200;
const MFD_CLOEXEC = 1;
const SECOND_MS = 1000;

/**
 * Runs the hooks of a kind, one after the other.
 *
 * @throws {HookError} for the first that fails; those after it are not run
 */
export async function runHooks(
  kind: HookKind,
  hooks: Hooks | undefined,
  state: HookState,
  start: HookStarter,
): Promise<void> {
  for (const [index, hook] of (hooks?.[kind] ?? []).entries()) {
    await runHook(`hooks.${kind}[${index}]`, hook, state, start);
  }
}

/** As {@linkcode runHooks}, for kinds whose failures change nothing any more: each is reported, and the next is run. */
export async function runHooksAnyway(
  kind: HookKind,
  hooks: Hooks | undefined,
  state: HookState,
  start: HookStarter,
  report: (message: string) => void,
): Promise<void> {
  for (const [index, hook] of (hooks?.[kind] ?? []).entries()) {
    try {
      await runHook(`hooks.${kind}[${index}]`, hook, state, start);
    } catch (error) {
      report(error instanceof Error ? error.message : String(error));
    }
  }
}

/**
 * Starts hooks where this program is.
 *
 * @param place the folder they begin in, and a network namespace to be in instead of this program's
 */
export function startHere(place: { readonly cwd: string; readonly netns?: string }): HookStarter {
  return ({ path, args = [path], env = [] }, fds) => {
    const [argv0 = path, ...rest] = args;
    const variables = Object.fromEntries(env.map((entry): [string, string] => {
      const at = entry.indexOf("=");
      return at < 0 ? [entry, ""] : [entry.slice(0, at), entry.slice(at + 1)];
    }));
    return spawn({ argv: [path, ...rest], argv0, env: variables, fds, session: true, ...place });
  };
}

async function runHook(what: string, hook: Hook, state: HookState, start: HookStarter): Promise<void> {
  const [read, write] = pipe();
  const output = new AsyncFd(read, `output of ${what}`);
  let child: ChildProcess;
  try {
    using taken = new DisposableStack();
    const written = taken.use(new OwnedFd(write));
    const input = taken.use(stateFile(state));
    child = await start(hook, new Map([[0, input.fd], [1, written.fd], [2, written.fd]]));
  } catch (error) {
    output.close();
    const reason = error instanceof Error ? error.message : String(error);
    throw new HookError(`${what}: cannot run ${JSON.stringify(hook.path)}: ${reason}`, { cause: error });
  }
  const { status, late, lines } = await follow(child, output, hook.timeout);
  if (status.code === 0 && status.signal === 0 && !late) return;
  const end = late ? `did not end within ${hook.timeout} s and was killed` : describeStatus(status);
  const said = lines.length === 0 ? "" : `: ${lines.join("; ")}`;
  throw new HookError(`${what}: ${JSON.stringify(hook.path)} ${end}${said}`);
}

/** A file in memory, so that a hook that does not read its input keeps nobody waiting. */
function stateFile(state: HookState): OwnedFd {
  using taken = new DisposableStack();
  const file = taken.use(new OwnedFd(syscall("memfd_create", [cstr("state"), MFD_CLOEXEC])));
  const bytes = new TextEncoder().encode(JSON.stringify(state));
  for (let at = 0; at < bytes.length;) at += writeFd(file.fd, bytes.subarray(at));
  syscall("lseek", [file.fd, 0, 0]);
  taken.move();
  return file;
}

interface Followed {
  readonly status: ExitStatus;
  /** it was killed for taking too long */
  readonly late: boolean;
  readonly lines: readonly string[];
}

/** Waits for the end, or makes it when the time is over: of all the processes of the hook's group. */
async function follow(child: ChildProcess, output: AsyncFd, timeoutS: number | undefined): Promise<Followed> {
  const tail = new Tail(LAST_LINES);
  const read = readLines(output, tail);
  let late = false;
  const limit = timeoutS === undefined ? undefined : new Timer(timeoutS * SECOND_MS, () => {
    late = true;
    killGroup(child.pid);
  });
  const status = await child.wait();
  limit?.cancel();
  const drained = new Timer(DRAIN_MS, () => output.close());
  await read;
  drained.cancel();
  output.close();
  return { status, late, lines: tail.lines };
}

function killGroup(pid: number): void {
  try {
    killProcess(-pid, SIGNALS.SIGKILL);
  } catch (error) {
    if (!isErrno(error, "ESRCH")) throw error;
  }
}

async function readLines(output: AsyncFd, tail: Tail): Promise<void> {
  const lines = new LineSplitter((line) => tail.push(line), MAX_LINE);
  const buffer = new Uint8Array(4096);
  try {
    for (let count; (count = await output.read(buffer)) > 0;) lines.push(buffer.subarray(0, count));
  } catch (error) {
    if (!isErrno(error, "EBADF")) throw error; // closed by `follow`
  }
  lines.end();
}

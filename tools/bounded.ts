/**
 * Running a program that is not trusted to end.
 *
 * @module
 */

import { ROOT } from "./paths.ts";

/** What came of running a program. */
export interface Ended {
  readonly code: number;
  readonly timedOut: boolean;
}

/** A process, told from a later one with the same number by when it started. */
interface Identity {
  readonly pid: number;
  readonly parent: number;
  /** In ticks since the machine's start, as the kernel writes it. */
  readonly started: string;
}

/** How long processes may take to end after they were asked to, in milliseconds. */
const GRACE_MS = 3_000;
const POLL_MS = 20;

/** How often it is looked for what was started while it was ended. */
const MAX_ROUNDS = 5;

/** Environment variable by which a process is found that has left its parents, as daemons do. */
const MARK = "KATA_BOUNDED_RUN";

/** Exit status of a program that a user broke off. */
const BROKEN_OFF = 130;

/**
 * Runs a program in the repository with this process's output and without input. When it takes too long, or when this
 * process is told to end, it is ended together with all processes below it, and those that once were.
 */
export async function runBounded(argv: readonly string[], limitMs: number): Promise<Ended> {
  const [program = "", ...args] = argv;
  const mark = crypto.randomUUID();
  const command = new Deno.Command(program, {
    args,
    cwd: ROOT,
    env: { [MARK]: mark },
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  });
  let child: Deno.ChildProcess | undefined;
  let ending: Promise<void> | undefined;
  const end = (): Promise<void> => ending ??= child ? endTree(child.pid, mark) : Promise.resolve();
  const told = (): void => void end().then(() => Deno.exit(BROKEN_OFF));
  // before there is a child, so that none is left behind
  Deno.addSignalListener("SIGINT", told);
  Deno.addSignalListener("SIGTERM", told);
  let timedOut = false;
  let limit: ReturnType<typeof setTimeout> | undefined;
  try {
    child = command.spawn();
    limit = setTimeout(() => {
      timedOut = true;
      end();
    }, limitMs);
    const { code } = await child.status;
    await ending;
    return { code, timedOut };
  } finally {
    Deno.removeSignalListener("SIGINT", told);
    Deno.removeSignalListener("SIGTERM", told);
    clearTimeout(limit);
  }
}

/** Asks a process and all that came from it to end, kills what has not ended after a while, and waits for them. */
async function endTree(pid: number, mark: string): Promise<void> {
  // looked up before the first of them ends: those below it get another parent then
  const all = await processes();
  const tree = below(pid, all);
  tree.push(...(await marked(mark, all)).filter((identity) => !tree.includes(identity)));
  for (const { pid } of tree) signal(pid, "SIGTERM");
  let left = await goneWithin(tree, GRACE_MS);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    for (const { pid } of left) signal(pid, "SIGKILL");
    await goneWithin(left, GRACE_MS);
    // what they started after they were looked up
    left = await marked(mark, await processes());
    if (left.length === 0) return;
  }
}

/** Those with the mark in their environment. */
async function marked(mark: string, all: readonly Identity[]): Promise<Identity[]> {
  const are = await Promise.all(all.map(({ pid }) => bears(pid, mark)));
  return all.filter((_, index) => are[index]);
}

/** Whether a process has the mark in its environment; a nested run has one of its own, but is below. */
async function bears(pid: number, mark: string): Promise<boolean> {
  const environment = await Deno.readTextFile(`/proc/${pid}/environ`).catch(() => "");
  return environment.split("\0").includes(`${MARK}=${mark}`);
}

/** Waits for processes to end. @returns those that have not */
async function goneWithin(identities: readonly Identity[], limitMs: number): Promise<readonly Identity[]> {
  const deadline = performance.now() + limitMs;
  let left = identities;
  while (left.length > 0 && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    left = await stillThere(left);
  }
  return left;
}

async function stillThere(identities: readonly Identity[]): Promise<Identity[]> {
  const now = new Map((await processes()).map((identity) => [identity.pid, identity.started]));
  return identities.filter(({ pid, started }) => now.get(pid) === started);
}

/** A process and all whose parents lead up to it. */
function below(pid: number, all: readonly Identity[]): Identity[] {
  const own = all.filter((identity) => identity.pid === pid);
  return [...own, ...all.filter(({ parent }) => parent === pid).flatMap((child) => below(child.pid, all))];
}

/** All processes that have not ended, see proc(5), `/proc/[pid]/stat`. */
async function processes(): Promise<Identity[]> {
  const found: Identity[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await Deno.readTextFile(`/proc/${name}/stat`).catch(() => "");
    // the program's name, in parentheses, may hold anything
    const [state, parent, ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const started = rest[17];
    if (state === "Z" || started === undefined) continue;
    found.push({ pid: Number(name), parent: Number(parent), started });
  }
  return found;
}

function signal(pid: number, name: Deno.Signal): void {
  try {
    Deno.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // it has just ended
  }
}

/**
 * Whether a process runs: what the kernel counts for each of its threads.
 *
 * @module
 */

/** What one thread has done since it began. */
export interface ThreadActivity {
  /** Time on a processor, in nanoseconds. */
  readonly ranNs: number;
  /** Time that it could have run, but had no processor, in nanoseconds; counted when it got one. */
  readonly waitedNs: number;
  /** It runs, waits for a processor, or waits for the kernel itself (a page, a disk). */
  readonly wants: boolean;
}

/** Threads by their ids. */
export type Activity = ReadonlyMap<number, ThreadActivity>;

/** States of a thread that does something, or would: running, and waiting uninterruptibly. */
const WANTING = ["R", "D"];

/**
 * What the threads of processes, and of their children, have done up to now; `undefined` if there is none of them, or no
 * such count.
 */
export function activityOf(...pids: readonly number[]): Activity | undefined {
  const threads = new Map<number, ThreadActivity>();
  for (const pid of pids) addThreads(pid, threads);
  return threads.size === 0 ? undefined : threads;
}

function addThreads(pid: number, threads: Map<number, ThreadActivity>): void {
  try {
    for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
      const thread = threadActivity(`/proc/${pid}/task/${name}`);
      if (thread !== undefined) threads.set(Number(name), thread);
    }
    // kernels may be built without this file
    const children = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`);
    for (const child of children.match(/\d+/g) ?? []) addThreads(Number(child), threads);
  } catch {
    // it has ended
  }
}

/** `undefined`: it has ended, or this kernel does not count. */
function threadActivity(folder: string): ThreadActivity | undefined {
  try {
    const counted = Deno.readTextFileSync(`${folder}/schedstat`);
    const stat = Deno.readTextFileSync(`${folder}/stat`);
    return parseThread(counted, stat);
  } catch {
    return undefined;
  }
}

/**
 * @param schedstat a text like `/proc/<pid>/task/<tid>/schedstat`: nanoseconds run, nanoseconds waited, turns
 * @param stat one like `/proc/<pid>/task/<tid>/stat`
 */
export function parseThread(schedstat: string, stat: string): ThreadActivity | undefined {
  const [ranNs = NaN, waitedNs = NaN] = schedstat.trim().split(" ").map(Number);
  // the command before it may hold spaces and brackets
  const state = stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
  if (!Number.isFinite(ranNs + waitedNs)) return undefined;
  return { ranNs, waitedNs, wants: WANTING.includes(state) };
}

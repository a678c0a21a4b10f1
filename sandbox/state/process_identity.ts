/**
 * Which process a saved pid refers to: pids are reused, a pid together with its start time is not.
 *
 * @module
 */

/** A process of this host, distinguishable from a later one with the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** clock ticks between boot and the process's start, field 22 of `/proc/<pid>/stat`, as text */
  readonly startTime: string;
}

const START_TIME_FIELD = 22;

/** Field 22 of a `/proc/<pid>/stat` line; the command in field 2 may hold spaces and brackets. */
export function parseStartTime(stat: string): string | undefined {
  const afterCommand = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return afterCommand[START_TIME_FIELD - 3];
}

/** The process that has this pid now; `undefined` if there is none. */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    const startTime = parseStartTime(Deno.readTextFileSync(`/proc/${pid}/stat`));
    return startTime === undefined ? undefined : { pid, startTime };
  } catch {
    return undefined;
  }
}

/** Whether the very process is still there (a zombie counts as gone). */
export function isAlive(process: ProcessIdentity): boolean {
  let stat: string;
  try {
    stat = Deno.readTextFileSync(`/proc/${process.pid}/stat`);
  } catch {
    return false;
  }
  const state = stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
  return state !== "Z" && state !== "X" && parseStartTime(stat) === process.startTime;
}

/** Differs after each boot of the host, when pids and start times begin anew. */
export function bootId(): string {
  return Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();
}

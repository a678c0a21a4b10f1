/** How many files a daemon of this process may have open. */

/** What virtiofsd raises its limit to, at most. */
const WANTED = 1_000_000;

/** Bit of CAP_SYS_RESOURCE in a capability set (linux/capability.h). */
const CAP_SYS_RESOURCE = 24n;

/** What the decision looks at; texts of procfs. */
export interface OpenFilesFacts {
  /** /proc/self/limits */
  readonly limits: string;
  /** /proc/self/status */
  readonly status: string;
}

/**
 * The limit that a virtiofsd must be content with, because raising it would fail; undefined if it may raise it.
 * Without being told it tries, and ends when it may not.
 */
export function openFilesLimit(facts: OpenFilesFacts = thisProcess()): number | undefined {
  const hard = /^Max open files +\S+ +(\d+)/m.exec(facts.limits)?.[1];
  if (hard === undefined) return undefined; // unlimited
  if (Number(hard) >= WANTED) return undefined;
  const capabilities = BigInt("0x" + (/^CapEff:\s*([0-9a-f]+)/m.exec(facts.status)?.[1] ?? "0"));
  return (capabilities >> CAP_SYS_RESOURCE) & 1n ? undefined : Number(hard);
}

/**
 * Fewest open files that the owner of a sandbox can do with: it has about 35 with one container, and some more with
 * each process. One that runs out of them while it cleans up leaves things behind.
 */
const FEWEST = 128;

/**
 * @param limits a text like /proc/self/limits
 * @throws {Error} this process may not open enough files
 */
export function checkOpenFiles(limits: string = Deno.readTextFileSync("/proc/self/limits")): void {
  const soft = /^Max open files +(\d+)/m.exec(limits)?.[1];
  if (soft === undefined || Number(soft) >= FEWEST) return;
  throw new Error(`the limit of open files (RLIMIT_NOFILE) must be at least ${FEWEST}: it is ${soft}`);
}

function thisProcess(): OpenFilesFacts {
  return {
    limits: Deno.readTextFileSync("/proc/self/limits"),
    status: Deno.readTextFileSync("/proc/self/status"),
  };
}

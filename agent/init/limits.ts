import { RLIMIT } from "../../sys/rlimit.ts";
import { syscall } from "../../sys/syscall.ts";
import type { Logger } from "../log.ts";

/** The kernel's own upper bound (`fs.nr_open`) unless somebody changed it. */
const OPEN_FILES = 1n << 20n;

/**
 * Lets the agent, and with it containers that set no limit of their own, have more than the 1024 open files that the
 * first process of a kernel may have: each process of a container costs the agent four descriptors.
 */
export function raiseFileLimit(log: Logger): void {
  const limit = new BigUint64Array([OPEN_FILES, OPEN_FILES]);
  try {
    syscall("prlimit64", [0, RLIMIT.NOFILE, new Uint8Array(limit.buffer), null], "RLIMIT_NOFILE");
  } catch (error) {
    log.warn("cannot raise the limit of open files", { error: String(error) });
  }
}

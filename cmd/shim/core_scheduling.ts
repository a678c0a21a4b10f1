/**
 * Core scheduling: only processes with the same cookie share a core's threads.
 *
 * @module
 */

import { prctl } from "../../sys/host.ts";

const PR_SCHED_CORE = 62;
const PR_SCHED_CORE_CREATE = 1;
const PIDTYPE_PGID = 2;

/** Gives this process group a cookie of its own. @throws {SysError} the kernel cannot do it */
export function shareCores(): void {
  prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, PIDTYPE_PGID, 0);
}

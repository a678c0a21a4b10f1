/** Which CPUs a thread may run on. */

import { syscall } from "./syscall.ts";

/** Room for as many CPUs as any kernel is built for. */
const MASK_BYTES = 1024;

/**
 * Binds a thread to CPUs.
 *
 * @param tid 0 = the calling thread
 * @throws {SysError} `ESRCH` when it is gone, `EINVAL` when the machine has none of the CPUs
 */
export function setAffinity(tid: number, cpus: Iterable<number>): void {
  const mask = new Uint8Array(MASK_BYTES);
  for (const cpu of cpus) mask[cpu >> 3] = (mask[cpu >> 3] ?? 0) | 1 << (cpu & 7);
  syscall("sched_setaffinity", [tid, mask.length, mask], String(tid));
}

/** The CPUs that a thread may run on, in order. @param tid 0 = the calling thread */
export function getAffinity(tid: number): number[] {
  const mask = new Uint8Array(MASK_BYTES);
  const length = Number(syscall("sched_getaffinity", [tid, mask.length, mask], String(tid)));
  const cpus: number[] = [];
  for (let cpu = 0; cpu < length * 8; cpu++) if ((mask[cpu >> 3] ?? 0) & 1 << (cpu & 7)) cpus.push(cpu);
  return cpus;
}

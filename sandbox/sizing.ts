/**
 * How large a virtual machine is for what is going to run in it.
 *
 * @module
 */

import type { Spec } from "../oci/spec.ts";

const MIB = 1_048_576;

/** Size of a virtual machine. */
export interface VmSize {
  readonly vcpus: number;
  readonly memoryMiB: number;
}

/** What a workload asks for on top of the defaults. */
export interface Workload {
  /** CPUs, with fractions */
  readonly cpus: number;
  readonly memoryMiB: number;
}

/** The limits that `linux.resources` sets: quota and period need each other, values ≤ 0 mean no limit. */
export function workloadOf(spec: Spec): Workload {
  const resources = spec.linux?.resources;
  const quota = Number(resources?.cpu?.quota ?? 0);
  const period = Number(resources?.cpu?.period ?? 0);
  const limit = Number(resources?.memory?.limit ?? 0);
  return {
    cpus: quota > 0 && period > 0 ? quota / period : 0,
    memoryMiB: limit > 0 ? Math.trunc(limit / MIB) : 0,
  };
}

/**
 * Defaults plus workload, as the machine is booted.
 *
 * @param defaults `default_vcpus` (may be a fraction) and `default_memory`
 * @param most what the host, or the configuration, allows
 */
export function vmSize(
  defaults: { vcpus: number; memoryMiB: number },
  workload: Workload,
  most: { vcpus: number; memoryMiB: number },
): VmSize {
  return {
    vcpus: Math.max(1, Math.min(Math.ceil(defaults.vcpus + workload.cpus), most.vcpus)),
    memoryMiB: Math.min(defaults.memoryMiB + workload.memoryMiB, most.memoryMiB),
  };
}

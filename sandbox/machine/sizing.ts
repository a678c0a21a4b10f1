/**
 * How large a virtual machine is for what is going to run in it.
 *
 * @module
 */

import type { Resources, Spec } from "../../oci/spec.ts";

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
  /** CPUs that it may run on, if it is bound to some; counts where nothing has a quota */
  readonly boundTo: number;
  readonly memoryMiB: number;
}

/** Asks for nothing. */
export const NO_WORKLOAD: Workload = { cpus: 0, boundTo: 0, memoryMiB: 0 };

/** The limits of a container: quota and period need each other, values ≤ 0 mean no limit. */
export function workloadOf(resources: Resources | undefined): Workload {
  const hugePages = (resources?.hugepageLimits ?? []).map(({ limit }) => Number(limit));
  const memory = [Number(resources?.memory?.limit ?? 0), ...hugePages].filter((bytes) => bytes > 0);
  return {
    cpus: cpusOf(resources?.cpu?.quota, resources?.cpu?.period),
    boundTo: cpuNumbers(resources?.cpu?.cpus ?? "").length,
    memoryMiB: Math.trunc(memory.reduce((sum, bytes) => sum + bytes, 0) / MIB),
  };
}

/** What all of a pod's containers ask for together. */
export function totalOf(workloads: Iterable<Workload>): Workload {
  let total = NO_WORKLOAD;
  for (const { cpus, boundTo, memoryMiB } of workloads) {
    total = {
      cpus: total.cpus + cpus,
      boundTo: total.boundTo + boundTo,
      memoryMiB: total.memoryMiB + memoryMiB,
    };
  }
  return total;
}

/**
 * What a pod announces to need altogether, by its annotations; a single container announces its own limits.
 *
 * @see host.md B.2
 */
export function announcedWorkload(spec: Spec): Workload {
  const of = (name: string) => Number(spec.annotations?.[`io.kubernetes.cri.sandbox-${name}`] ?? 0);
  const memory = of("memory");
  const announced = {
    cpus: cpusOf(of("cpu-quota"), of("cpu-period")),
    boundTo: 0,
    memoryMiB: memory > 0 ? Math.trunc(memory / MIB) : 0,
  };
  return announced.cpus > 0 || announced.memoryMiB > 0 ? announced : workloadOf(spec.linux?.resources);
}

/**
 * Limits after an update, which only names what it changes; 0 changes nothing either, in all engines.
 *
 * @see host.md B.4
 */
export function merged(before: Resources | undefined, change: Resources): Resources {
  const { cpu, memory, hugepageLimits } = change;
  return {
    ...before,
    cpu: {
      ...before?.cpu,
      ...(cpu?.period ? { period: cpu.period } : {}),
      ...(cpu?.quota ? { quota: cpu.quota } : {}),
      ...(cpu?.cpus ? { cpus: cpu.cpus } : {}),
    },
    memory: {
      ...before?.memory,
      ...(memory?.limit ? { limit: memory.limit } : {}),
      ...(memory?.swap === undefined ? {} : { swap: memory.swap }),
    },
    ...(hugepageLimits ? { hugepageLimits } : {}),
  };
}

/**
 * Defaults plus workload.
 *
 * @param defaults `default_vcpus` (may be a fraction) and `default_memory`
 * @param most what the host, or the configuration, allows
 */
export function vmSize(defaults: VmSize, { cpus, boundTo, memoryMiB }: Workload, most: VmSize): VmSize {
  const wanted = wholeCpus(defaults.vcpus + (cpus > 0 ? cpus : boundTo));
  return {
    vcpus: Math.max(1, Math.min(wanted, most.vcpus)),
    memoryMiB: Math.min(defaults.memoryMiB + memoryMiB, most.memoryMiB),
  };
}

/** Enough of them for a sum of fractions, which as binary numbers may be a little more than they should. */
function wholeCpus(sum: number): number {
  return Math.ceil(sum - 1e-6);
}

function cpusOf(quota: number | bigint = 0, period: number | bigint = 0): number {
  return quota > 0 && period > 0 ? Number(quota) / Number(period) : 0;
}

/** The CPUs of a list such as "0-3,7"; parts that the host would refuse do not count. */
export function cpuNumbers(list: string): number[] {
  return list.split(",").flatMap((part) => {
    const [, first = "", last = first] = /^\s*(\d{1,4})(?:-(\d{1,4}))?\s*$/.exec(part) ?? [];
    if (first === "") return [];
    return Array.from(
      { length: Math.max(Number(last) - Number(first) + 1, 0) },
      (_, index) => Number(first) + index,
    );
  });
}

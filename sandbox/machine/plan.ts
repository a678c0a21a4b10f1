/**
 * The sizes of a sandbox's machine: at boot, without any workload, and at most.
 *
 * @module
 */

import type { Config } from "../../config/schema.ts";
import type { Spec } from "../../oci/spec.ts";
import { announcedWorkload, type VmSize, vmSize, workloadOf } from "./sizing.ts";

const MIB = 1_048_576;

/** What a machine is booted with, and how it may change. */
export interface MachinePlan {
  readonly boot: VmSize;
  /** without any workload; processors may be a fraction */
  readonly defaults: VmSize;
  readonly most: VmSize;
  /** whether it stays as it is booted */
  readonly isStatic: boolean;
}

/**
 * A static machine is booted with all that its pod announces; another grows when containers come. Plugging processors
 * and memory into an arm64 machine takes firmware, which ours are booted without: they are static.
 *
 * @param spec of the container that the machine is made for
 */
export function planMachine(
  { hypervisor, runtime }: Config,
  spec: Spec,
  arch: typeof Deno.build.arch = Deno.build.arch,
): MachinePlan {
  const host = { vcpus: navigator.hardwareConcurrency, memoryMiB: hostMemoryMiB() };
  const most = {
    vcpus: atMost(hypervisor.default_maxvcpus, host.vcpus),
    memoryMiB: atMost(hypervisor.default_maxmemory, host.memoryMiB),
  };
  const defaults = { vcpus: hypervisor.default_vcpus, memoryMiB: hypervisor.default_memory };
  // nothing can be plugged into the small machine, nor into one that keeps its memory from the host
  const isFixed = hypervisor.machine_type === "microvm" || hypervisor.confidential_guest;
  const isStatic = runtime.static_sandbox_resource_mgmt || isFixed || arch !== "x86_64";
  const workload = isStatic ? announcedWorkload(spec) : workloadOf(spec.linux?.resources);
  const boot = vmSize(defaults, workload, most);
  return { boot, defaults, most: isStatic ? boot : larger(boot, most), isStatic };
}

function atMost(configured: number, host: number): number {
  return configured > 0 ? Math.min(configured, host) : host;
}

function larger(a: VmSize, b: VmSize): VmSize {
  return { vcpus: Math.max(a.vcpus, b.vcpus), memoryMiB: Math.max(a.memoryMiB, b.memoryMiB) };
}

function hostMemoryMiB(): number {
  return Math.floor(Deno.systemMemoryInfo().total / MIB);
}

/**
 * From the configuration file to a virtual machine.
 *
 * @module
 */

import { splitKernelParams } from "../../config/kernel_params.ts";
import type { Config } from "../../config/schema.ts";
import type { Spec } from "../../oci/spec.ts";
import type { HostDevice, HostUser, VmConfig } from "../../vm/vmm.ts";
import { agentParams } from "../guest/agent_params.ts";
import { hasWindow, SHARE_TAG } from "../guest/sandbox_request.ts";
import type { Log } from "../log/log.ts";
import type { InitDataDisk } from "./init_data.ts";
import { hostKernelParams, machineParts, type PartsHost } from "./parts.ts";
import type { MachinePlan } from "./plan.ts";

/** What a machine is made for. */
export interface VmNeeds {
  readonly id: string;
  /** its run folder */
  readonly dir: string;
  readonly plan: MachinePlan;
  readonly spec: Spec;
  readonly config: Config;
  /** the folder that is shared with the guest */
  readonly share: string;
  readonly log: Log;
  /** called with each line of the guest's console; default: writes to the log */
  readonly onConsole?: (line: string) => void;
  /** who the monitor runs as; default: the caller */
  readonly user?: HostUser;
  /** devices of the host that the machine is booted with; default: none */
  readonly hostDevices?: readonly HostDevice[];
  /** what the largest device that may be plugged in later takes; default: little */
  readonly portRoom?: HostDevice["memory"];
  /** what the guest's owner has it configured with; default: nothing */
  readonly initData?: InitDataDisk;
  /** default: this host */
  readonly host?: PartsHost;
}

/** The machine's description. */
export function vmConfig(needs: VmNeeds): VmConfig {
  const { id, dir, plan, config, share, log } = needs;
  const { hypervisor, agent } = config;
  return {
    ...machineParts(needs),
    id,
    dir,
    hypervisorPath: hypervisor.path,
    accelerator: hypervisor.accelerator,
    machineType: hypervisor.machine_type,
    machineAccelerators: orUndefined(hypervisor.machine_accelerators),
    cpuFeatures: orUndefined(hypervisor.cpu_features),
    kernel: hypervisor.kernel,
    initrd: orUndefined(hypervisor.initrd),
    kernelParams: [...hostKernelParams(needs.host), ...splitKernelParams(hypervisor.kernel_params)],
    agentParams: agentParams(agent),
    vcpus: plan.boot.vcpus,
    maxVcpus: plan.most.vcpus,
    memoryMiB: plan.boot.memoryMiB,
    memorySlots: plan.isStatic ? 0 : hypervisor.memory_slots,
    maxMemoryMiB: plan.most.memoryMiB,
    memoryOffsetMiB: hypervisor.memory_offset,
    virtioMem: hypervisor.enable_virtio_mem && !plan.isStatic,
    fileMemBackend: orUndefined(hypervisor.file_mem_backend),
    share: vmShare(hypervisor, dir, share),
    seccompSandbox: orUndefined(hypervisor.seccompsandbox),
    entropySource: hypervisor.entropy_source,
    debug: hypervisor.enable_debug,
    onConsole: needs.onConsole ?? ((line) => log.write("debug", line, { source: "guest" })),
    onLog: (line) => log.write("info", line, { source: "vmm" }),
  };
}

function vmShare(hypervisor: Config["hypervisor"], dir: string, path: string): VmConfig["share"] {
  switch (hypervisor.shared_fs) {
    case "virtio-fs":
      return {
        kind: "virtio-fs",
        tag: SHARE_TAG,
        socketPath: `${dir}/vhost-fs.sock`,
        queueSize: hypervisor.virtio_fs_queue_size,
        cacheSizeMiB: hasWindow(hypervisor) ? hypervisor.virtio_fs_cache_size : 0,
      };
    case "virtio-9p":
      return { kind: "9p", tag: SHARE_TAG, path };
    default:
      return { kind: "none" };
  }
}

function orUndefined(text: string): string | undefined {
  return text === "" ? undefined : text;
}

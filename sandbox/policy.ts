/**
 * Settings of a sandbox and its containers from the configuration: time limits and switches, in the units used here.
 *
 * @module
 */

import type { Config } from "../config/schema.ts";
import type { ServedDisks } from "./devices/devices.ts";
import type { HostDevicePolicy } from "./devices/vfio.ts";

const MS = 1000;

/** Limits and switches. */
export interface SandboxPolicy {
  /** how long the agent may take to make a container */
  readonly createTimeoutMs: number;
  /** how long the agent may take to answer after the machine was started */
  readonly dialTimeoutMs: number;
  /** whether containers run without their system call filters */
  readonly disableSeccomp: boolean;
  /** whether virtual CPUs are bound to the CPUs of the containers */
  readonly pinVcpus: boolean;
  /** whether disks of the host may be plugged into the machine */
  readonly useDisks: boolean;
  /** whether volumes of a pod on the host's disk are folders of the guest's */
  readonly guestEmptyDirs: boolean;
  /** whether the guest sees files of the host; else it gets copies */
  readonly sharesFiles: boolean;
  /** disks that other processes serve; absent: there are none */
  readonly servedDisks?: ServedDisks | undefined;
  readonly hostDevices: HostDevicePolicy;
  /** whether containers with a swappiness get swap space in the guest */
  readonly guestSwap: boolean;
  readonly network: NetworkPolicy;
  /** whether the management socket tells about this process */
  readonly profiling: boolean;
  /** the SELinux label of processes in the guest, for one of the host's; `undefined` = the guest has none */
  guestLabel(hostLabel: string): string | undefined;
}

/** How a pod's network becomes the machine's. */
export interface NetworkPolicy {
  /** how its links are joined to the machine; "none": they are not */
  readonly model: Config["runtime"]["internetworking_model"];
  /** whether the host's own namespace is left; else there is no network but what a file describes */
  readonly leavesHost: boolean;
  /** folder of such files; "" = there are none */
  readonly described: string;
  /** whether the host's kernel moves the packets, and not the monitor */
  readonly vhost: boolean;
  /** in bits per second; 0 = no limit */
  readonly limits: { readonly rx: number; readonly tx: number };
}

/** The policy of a configuration. */
export function sandboxPolicy({ hypervisor, runtime, agent }: Config): SandboxPolicy {
  return {
    createTimeoutMs: runtime.create_container_timeout * MS,
    dialTimeoutMs: agent.dial_timeout * MS,
    disableSeccomp: runtime.disable_guest_seccomp,
    pinVcpus: runtime.enable_vcpus_pinning,
    useDisks: !hypervisor.disable_block_device_use,
    guestEmptyDirs: !runtime.disable_guest_empty_dir || hypervisor.shared_fs === "none",
    sharesFiles: hypervisor.shared_fs !== "none",
    servedDisks: hypervisor.enable_vhost_user_store
      ? { folder: hypervisor.vhost_user_store_path, reconnectS: hypervisor.vhost_user_reconnect_timeout_sec }
      : undefined,
    hostDevices: {
      asVfio: runtime.vfio_mode === "vfio",
      atBoot: hypervisor.cold_plug_vfio !== "no-port",
      later: hypervisor.hot_plug_vfio !== "no-port",
    },
    guestSwap: hypervisor.enable_guest_swap,
    network: {
      model: runtime.internetworking_model,
      leavesHost: !runtime.disable_new_netns,
      described: runtime.dan_conf,
      vhost: !hypervisor.disable_vhost_net,
      limits: { rx: hypervisor.rx_rate_limiter_max_rate, tx: hypervisor.tx_rate_limiter_max_rate },
    },
    profiling: runtime.enable_pprof,
    guestLabel(hostLabel) {
      if (hypervisor.disable_guest_selinux) return undefined;
      return runtime.guest_selinux_label || ofContainer(hostLabel);
    },
  };
}

/** The type of a container; the guest's policy need not have the host's other types. */
function ofContainer(label: string): string {
  const [user = "", role = "", , ...level] = label.split(":");
  return [user, role, "container_t", ...level].join(":");
}

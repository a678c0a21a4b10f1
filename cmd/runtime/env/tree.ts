/**
 * What `kata-runtime env` tells, as a tree. Its keys and their order are known to programs that read it: a change of
 * them raises {@linkcode FORMAT_VERSION}.
 *
 * @module
 */

import type { Loaded } from "../../../config/load.ts";
import { COMMIT, VERSION } from "../../../version.ts";
import { firstProcessor } from "../check/capability.ts";
import type { CheckHost } from "../check/host.ts";
import { parseSemver } from "../check/semver.ts";
import { OCI_VERSION } from "../version.ts";

/** Version of the tree. */
const FORMAT_VERSION = "1.0.27";

/** What stands for a value that cannot be found out. */
export const UNKNOWN = "<<unknown>>";

/** A table of the tree. */
export interface Tree {
  readonly [key: string]: string | number | boolean | null | readonly string[] | Tree;
}

/** What the tree is made from. */
export interface EnvFacts {
  readonly host: CheckHost;
  readonly loaded: Loaded;
  /** path of this program */
  readonly executable: string;
  /** agent options on the guest kernel's command line */
  readonly agentParams: readonly string[];
  /** what the monitor says of its version */
  readonly hypervisorVersion: string;
  /** whether this machine can run virtual machines */
  readonly capable: boolean;
  /** CPUs that this process may use */
  readonly cpus: number;
}

/** A table of the configuration, for keys that not every monitor has. */
type Table = Readonly<Record<string, unknown>>;

const text = (table: Table, key: string, other = ""): string => typed(table[key], other);
const number = (table: Table, key: string, other = 0): number => typed(table[key], other);
const flag = (table: Table, key: string, other = false): boolean => typed(table[key], other);

/** The value, if it is of the same type as the other one, else that. */
function typed<T>(value: unknown, other: T): T {
  return typeof value === typeof other ? value as T : other;
}

/** The whole tree. */
export function envTree(facts: EnvFacts): Tree {
  const { loaded: { config } } = facts;
  const { hypervisor, agent } = config;
  return {
    Kernel: {
      Path: hypervisor.kernel,
      Parameters: [...facts.agentParams, hypervisor.kernel_params].filter((part) => part !== "").join(" "),
    },
    Meta: { Version: FORMAT_VERSION },
    Image: { Path: hypervisor.image },
    Initrd: { Path: hypervisor.initrd },
    Hypervisor: hypervisorTree(facts, hypervisor),
    Runtime: runtimeTree(facts),
    Host: hostTree(facts),
    Agent: { Debug: agent.enable_debug, Trace: flag(agent, "enable_tracing") },
  };
}

function hypervisorTree({ host, hypervisorVersion }: EnvFacts, hypervisor: Table): Tree {
  return {
    MachineType: text(hypervisor, "machine_type"),
    Version: hypervisorVersion,
    Path: text(hypervisor, "path"),
    BlockDeviceDriver: text(hypervisor, "block_device_driver", "virtio-scsi"),
    EntropySource: text(hypervisor, "entropy_source"),
    SharedFS: text(hypervisor, "shared_fs"),
    VirtioFSDaemon: text(hypervisor, "virtio_fs_daemon"),
    SocketPath: host.uid === 0 ? "" : UNKNOWN,
    Msize9p: number(hypervisor, "msize_9p"),
    MemorySlots: number(hypervisor, "memory_slots", 10),
    HotPlugVFIO: text(hypervisor, "hot_plug_vfio", "no-port"),
    ColdPlugVFIO: text(hypervisor, "cold_plug_vfio", "no-port"),
    PCIeRootPort: number(hypervisor, "pcie_root_port"),
    PCIeSwitchPort: number(hypervisor, "pcie_switch_port"),
    Debug: flag(hypervisor, "enable_debug"),
    SecurityInfo: {
      Rootless: flag(hypervisor, "rootless"),
      DisableSeccomp: flag(hypervisor, "disable_seccomp"),
      GuestHookPath: text(hypervisor, "guest_hook_path"),
      EnableAnnotations: typed<readonly string[]>(hypervisor.enable_annotations, []),
      ConfidentialGuest: flag(hypervisor, "confidential_guest"),
    },
  };
}

function runtimeTree({ loaded: { config, path }, executable }: EnvFacts): Tree {
  const runtime: Table = config.runtime;
  const version = parseSemver(VERSION);
  const experimental = typed<readonly string[]>(runtime.experimental, []);
  return {
    Config: { Path: path },
    Path: executable,
    GuestSeLinuxLabel: text(runtime, "guest_selinux_label"),
    Experimental: experimental.length === 0 ? null : experimental,
    Version: {
      OCI: OCI_VERSION,
      Version: {
        Semver: version === undefined ? UNKNOWN : VERSION,
        Commit: COMMIT || UNKNOWN,
        Major: version?.major ?? 0,
        Minor: version?.minor ?? 0,
        Patch: version?.patch ?? 0,
      },
    },
    Debug: flag(runtime, "enable_debug"),
    Trace: flag(runtime, "enable_tracing"),
    DisableGuestSeccomp: flag(runtime, "disable_guest_seccomp"),
    DisableNewNetNs: flag(runtime, "disable_new_netns"),
    SandboxCgroupOnly: flag(runtime, "sandbox_cgroup_only"),
  };
}

function hostTree({ host, capable, cpus }: EnvFacts): Tree {
  const protection = guestProtection(host);
  return {
    AvailableGuestProtections: protection === undefined ? null : [protection],
    Kernel: (host.read("/proc/version") ?? "").split(" ")[2] || UNKNOWN,
    Architecture: host.arch,
    Distro: distro(host),
    CPU: { ...cpuNames(host), CPUs: cpus },
    Memory: memory(host),
    VMContainerCapable: capable,
    SupportVSocks: host.exists("/dev/vhost-vsock"),
  };
}

/** How guests' memory can be kept from the host; at most one way per processor. */
function guestProtection(host: CheckHost): string | undefined {
  const isOn = (path: string) => /^[Y1]/.test(host.read(`/sys/module/${path}`) ?? "");
  if (host.arch !== "amd64") return undefined;
  if (isOn("kvm_intel/parameters/tdx")) return "tdx";
  if (isOn("kvm_amd/parameters/sev_snp")) return "snp";
  return undefined;
}

function distro(host: CheckHost): Tree {
  const release = host.read("/etc/os-release") ?? host.read("/usr/lib/os-release") ?? "";
  const value = (key: string) => new RegExp(`^${key}=(["']?)(.*)\\1$`, "m").exec(release)?.[2] ?? UNKNOWN;
  return { Name: value("NAME"), Version: value("VERSION_ID") };
}

function cpuNames(host: CheckHost): Tree {
  const block = firstProcessor(host.read("/proc/cpuinfo") ?? "");
  const value = (key: string) => new RegExp(`^${key}\\s*:\\s*(.*?)\\s*$`, "m").exec(block)?.[1];
  if (host.arch === "amd64") {
    return { Vendor: value("vendor_id") ?? UNKNOWN, Model: value("model name") ?? UNKNOWN };
  }
  const implementer = value("CPU implementer");
  const generation = /^[3-8]/.exec(value("CPU architecture") ?? "")?.[0];
  return {
    Vendor: implementer === undefined
      ? UNKNOWN
      : implementer === "0x41"
      ? "ARM Limited"
      : "3rd Party Limited",
    Model: generation === undefined ? "unknown" : `v${generation}`,
  };
}

/** kB, as the kernel tells it. */
function memory(host: CheckHost): Tree {
  const meminfo = host.read("/proc/meminfo") ?? "";
  const value = (key: string) => Number(new RegExp(`^${key}:\\s*(\\d+)`, "m").exec(meminfo)?.[1] ?? 0);
  return { Total: value("MemTotal"), Free: value("MemFree"), Available: value("MemAvailable") };
}

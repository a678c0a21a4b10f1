/**
 * From the configuration to the parts of a machine that not every machine has.
 *
 * @module
 */

import type { Config } from "../../config/schema.ts";
import type { Spec } from "../../oci/spec.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import { exists } from "../../sys/exists.ts";
import type {
  ConfidentialGuest,
  DiskSettings,
  GuestImage,
  HostDevice,
  HostUser,
  MachineParts,
} from "../../vm/vmm.ts";

import type { InitDataDisk } from "./init_data.ts";

type Hypervisor = Config["hypervisor"];

/** What the parts depend on besides the configuration. */
export interface PartsNeeds {
  readonly spec: Spec;
  readonly config: Config;
  /** who the monitor runs as; default: the caller */
  readonly user?: HostUser;
  /** devices of the host that the machine is booted with; default: none */
  readonly hostDevices?: readonly HostDevice[];
  /** what the largest device that may be plugged in later takes; default: little */
  readonly portRoom?: HostDevice["memory"];
  /** what the guest's owner has it configured with; default: nothing */
  readonly initData?: InitDataDisk;
  /** default: this host's */
  readonly host?: PartsHost;
}

/** What is looked at on the host. */
export interface PartsHost {
  readonly arch: string;
  /** @throws {Error} there is no such file */
  sizeOf(path: string): number;
  /** whether processes have SELinux labels */
  hasSelinux(): boolean;
  /** whether only approved ciphers may be used */
  hasFips(): boolean;
}

/** The parts. @throws {RpcError} `INVALID_ARGUMENT` for a specification that asks for what cannot be */
export function machineParts(
  { spec, config, user, hostDevices, portRoom, initData, host = thisHost }: PartsNeeds,
): MachineParts {
  const { hypervisor } = config;
  return {
    image: guestImage(hypervisor, host),
    firmware: orUndefined(hypervisor.firmware),
    firmwareVolume: orUndefined(hypervisor.firmware_volume),
    pflashes: hypervisor.pflashes,
    preallocate: hypervisor.enable_mem_prealloc,
    hugepages: hypervisor.enable_hugepages,
    shareMemory: hypervisor.enable_vhost_user_store,
    balloon: hypervisor.reclaim_guest_freed_memory,
    bridges: hypervisor.default_bridges,
    ports: ports(hypervisor, portRoom),
    hostDevices,
    scsi: needsScsi(hypervisor) ? { ioThread: hypervisor.enable_iothreads } : undefined,
    disks: diskSettings(hypervisor),
    iommu: hypervisor.enable_iommu,
    iommuPlatform: hypervisor.enable_iommu_platform,
    ignoreNesting: hypervisor.disable_nesting_checks,
    extraMonitor: hypervisor.enable_debug ? orUndefined(hypervisor.extra_monitor_socket) : undefined,
    memoryDump: hypervisor.guest_memory_dump_path === "" ? undefined : {
      folder: hypervisor.guest_memory_dump_path,
      paging: hypervisor.guest_memory_dump_paging,
    },
    confidential: confidential(hypervisor, initData),
    initData: initData?.path,
    sgxBytes: sgxBytes(spec.annotations ?? {}),
    guestSelinux: !hypervisor.disable_guest_selinux,
    user,
    selinuxLabel: monitorLabel(hypervisor, spec, host),
  };
}

/** Parameters that the host's own mode asks of the guest's kernel. */
export function hostKernelParams(host: PartsHost = thisHost): string[] {
  return host.hasFips() ? ["fips=1"] : [];
}

function guestImage(hypervisor: Hypervisor, host: PartsHost): GuestImage | undefined {
  const { image: path, rootfs_type: fsType } = hypervisor;
  if (path === "") return undefined;
  // without firmware, machines of arm64 do not tell their guests of such memory
  const hasFirmware = hypervisor.firmware !== "" || hypervisor.pflashes.length > 0;
  const asMemory = !hypervisor.disable_image_nvdimm &&
    !hypervisor.confidential_guest &&
    hypervisor.machine_type !== "microvm" &&
    (host.arch === "x86_64" || hasFirmware);
  return { path, sizeBytes: host.sizeOf(path), fsType, asMemory };
}

/** A controller of disks costs time at boot: a q35, which has bridges, is given one with the first disk. */
function needsScsi({ block_device_driver: driver, machine_type: machine }: Hypervisor): boolean {
  return driver === "virtio-scsi" && machine !== "q35";
}

function diskSettings(hypervisor: Hypervisor): DiskSettings {
  const { block_device_driver: driver, block_device_aio: aio, enable_iothreads: ioThread } = hypervisor;
  const { block_device_cache_direct: direct, block_device_cache_noflush: noFlush } = hypervisor;
  return {
    driver: driver === "virtio-scsi" ? "virtio-scsi" : "virtio-blk",
    aio,
    cache: hypervisor.block_device_cache_set ? { direct, noFlush } : undefined,
    ioThread,
  };
}

function ports(hypervisor: Hypervisor, room: HostDevice["memory"] | undefined): MachineParts["ports"] {
  const kinds = [hypervisor.hot_plug_vfio, hypervisor.cold_plug_vfio];
  if (kinds.includes("bridge-port")) return { kind: "bridge", count: 0 };
  if (kinds.includes("root-port")) {
    return { kind: "root", count: Math.max(1, hypervisor.pcie_root_port), room };
  }
  if (kinds.includes("switch-port")) {
    return { kind: "switch", count: Math.max(1, hypervisor.pcie_switch_port), room };
  }
  return undefined;
}

function confidential(
  hypervisor: Hypervisor,
  initData: InitDataDisk | undefined,
): ConfidentialGuest | undefined {
  if (!hypervisor.confidential_guest) return undefined;
  return {
    snp: hypervisor.sev_snp_guest,
    idBlock: orUndefined(hypervisor.snp_id_block),
    idAuth: orUndefined(hypervisor.snp_id_auth),
    snpPolicy: hypervisor.snp_guest_policy,
    quotePort: hypervisor.tdx_quote_generation_service_socket_port,
    hostData: initData?.digest,
  };
}

/** The container's own label, which the policy knows for what may be confined like a container. */
function monitorLabel(hypervisor: Hypervisor, spec: Spec, host: PartsHost): string | undefined {
  const label = spec.process.selinuxLabel ?? "";
  if (label === "" || hypervisor.disable_selinux || !host.hasSelinux()) return undefined;
  return label;
}

/** How Kubernetes' device plugin asks for enclave memory. */
const SGX_ANNOTATION = "sgx.intel.com/epc";

const SGX_UNITS = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

function sgxBytes(annotations: Readonly<Record<string, string>>): number | undefined {
  const text = annotations[SGX_ANNOTATION];
  if (text === undefined) return undefined;
  const [, number = "", unit = ""] = /^([0-9]+)([KMGTPE]i)$/.exec(text) ?? [];
  const bytes = Number(number) * 1024 ** (SGX_UNITS.indexOf(unit) + 1);
  if (number !== "" && Number.isSafeInteger(bytes)) return bytes;
  throw new RpcError(
    Code.InvalidArgument,
    `annotation: ${SGX_ANNOTATION} = ${JSON.stringify(text)}: must be a number with one of ${
      SGX_UNITS.join(", ")
    } behind it, such as "64Mi"`,
  );
}

const thisHost: PartsHost = {
  arch: Deno.build.arch,
  sizeOf: (path) => Deno.statSync(path).size,
  hasSelinux: () => exists("/sys/fs/selinux/enforce"),
  hasFips: () => {
    try {
      return Deno.readTextFileSync("/proc/sys/crypto/fips_enabled").trim() === "1";
    } catch {
      return false;
    }
  },
};

function orUndefined<T extends string>(text: T): Exclude<T, ""> | undefined {
  return text === "" ? undefined : text as Exclude<T, "">;
}

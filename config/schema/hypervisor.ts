/** `[hypervisor.qemu]`: what virtual machines are made of. */

import { choice, flag, float, integer, list, type Missing, text } from "../key.ts";
import {
  badExpression,
  badHash,
  badMachine,
  badWords,
  LARGEST,
  MACHINE,
  MIN_MEMORY_MIB,
  powerOfTwo,
} from "./checks.ts";

const MACHINES = ["q35", "microvm", "virt"] as const;

/** Kinds of PCI Express ports for devices of the host. */
const PORTS = ["no-port", "bridge-port", "root-port", "switch-port"] as const;

/** QEMU has 16 of them at most on one machine. */
const MAX_PORTS = 16;

/** Keys of another hypervisor, which files that are made for all of them have. */
const REMOTE: Missing<unknown> = { say: "warn", why: 'counts with the hypervisor "remote" only' };

/** SHA-512 of a file, in hexadecimal digits, that a pod asks to have compared. */
const HASH = { annotation: {}, annotationOnly: true, check: badHash } as const;

export const HYPERVISOR = {
  path: text("", { path: true, annotation: { within: "valid_hypervisor_paths" } }),
  kernel: text("", { path: true, annotation: { needed: true } }),
  image: text("", { path: true, annotation: { needed: true } }),
  initrd: text("", { path: true, annotation: { needed: true } }),
  rootfs_type: choice(["ext4", "xfs", "erofs"], {}),
  machine_type: choice(MACHINES, {
    default: () => MACHINE,
    check: badMachine,
    annotation: { ignoreEmpty: true },
  }),
  accelerator: choice(["auto", "kvm", "tcg"], {}),
  machine_accelerators: text("", { annotation: { ignoreEmpty: true } }),
  cpu_features: text("", { annotation: { ignoreEmpty: true } }),
  kernel_params: text("", { annotation: { mode: "append" }, check: badWords }),
  firmware: text("", { path: true, annotation: {} }),
  firmware_volume: text("", { path: true, annotation: {} }),
  pflashes: list([], { path: true }),

  default_vcpus: float(1, { unit: "CPUs", unset: 0, annotation: {} }),
  default_maxvcpus: integer(0, {
    unit: "CPUs",
    annotation: { names: ["default_max_vcpus", "default_maxvcpus"] },
  }),
  default_memory: integer(2048, {
    unit: "MiB",
    unset: 0,
    min: MIN_MEMORY_MIB,
    annotation: { refuseUnset: true },
  }),
  memory_slots: integer(10, { unset: 0, max: 255, annotation: { ignoreZero: true } }),
  default_maxmemory: integer(0, { unit: "MiB", max: LARGEST, annotation: {} }),
  memory_offset: integer(0, { unit: "MiB", max: LARGEST, annotation: { ignoreZero: true } }),
  enable_virtio_mem: flag(false, { annotation: {} }),
  enable_mem_prealloc: flag(false, { annotation: {} }),
  enable_hugepages: flag(false, { annotation: {} }),
  file_mem_backend: text("", { path: true, annotation: { within: "valid_file_mem_backends" } }),
  valid_file_mem_backends: list([]),
  reclaim_guest_freed_memory: flag(false, { annotation: {} }),
  enable_guest_swap: flag(false, { annotation: {} }),

  shared_fs: choice(["virtio-fs", "virtio-9p", "none", "virtio-fs-nydus"], {
    annotation: { allowed: ["virtio-fs", "virtio-9p"] },
    missing: {
      say: "refuse",
      when: (value) => value === "virtio-fs-nydus",
      why: 'must be "virtio-fs", "virtio-9p" or "none": this version does not start the nydus daemon',
    },
  }),
  virtio_fs_daemon: text("", { path: true, annotation: { within: "valid_virtio_fs_daemon_paths" } }),
  valid_virtio_fs_daemon_paths: list([]),
  virtio_fs_cache: choice(["auto", "never", "metadata", "always"], {
    aliases: { none: "never" },
    unset: "" as "auto",
    annotation: {},
  }),
  virtio_fs_cache_size: integer(0, { unit: "MiB", annotation: {} }),
  virtio_fs_queue_size: integer(1024, { unset: 0, min: 2, max: 1024, check: powerOfTwo }),
  virtio_fs_extra_args: list([], { annotation: { mode: "append", list: "json" } }),
  msize_9p: integer(8192, { unit: "bytes", unset: 0, min: 1, annotation: { refuseUnset: true } }),

  block_device_driver: choice(["virtio-scsi", "virtio-blk", "virtio-mmio", "nvdimm", "virtio-blk-ccw"], {
    annotation: {},
    missing: {
      say: "warn",
      when: (value) => value === "virtio-mmio" || value === "nvdimm",
      why: 'counts as "virtio-blk": this version attaches no disks by "virtio-mmio" or "nvdimm"',
    },
  }),
  block_device_aio: choice(["io_uring", "native", "threads"], { annotation: {} }),
  block_device_cache_set: flag(false, { annotation: {} }),
  block_device_cache_direct: flag(false, { annotation: {} }),
  block_device_cache_noflush: flag(false, { annotation: {} }),
  disable_block_device_use: flag(false, { annotation: {} }),
  enable_iothreads: flag(false, { annotation: {} }),
  disable_image_nvdimm: flag(false, { annotation: {} }),
  enable_vhost_user_store: flag(false, { annotation: {} }),
  vhost_user_store_path: text("/var/run/kata-containers/vhost-user", {
    path: true,
    annotation: { within: "valid_vhost_user_store_paths" },
  }),
  valid_vhost_user_store_paths: list([]),
  vhost_user_reconnect_timeout_sec: integer(0, {
    unit: "seconds",
    annotation: {},
  }),

  default_bridges: integer(1, { unset: 0, cap: 5 }),
  hot_plug_vfio: choice(PORTS, { unset: "" as "no-port", annotation: {} }),
  cold_plug_vfio: choice(PORTS, { unset: "" as "no-port", annotation: {} }),
  hotplug_vfio_on_root_bus: flag(false, { annotation: {} }),
  pcie_root_port: integer(0, { cap: MAX_PORTS, annotation: { ignoreZero: true } }),
  pcie_switch_port: integer(0, { cap: MAX_PORTS, annotation: { ignoreZero: true } }),
  enable_iommu: flag(false, { annotation: {} }),
  enable_iommu_platform: flag(false, { annotation: {} }),
  disable_nesting_checks: flag(false),

  disable_vhost_net: flag(false, { annotation: {} }),
  rx_rate_limiter_max_rate: integer(0, {
    unit: "bits per second",
    max: LARGEST,
    annotation: {},
  }),
  tx_rate_limiter_max_rate: integer(0, {
    unit: "bits per second",
    max: LARGEST,
    annotation: {},
  }),

  entropy_source: text("/dev/urandom", {
    path: true,
    unset: "",
    annotation: { within: "valid_entropy_sources", ignoreEmpty: true },
  }),
  valid_entropy_sources: list([]),

  confidential_guest: flag(false),
  sev_snp_guest: flag(false),
  snp_id_block: text(""),
  snp_id_auth: text(""),
  snp_guest_policy: integer(0x30000, { max: LARGEST }),
  tdx_quote_generation_service_socket_port: integer(4050, { unset: 0, max: 65_535 }),
  seccompsandbox: text("on,obsolete=deny,spawn=deny,resourcecontrol=deny"),
  rootless: flag(false, { annotation: {} }),
  disable_selinux: flag(false),
  disable_guest_selinux: flag(true),

  guest_hook_path: text("", { annotation: { ignoreEmpty: true } }),
  guest_memory_dump_path: text("", { path: true }),
  guest_memory_dump_paging: flag(false),
  enable_debug: flag(false),
  extra_monitor_socket: choice(["", "hmp", "qmp", "qmp-pretty"], {}),
  use_legacy_serial: flag(false, { annotation: {} }),
  hypervisor_loglevel: integer(1, {
    unset: 0,
    cap: 3,
    missing: { say: "warn", why: "has no effect: QEMU has no levels" },
  }),

  enable_annotations: list([], { check: badExpression }),
  hypervisor_hash: text("", HASH),
  kernel_hash: text("", HASH),
  image_hash: text("", HASH),
  initrd_hash: text("", HASH),
  firmware_hash: text("", HASH),
  firmware_volume_hash: text("", HASH),
  asset_hash_type: choice(["sha512"], {
    annotation: { alias: "io.katacontainers.asset_hash_type" },
    annotationOnly: true,
  }),
  valid_hypervisor_paths: list([]),

  cc_init_data: text("", { annotation: {}, annotationOnly: true }),
  remote_hypervisor_socket: text("/run/peerpod/hypervisor.sock", { path: true, missing: REMOTE }),
  remote_hypervisor_timeout: integer(600, { unit: "seconds", unset: 0, missing: REMOTE }),
  default_gpus: integer(0, { annotation: {}, annotationOnly: true, missing: REMOTE }),
  default_gpu_model: text("", { annotation: {}, annotationOnly: true, missing: REMOTE }),
} as const;

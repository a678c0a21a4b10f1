/**
 * The keys of configuration.toml: the one place that says which there are, what they mean and what they may be.
 * Names, defaults and rules follow Kata Containers' configuration, so that its files can be used as they are.
 */

import { arch } from "./host.ts";
import { choice, flag, float, integer, list, text, type Values } from "./key.ts";

/** Smallest memory of a virtual machine, in MiB. */
const MIN_MEMORY_MIB = 256;

/** The machine type that suits the architecture. */
const MACHINE = arch === "aarch64" ? "virt" : "q35";

/** `[hypervisor.qemu]` */
export const HYPERVISOR = {
  path: text("", {
    doc: "The virtual machine monitor's program; empty = the distribution's QEMU for this machine.",
    path: true,
    annotation: { within: "valid_hypervisor_paths" },
  }),
  kernel: text("", {
    doc: "The guest's kernel: an uncompressed ELF file (vmlinux) or a bootable image.",
    path: true,
    annotation: {},
  }),
  initrd: text("", {
    doc: "The guest's initial file system, as an archive; exactly one of initrd and image is set.",
    path: true,
    annotation: {},
  }),
  image: text("", {
    doc: "The guest's root disk; exactly one of initrd and image is set.",
    path: true,
    annotation: {},
  }),
  machine_type: choice(["q35", "virt"], {
    doc: "The machine that is emulated: q35 on x86-64, virt on arm64.",
    default: () => MACHINE,
    check: (value) => value === MACHINE ? undefined : `must be "${MACHINE}" on this architecture`,
    annotation: { ignoreEmpty: true },
  }),
  machine_accelerators: text("", {
    doc: "Further options of the machine, separated by commas.",
    annotation: { ignoreEmpty: true },
  }),
  accelerator: choice(["auto", "kvm", "tcg"], {
    doc: "How guest code is run: kvm in hardware, tcg in software, auto = kvm where the host's works.",
  }),
  cpu_features: text("", {
    doc: "CPU features to add or take away, separated by commas.",
    annotation: { ignoreEmpty: true },
  }),
  kernel_params: text("", {
    doc: "Parameters added to the end of the guest kernel's command line, so that they win.",
    annotation: { mode: "append" },
  }),
  firmware: text("", {
    doc: "A firmware file for the machine; empty = its own.",
    path: true,
    annotation: {},
  }),
  default_vcpus: float(1, {
    doc: "CPUs at boot; 0 = 1, a negative number or more than the host has = as many as the host has.",
    unit: "CPUs",
    unset: 0,
    annotation: {},
  }),
  default_maxvcpus: integer(0, {
    doc: "Most CPUs that can be plugged in; 0 = as many as the host has.",
    unit: "CPUs",
    annotation: { names: ["default_max_vcpus", "default_maxvcpus"] },
  }),
  default_memory: integer(2048, {
    doc: "Memory at boot; 0 = the default.",
    unit: "MiB",
    unset: 0,
    min: MIN_MEMORY_MIB,
    annotation: {},
  }),
  memory_slots: integer(10, {
    doc: "How many memory modules can be plugged in; 0 = the default.",
    unset: 0,
    max: 255,
    annotation: {},
  }),
  default_maxmemory: integer(0, {
    doc: "Most memory that the machine can grow to; 0 or more than the host has = as much as the host has.",
    unit: "MiB",
    max: Number.MAX_SAFE_INTEGER,
    annotation: {},
  }),
  memory_offset: integer(0, {
    doc: "More room for memory beyond default_maxmemory, for block devices that are mapped as memory.",
    unit: "MiB",
    max: Number.MAX_SAFE_INTEGER,
    annotation: {},
  }),
  shared_fs: choice(["virtio-fs", "virtio-9p", "none"], {
    doc: "How the guest sees files of the host.",
    annotation: { allowed: ["virtio-fs", "virtio-9p"] },
  }),
  virtio_fs_daemon: text("", {
    doc: "The virtio-fs daemon's program; empty = the installed virtiofsd.",
    path: true,
    annotation: { within: "valid_virtio_fs_daemon_paths" },
  }),
  virtio_fs_cache: choice(["auto", "never", "metadata", "always"], {
    doc: "What the guest may cache of shared files.",
    aliases: { none: "never" },
    unset: "" as "auto",
    annotation: {},
  }),
  virtio_fs_cache_size: integer(0, {
    doc: "Size of the window through which the guest maps files of the host; 0 = no window.",
    unit: "MiB",
    annotation: {},
  }),
  virtio_fs_queue_size: integer(1024, {
    doc: "Length of the file system's request queue, a power of two.",
    unset: 0,
    min: 2,
    max: 1024,
    check: (value) => Number.isInteger(Math.log2(value)) ? undefined : "must be a power of two",
  }),
  virtio_fs_extra_args: list([], {
    doc: "Further arguments of the virtio-fs daemon.",
    annotation: { mode: "append", list: "json" },
  }),
  msize_9p: integer(8192, { doc: "Largest message of a 9p share.", unit: "bytes", unset: 0, annotation: {} }),
  seccompsandbox: text("on,obsolete=deny,spawn=deny,resourcecontrol=deny", {
    doc: "QEMU's own system call filter, as for its -sandbox option; empty = none.",
  }),
  entropy_source: text("/dev/urandom", {
    doc: "The host's source of the guest's random numbers.",
    path: true,
    unset: "",
    annotation: { within: "valid_entropy_sources", ignoreEmpty: true },
  }),
  file_mem_backend: text("", {
    doc:
      "A folder for files that back the guest's memory; empty = anonymous shared memory where that is needed.",
    path: true,
    annotation: { within: "valid_file_mem_backends" },
  }),
  disable_vhost_net: flag(false, {
    doc: "Move network packets in the monitor's process instead of the host's kernel.",
    annotation: {},
  }),
  enable_debug: flag(false, { doc: "Log more of the monitor, and let the guest's kernel print all it has." }),
  enable_annotations: list([], {
    doc: "Regular expressions; annotations of the hypervisor whose names one of them matches are accepted.",
    check: badExpression,
  }),
  valid_hypervisor_paths: list([], { doc: "Patterns of files that the annotation of path may name." }),
  valid_virtio_fs_daemon_paths: list([], {
    doc: "Patterns of files that the annotation of virtio_fs_daemon may name.",
  }),
  valid_entropy_sources: list([], {
    doc: "Patterns of files that the annotation of entropy_source may name.",
  }),
  valid_file_mem_backends: list([], {
    doc: "Patterns of folders that the annotation of file_mem_backend may name.",
  }),
} as const;

/** `[runtime]` */
export const RUNTIME = {
  enable_debug: flag(false, { doc: "Log more of the runtime itself." }),
  internetworking_model: choice(["tcfilter", "macvtap", "none"], {
    doc: "How the pod's network and the virtual machine's are joined.",
    aliases: { default: "tcfilter" },
    annotation: {},
  }),
  disable_guest_seccomp: flag(false, {
    doc: "Leave system call filters of containers out.",
    annotation: {},
  }),
  disable_new_netns: flag(false, {
    doc: "Run the monitor in the host's network namespace; only without a network for the pod.",
    annotation: {},
  }),
  sandbox_cgroup_only: flag(false, {
    doc: "Put the runtime and all its helpers into the pod's cgroup, not the virtual machine's CPUs alone.",
    annotation: {},
  }),
  static_sandbox_resource_mgmt: flag(false, {
    doc: "Boot with all that the workload asks for, and never change the machine's size later.",
  }),
  create_container_timeout: integer(60, {
    doc: "Time for creating a container in the guest; 0 = the default.",
    unit: "seconds",
    unset: 0,
    annotation: {},
  }),
} as const;

/** `[agent.kata]` */
export const AGENT = {
  enable_debug: flag(false, { doc: "Log more of the agent in the guest." }),
  kernel_modules: list([], {
    doc: "Modules to load in the guest: in each string the name, then parameters, separated by spaces.",
    annotation: { list: ";" },
  }),
  debug_console_enabled: flag(false, {
    doc: "Offer a shell in the guest to whoever may use the host as root.",
  }),
  dial_timeout: integer(30, {
    doc: "Time for the agent to answer after the virtual machine was started; 0 = the default.",
    unit: "seconds",
    unset: 0,
  }),
  container_pipe_size: integer(0, {
    doc: "Size of the pipes of containers' output in the guest; 0 = as much as one call carries, 1 MiB.",
    unit: "bytes",
    annotation: {},
    annotationOnly: true,
  }),
} as const;

/** `[factory]` */
export const FACTORY = {} as const;

/** All settings, with the names that they have in the file. */
export interface Config {
  /** `name` is the table's: `[hypervisor.<name>]`. */
  hypervisor: Values<typeof HYPERVISOR> & { name: HypervisorName };
  runtime: Values<typeof RUNTIME>;
  agent: Values<typeof AGENT>;
  factory: Values<typeof FACTORY>;
}

/** Monitors that can be chosen. */
export const HYPERVISORS = ["qemu"] as const;
export type HypervisorName = typeof HYPERVISORS[number];

/** Tables of the file by name, in the order in which they are read. */
export const SECTIONS = { hypervisor: HYPERVISOR, runtime: RUNTIME, agent: AGENT, factory: FACTORY } as const;
export type SectionName = keyof typeof SECTIONS;

function badExpression(expressions: readonly string[]): string | undefined {
  for (const expression of expressions) {
    try {
      new RegExp(expression);
    } catch {
      return `must hold regular expressions: ${JSON.stringify(expression)} is none`;
    }
  }
  return undefined;
}

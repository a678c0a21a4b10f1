/**
 * QEMU's command line as a pure function: nothing is opened or looked up here.
 *
 * The order is that of a machine's parts; automatic PCI addresses follow from it, so it matters to saved machines.
 */

import type { Accelerator, VmConfig } from "../vmm.ts";
import * as devices from "./devices.ts";
import { type DescribeDevice, hostDeviceArguments, portArguments } from "./host_devices.ts";
import { type Arch, kernelCommandLine } from "./kernel_params.ts";
import { backendOption, memoryBackend } from "./memory_backend.ts";
import type { FilePart } from "../initrd_file.ts";
import { needsSharedMemory, nicArguments, type NicFdName } from "./nics.ts";
import { PROTECTED_MACHINE, type Protection, protectionObject } from "./protection.ts";
import { value } from "./values.ts";

/** The device that carries the agent's connections. */
export type ChannelDevice =
  | { readonly kind: "vsock"; readonly cid: number }
  | { readonly kind: "vhost-user-vsock"; readonly socketPath: string }
  | { readonly kind: "virtio-serial" };

/** Descriptors that QEMU is given, from {@linkcode FIRST_FD} on in the order of {@linkcode CommandLine.fds}. */
export type FdName = "qmp" | "console" | "vhost-vsock" | "agent" | "initrd" | NicFdName;

/** What the command line is made of. */
export interface CommandLineInput {
  readonly config: VmConfig;
  readonly arch: Arch;
  readonly accelerator: Accelerator;
  readonly channel: ChannelDevice;
  readonly uuid: string;
  /** How fast the guest's time stamp counter runs, in kHz; default: the guest finds out. */
  readonly tscKhz?: number;
  /** Whether the host of KVM is a virtual machine itself; default false. */
  readonly nested?: boolean;
  /** What a confidential guest is protected with; default: nothing. */
  readonly protection?: Protection;
  /** How devices of the host are described; default: as what they are. */
  readonly describeDevice?: DescribeDevice;
  /** The disk in the initrd's file; what is left of that is inherited as a file then. Default: none. */
  readonly initrdDisk?: FilePart;
}

/** A command line without the program's name, and the descriptors it speaks of. */
export interface CommandLine {
  readonly args: readonly string[];
  readonly fds: readonly FdName[];
}

/** Name of the virtio-serial port of the agent, as the guest finds it. */
const AGENT_PORT = "agent.channel.0";

/** Kernel parameter that makes the agent listen on {@linkcode AGENT_PORT} instead of on vsock. */
const AGENT_ON_PORT = `agent.server_addr=virtio-serial://${AGENT_PORT}`;

/** Number of the first descriptor that QEMU is given. */
export const FIRST_FD = 3;

/** Name of the pid file in the VM's run folder. */
export const PID_FILE = "pid";

/**
 * Builds the command line.
 *
 * @throws {Error} the configuration cannot be put into one
 */
export function buildCommandLine(input: CommandLineInput): CommandLine {
  const { config } = input;
  const fds: FdName[] = [];
  const fd = (name: FdName): number => FIRST_FD + fds.push(name) - 1;
  const args = [
    ...identity(input),
    ...machine(input),
    ...control(fd),
    ...devices.extraMonitor(config),
    ...devices.buses(input),
    ...consoleDevice(fd),
    ...devices.image(input),
    ...devices.initrdDisk(input),
    ...devices.initData(input),
    ...devices.panicDevice(input),
    ...devices.scsi(input),
    ...entropy(input),
    ...devices.balloon(input),
    ...virtioMem(input),
    ...portArguments(config),
    ...agentChannel(input, fd),
    ...share(input),
    ...nicArguments(input, fd),
    ...hostDeviceArguments(config, input.describeDevice),
    ...boot(input, fd),
    ...isolation(config),
  ];
  return { args, fds };
}

function identity({ config, uuid }: CommandLineInput): string[] {
  return ["-name", `sandbox-${value(config.id)},debug-threads=on`, "-uuid", uuid];
}

/**
 * Parts of a q35 that no guest of ours uses. Each costs the guest time to find, and is code that a guest could attack.
 */
const Q35_WITHOUT = "smm=off,vmport=off,hpet=off,sata=off,smbus=off,usb=off";

function machine(input: CommandLineInput): string[] {
  const { config, arch, accelerator } = input;
  const smp = `${config.vcpus},cores=1,threads=1,sockets=${config.maxVcpus},maxcpus=${config.maxVcpus}`;
  return [
    ...["-machine", machineProperties(input).join(",")],
    ...["-accel", accelerator === "tcg" ? "tcg,thread=multi" : kvm(input)],
    ...["-cpu", [...processor(arch, accelerator), config.cpuFeatures].filter(Boolean).join(",")],
    ...["-smp", config.machineType === "microvm" ? String(config.vcpus) : smp],
    ...["-m", memorySize(input)],
    ...[
      "-object",
      backendOption(memoryBackend(config, sharesMemory(config, input.channel)), "dimm1", config.memoryMiB),
    ],
    ...devices.enclavePages(input),
    ...(config.confidential !== undefined && input.protection !== undefined
      ? ["-object", protectionObject(config.confidential, input.protection)]
      : []),
    ...["-rtc", arch === "x86_64" ? "base=utc,driftfix=slew,clock=host" : "base=utc,clock=host"],
    ...(arch === "x86_64" && accelerator === "kvm" ? ["-global", "kvm-pit.lost_tick_policy=discard"] : []),
  ];
}

/** Id of the device that memory comes from and goes to, where there is one. */
export const VIRTIO_MEM = "virtiomem0";

/** What such a device works in, whatever pages the host has. */
const VIRTIO_MEM_STEP_MIB = 4;

/** A virtio-mem device: it gives the guest no memory at first, and up to the machine's limit on request. */
function virtioMem(input: CommandLineInput): string[] {
  const { config, channel } = input;
  const { virtioMem, memoryMiB, maxMemoryMiB = 0 } = config;
  const room = Math.floor((maxMemoryMiB - memoryMiB) / VIRTIO_MEM_STEP_MIB) * VIRTIO_MEM_STEP_MIB;
  if (!virtioMem || room <= 0) return [];
  const backend = memoryBackend(config, sharesMemory(config, channel));
  return [
    ...["-object", backendOption(backend, "virtiomem", room)],
    ...[
      "-device",
      devices.virtio(input, "virtio-mem-pci", `id=${VIRTIO_MEM},memdev=virtiomem,requested-size=0`),
    ],
  ];
}

/** A microvm has its devices on PCI, as every other machine. */
const MICROVM = "pcie=on,acpi=on,rtc=on";

function machineProperties({ config, arch, accelerator, protection }: CommandLineInput): string[] {
  const properties = [config.machineType, "memory-backend=dimm1"];
  if (config.machineType.includes("q35")) properties.push(Q35_WITHOUT);
  if (config.machineType === "microvm") properties.push(MICROVM);
  if (arch === "aarch64") properties.push(accelerator === "kvm" ? "gic-version=host" : "gic-version=max");
  if (config.image?.asMemory) properties.push("nvdimm=on");
  if (config.sgxBytes) properties.push("sgx-epc.0.memdev=epc0,sgx-epc.0.node=0");
  if (protection !== undefined) properties.push(PROTECTED_MACHINE);
  if (config.machineAccelerators) properties.push(config.machineAccelerators);
  return properties;
}

/** Interrupts that are remapped, or hidden from the host, are handled outside of the kernel in part. */
function kvm({ config, protection }: CommandLineInput): string {
  return config.iommu || protection !== undefined ? "kvm,kernel-irqchip=split" : "kvm";
}

/** Address space behind what is asked for: devices that are mapped as memory need some, too. */
const ADDRESS_RESERVE_MIB = 1024;

const MIB = 1_048_576;

/** Emulated processors have 40 address bits, and QEMU reserves 1 GiB for each module besides its memory. */
const EMULATED_MAX_MIB = 512 * 1024;

function memorySize({ config, accelerator }: CommandLineInput): string {
  const { memoryMiB, maxMemoryMiB = 0, memoryOffsetMiB = 0, image } = config;
  const mappedMiB = image?.asMemory ? Math.ceil(image.sizeBytes / MIB) : 0;
  // an image that is mapped takes the place of a module, even in a machine that cannot grow
  const slots = Math.max(config.memorySlots ?? 0, mappedMiB > 0 ? 1 : 0);
  if (slots === 0 && !config.virtioMem) return `${memoryMiB}M`;
  const reserve = ADDRESS_RESERVE_MIB + mappedMiB;
  const wanted = Math.max(maxMemoryMiB, memoryMiB) + memoryOffsetMiB + reserve;
  const most = accelerator === "tcg"
    ? Math.max(Math.min(wanted, EMULATED_MAX_MIB), memoryMiB + reserve)
    : wanted;
  return `${memoryMiB}M,slots=${slots},maxmem=${most}M`;
}

/**
 * Everything that QEMU can emulate, but for what costs a guest time and gives it nothing: "fast string" instructions,
 * which are emulated byte by byte (guests without the flags use wide moves), protection keys, each change of which
 * empties the emulated TLB, and page tables of five levels.
 */
const EMULATED_X86 = ["max", "erms=off", "fsrm=off", "pku=off", "la57=off"];

function processor(arch: Arch, accelerator: Accelerator): readonly string[] {
  if (accelerator === "kvm") return ["host"];
  return arch === "x86_64" ? EMULATED_X86 : ["max"];
}

/** Whether a process besides QEMU reads the guest's queues, and so its memory. */
export function sharesMemory({ nics, share, shareMemory }: VmConfig, channel: ChannelDevice): boolean {
  const byDevices = share.kind === "virtio-fs" || channel.kind === "vhost-user-vsock" ||
    needsSharedMemory(nics);
  return byDevices || shareMemory === true;
}

function control(fd: (name: FdName) => number): string[] {
  return [
    ...["-chardev", `socket,id=charqmp,fd=${fd("qmp")},server=on,wait=off`],
    ...["-mon", "chardev=charqmp,mode=control"],
  ];
}

/** A connected socket, so that no early output is lost. */
function consoleDevice(fd: (name: FdName) => number): string[] {
  return [
    ...["-chardev", `socket,id=charconsole0,fd=${fd("console")}`],
    ...["-serial", "chardev:charconsole0"],
  ];
}

/** A confidential guest trusts no randomness but its own processor's. */
function entropy(input: CommandLineInput): string[] {
  if (input.protection !== undefined) return [];
  return [
    ...["-object", `rng-random,id=rng0,filename=${value(input.config.entropySource)}`],
    ...["-device", devices.virtio(input, "virtio-rng-pci", "rng=rng0")],
  ];
}

/**
 * The agent's, and the first, which is for consoles. The device would have 31, with two queues each, whose descriptors
 * QEMU looks at again whenever anything happens where it delivers the interrupts.
 */
const SERIAL_PORTS = "max_ports=2";

function agentChannel(input: CommandLineInput, fd: (name: FdName) => number): string[] {
  const { channel } = input;
  switch (channel.kind) {
    case "vsock":
      return [
        "-device",
        devices.virtio(
          input,
          "vhost-vsock-pci",
          `vhostfd=${fd("vhost-vsock")},id=vsock-${channel.cid},guest-cid=${channel.cid}`,
        ),
      ];
    case "vhost-user-vsock":
      return [
        ...["-chardev", `socket,id=charvsock0,path=${value(channel.socketPath)}`],
        ...["-device", "vhost-user-vsock-pci,id=vsock0,chardev=charvsock0"],
      ];
    case "virtio-serial":
      return [
        ...["-device", devices.virtio(input, "virtio-serial-pci", `id=serial0,${SERIAL_PORTS}`)],
        ...["-chardev", `socket,id=charch0,fd=${fd("agent")},server=on,wait=off`],
        ...["-device", `virtserialport,bus=serial0.0,chardev=charch0,id=channel0,name=${AGENT_PORT}`],
      ];
  }
}

function share(input: CommandLineInput): string[] {
  const { share } = input.config;
  switch (share.kind) {
    case "none":
      return [];
    case "virtio-fs": {
      const cache = share.cacheSizeMiB ? `,cache-size=${share.cacheSizeMiB}M` : "";
      return [
        ...["-chardev", `socket,id=charfs0,path=${value(share.socketPath)}`],
        "-device",
        `vhost-user-fs-pci,chardev=charfs0,tag=${value(share.tag)},queue-size=${share.queueSize}${cache}`,
      ];
    }
    case "9p":
      return [
        "-fsdev",
        `local,id=fsdev0,path=${value(share.path)},security_model=none,multidevs=remap`,
        ...["-device", devices.virtio(input, "virtio-9p-pci", `fsdev=fsdev0,mount_tag=${value(share.tag)}`)],
      ];
  }
}

function boot(input: CommandLineInput, fd: (name: FdName) => number): string[] {
  const { config, arch, channel, initrdDisk } = input;
  const initrd = initrdDisk === undefined ? config.initrd : `/proc/self/fd/${fd("initrd")}`;
  // Before the configured ones, which may name another address.
  const agentParams = channel.kind === "virtio-serial"
    ? [AGENT_ON_PORT, ...config.agentParams]
    : config.agentParams;
  return [
    ...devices.firmware(input),
    ...["-kernel", config.kernel],
    ...(initrd ? ["-initrd", initrd] : []),
    ...["-append", kernelCommandLine(arch, { ...config, agentParams, tscKhz: input.tscKhz })],
  ];
}

function isolation(config: VmConfig): string[] {
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-vga", "none", "-no-reboot"],
    ...(config.memoryDump === undefined ? [] : ["-no-shutdown"]),
    ...["-pidfile", `${config.dir}/${PID_FILE}`],
    ...(config.seccompSandbox ? ["-sandbox", config.seccompSandbox] : []),
  ];
}

/** QEMU as a virtual machine monitor: from a configuration to a running VM. */

import { Daemon, type DaemonExit, describeStatus } from "../../sys/daemon.ts";
import { isErrno } from "../../sys/errors.ts";
import { O, openFd, OwnedFd, readFd, S, statFd } from "../../sys/fd.ts";
import { AsyncFd } from "../../sys/poll.ts";
import { StepError } from "../../sys/program.ts";
import { socketPair } from "../../sys/socket.ts";
import { sendWithFds } from "../../sys/socket_fds.ts";
import { arch } from "../../sys/syscall.ts";
import type { Accelerator, DiskSettings, Vm, VmConfig, Vmm } from "../vmm.ts";
import { type AcceleratorChoice, chooseAccelerator, isVirtualMachine, type KvmHost } from "./accelerator.ts";
import { archiveOf, diskIn, type FilePart } from "../initrd_file.ts";
import { type AgentChannel, openAgentChannel } from "./agent_channel.ts";
import {
  buildCommandLine,
  type FdName,
  FIRST_FD,
  PID_FILE,
  sharesMemory,
  VIRTIO_MEM,
} from "./command_line.ts";
import { GuestConsole } from "./console.ts";
import { EXTRA_MONITOR } from "./devices.ts";
import { ServedSocket } from "./control_socket.ts";
import { removeFile } from "./files.ts";
import { bootDevices, type DescribeDevice, DevicePorts, memoryLock, vfioDevice } from "./host_devices.ts";
import { Cpus } from "./hotplug/cpus.ts";
import { Disks } from "./hotplug/disks.ts";
import { HostDevices, NO_IOMMUFD } from "./hotplug/host_devices.ts";
import { FixedMemory, type GuestMemory, MemoryModules } from "./hotplug/memory.ts";
import { PluggedNics } from "./hotplug/nics.ts";
import type { Plugs } from "./hotplug/removal.ts";
import { BridgeSlots } from "./hotplug/slots.ts";
import { VirtioMemory } from "./hotplug/virtio_mem.ts";
import { type MemoryBackend, memoryBackend } from "./memory_backend.ts";
import { nicFds } from "./nics.ts";
import { dumpMemory } from "./memory_dump.ts";
import { hostProtection } from "./protection.ts";
import { QmpClient, QmpClosed } from "./qmp.ts";
import { type QemuParts, QemuVm } from "./qemu_vm.ts";
import { VmEvents } from "./vm_events.ts";

/** How long QEMU may take to build its machine, in milliseconds. */
const START_MS = 60_000;

/** How much of a file is looked at: up to where a bzImage has its signature, and more. */
const HEADER_BYTES = 1024;

/** Lines of QEMU's own that an error message carries. */
const REASON_LINES = 5;

/** The QEMU system emulator. */
export const qemu: Vmm = createQemu();

/** What may be different for tests. */
export interface QemuOptions {
  /** what "auto" looks at; default: this host */
  readonly kvm?: KvmHost;
  /** how devices of the host are described; default: as what they are */
  readonly describeDevice?: DescribeDevice;
}

/** A QEMU system emulator. */
export function createQemu(options: QemuOptions = {}): Vmm {
  return { name: "qemu", start: (config) => start(config, options) };
}

async function start(config: VmConfig, { kvm, describeDevice = vfioDevice }: QemuOptions): Promise<Vm> {
  checkConfig(config);
  const choice = chooseAccelerator(config.accelerator, kvm);
  if (choice.accelerator === "tcg" && config.machineType === "microvm") {
    config.onLog(
      "a microvm on software emulation may not start on a busy host: its kernel has no clock to trust",
    );
  }
  if (choice.because) config.onLog(`the VM runs on software emulation: ${choice.because}`);
  try {
    return await launch({ config, accelerator: choice.accelerator, describe: describeDevice });
  } catch (error) {
    if (!(error instanceof EarlyExit) || !mayFallBack(config, choice)) throw error;
    config.onLog(`the VM runs on software emulation, as KVM failed: ${error.message}`);
    return await launch({ config, accelerator: "tcg", describe: describeDevice });
  }
}

function mayFallBack(config: VmConfig, choice: AcceleratorChoice): boolean {
  return config.accelerator === "auto" && choice.accelerator === "kvm";
}

/** QEMU ended before its machine was built. */
class EarlyExit extends Error {}

/** Looks at what can be wrong before anything is started. */
function checkConfig(config: VmConfig): void {
  if (config.vcpus < 1 || config.vcpus > config.maxVcpus) {
    throw new Error(`a VM must have 1 to ${config.maxVcpus} processors: ${config.vcpus} are asked for`);
  }
  checkKernelFormat(config.kernel, checkReadable("guest kernel", config.kernel));
  if (config.initrd !== undefined) checkReadable("initrd", config.initrd);
  if (config.image !== undefined) checkReadable("image", config.image.path);
}

/** Reads a file's beginning, to see that it can be read and is not empty. */
function checkReadable(what: string, path: string): Uint8Array {
  try {
    using file = new OwnedFd(openFd(path, O.RDONLY | O.NONBLOCK));
    if (statFd(file.fd).type !== S.IFREG) {
      throw new Error(`cannot use the ${what} "${path}": it is not a file`);
    }
    const header = new Uint8Array(HEADER_BYTES);
    const length = readFd(file.fd, header);
    if (length === 0) throw new Error(`cannot use the ${what} "${path}": it is empty`);
    return header.subarray(0, length);
  } catch (error) {
    if (isErrno(error)) throw new Error(`cannot use the ${what} "${path}": ${error.code}`, { cause: error });
    throw error;
  }
}

/**
 * The disk in the initrd's file, if there is one.
 *
 * @throws {Error} the file is damaged; the guest is confidential
 */
function initrdDiskOf({ initrd, confidential }: VmConfig): FilePart | undefined {
  const disk = initrd === undefined ? undefined : diskIn(initrd);
  if (disk === undefined || confidential === undefined) return disk;
  // the guest measures its memory, not its disks
  throw new Error(
    `a confidential guest needs an initrd without a disk: "${initrd}" has one; build it with --in-memory`,
  );
}

/** QEMU takes anything else for a kernel of before 1995, and says so. */
function checkKernelFormat(path: string, header: Uint8Array): void {
  if (arch !== "x86_64") return;
  const text = new TextDecoder("latin1").decode(header);
  if (text.startsWith("\x7fELF") || text.startsWith("HdrS", 0x202)) return;
  throw new Error(`cannot use the guest kernel "${path}": it is neither an ELF file nor a bzImage`);
}

/** What to start. */
interface Order {
  readonly config: VmConfig;
  readonly accelerator: Accelerator;
  readonly describe: DescribeDevice;
}

/** Takes everything a VM needs, in the order in which it must be there; an error gives back what was taken. */
async function launch(order: Order): Promise<Vm> {
  await using taken = new AsyncDisposableStack();
  const built = await build(order, taken);
  return new QemuVm(partsOf(order, built), taken.move());
}

/** A QEMU whose machine is built, and what leads to it. */
interface Built extends Plugs {
  readonly args: readonly string[];
  readonly channel: AgentChannel;
  readonly console: GuestConsole;
  readonly consoleEnded: Promise<void>;
  readonly daemon: Daemon;
  readonly qmp: QmpClient;
}

async function hostTscKhz(): Promise<number> {
  return await (await import("../../sys/tsc.ts")).measureTscKhz();
}

async function build({ config, accelerator, describe }: Order, taken: AsyncDisposableStack): Promise<Built> {
  const channel = taken.use(await openAgentChannel(config));
  const qmpSocket = taken.use(ServedSocket.create(`${config.dir}/qmp.sock`));
  const [consoleOurs, consoleOfQemu] = socketPair();
  const consoleStream = taken.use(new AsyncFd(consoleOurs, "console"));
  const consoleEnd = taken.use(new OwnedFd(consoleOfQemu));
  const qmpStream = taken.use(await qmpSocket.connect());
  const { initrd = "" } = config;
  const initrdDisk = initrdDiskOf(config);
  const archive = initrdDisk && taken.use(archiveOf(initrd, initrdDisk));

  const { args, fds } = buildCommandLine({
    config,
    arch,
    accelerator,
    channel: channel.device,
    uuid: crypto.randomUUID(),
    // under emulation it is the host's
    tscKhz: accelerator === "tcg" && arch === "x86_64" ? await hostTscKhz() : undefined,
    nested: accelerator === "kvm" && !config.ignoreNesting && isVirtualMachine(),
    protection: config.confidential && hostProtection(config.confidential, accelerator),
    describeDevice: describe,
    initrdDisk,
  });
  const available = new Map<FdName, number>([
    ["qmp", qmpSocket.fd],
    ["console", consoleEnd.fd],
    ...channel.fds,
    ...(archive === undefined ? [] : [["initrd", archive.fd] as const]),
    ...nicFds(config.nics ?? []),
  ]);
  taken.defer(() => removeFile(`${config.dir}/${PID_FILE}`));
  if (config.extraMonitor !== undefined) taken.defer(() => removeFile(`${config.dir}/${EXTRA_MONITOR}`));
  const daemon = taken.use(await startQemu(config, args, numbered(fds, available)));
  // With our copies closed, connections end with QEMU.
  channel.handedOver();
  qmpSocket.handedOver();
  consoleEnd.close();
  archive?.close();

  const console = new GuestConsole(config.onConsole);
  const consoleEnded = console.follow(consoleStream);
  const events = new VmEvents();
  const qmp = await connectQmp(qmpStream, daemon, events, accelerator);
  taken.defer(() => qmp.close());
  return { args, channel, console, consoleEnded, daemon, events, qmp };
}

/** The machine's parts that can be asked and changed while it runs. */
function partsOf({ config, accelerator, describe }: Order, { args, ...built }: Built): QemuParts {
  const { qmp, events, channel } = built;
  const plugs = { qmp, events };
  const cpus = new Cpus(plugs, {
    atBoot: config.vcpus,
    most: config.maxVcpus,
    canRemove: accelerator === "kvm",
  });
  const slots = new BridgeSlots(config.machineType === "microvm" ? 0 : config.bridges ?? 0);
  const disks = new Disks({
    plugs,
    slots,
    hasScsi: config.scsi !== undefined,
    queues: config.vcpus,
    settings: config.disks ?? DEFAULT_DISKS,
  });
  const ports = new DevicePorts(config, slots);
  // those of the boot have theirs
  for (const _ of bootDevices(config)) ports.take();
  const hostDevices = new HostDevices({ plugs, ports, describe, atBoot: config.hostDevices ?? [] });
  return {
    ...built,
    accelerator,
    cpus,
    disks,
    memory: guestMemory(config, plugs, memoryBackend(config, sharesMemory(config, channel.device))),
    hostDevices: config.ports === undefined ? undefined : hostDevices,
    nics: new PluggedNics(plugs, slots, { ports, describe }, config.nics ?? []),
    keepMemory: config.memoryDump && (async () => config.onLog(await dumpMemory(qmp, config, args))),
  };
}

const DEFAULT_DISKS: DiskSettings = { driver: "virtio-scsi", aio: "threads", ioThread: false };

function guestMemory(config: VmConfig, plugs: Plugs, backend: MemoryBackend): GuestMemory {
  const { memoryMiB, maxMemoryMiB = 0, memorySlots = 0, virtioMem } = config;
  if (maxMemoryMiB <= memoryMiB) return new FixedMemory(memoryMiB);
  const limits = { atBootMiB: memoryMiB, mostMiB: maxMemoryMiB };
  if (virtioMem) return new VirtioMemory(plugs, limits, VIRTIO_MEM);
  return memorySlots > 0
    ? new MemoryModules(plugs, limits, memorySlots, backend)
    : new FixedMemory(memoryMiB);
}

/** The numbers that the command line speaks of, and our descriptors behind them. */
function numbered(names: readonly FdName[], available: ReadonlyMap<FdName, number>): Map<number, number> {
  return new Map(names.map((name, index) => {
    const fd = available.get(name);
    if (fd === undefined) throw new Error(`there is no descriptor "${name}" for QEMU`);
    return [FIRST_FD + index, fd];
  }));
}

async function startQemu(
  config: VmConfig,
  args: readonly string[],
  fds: Map<number, number>,
): Promise<Daemon> {
  try {
    return await Daemon.start({
      argv: [config.hypervisorPath, ...args],
      fds,
      netns: config.netns,
      ...config.user,
      selinuxLabel: config.selinuxLabel,
      rlimits: memoryLock(config),
      onLine: (line) => config.onLog(`qemu: ${line}`),
    });
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    // Any other step than finding and executing it has to be named.
    const reason = /^(find|execve) /.test(error.step) ? error.code : error.message;
    throw new Error(`cannot start QEMU "${config.hypervisorPath}": ${reason}`, { cause: error });
  }
}

/** Waits until the machine is built. The connection ends with QEMU, so an early end is noticed at once. */
async function connectQmp(
  stream: AsyncFd,
  daemon: Daemon,
  events: VmEvents,
  accelerator: Accelerator,
): Promise<QmpClient> {
  try {
    return await QmpClient.connect(stream, {
      timeoutMs: START_MS,
      onEvent: (event) => events.take(event),
      sendFd: (bytes, fd) => sendWithFds(stream, bytes, [fd]),
    });
  } catch (error) {
    if (!(error instanceof QmpClosed)) throw error;
    // Whether it ended or only closed the connection: it is of no use any more.
    daemon.kill();
    throw new EarlyExit(lastWords(await daemon.exited, accelerator), { cause: error });
  }
}

/** QEMU's last words, without the name of the program that it begins its lines with. */
function lastWords({ status, lastLines }: DaemonExit, accelerator: Accelerator): string {
  const words = lastLines.slice(-REASON_LINES).map((line) =>
    line.replace(/^(\S*qemu-system-\S+|qemu): /, "")
  );
  if (words.some((line) => /qom-type.*iommufd|invalid object type: iommufd/.test(line))) {
    words.push(NO_IOMMUFD);
  }
  const said = words.length > 0 ? `: ${words.join("; ")}` : " without a message";
  return `cannot start the VM with accelerator "${accelerator}": QEMU ${describeStatus(status)}${said}`;
}

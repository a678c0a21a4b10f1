/**
 * What the rest of the product knows of a virtual machine monitor: one small contract, whatever program is behind it.
 *
 * Errors are sentences that name the file, program or value at fault, and come within a bounded time.
 */

import type { ByteStream } from "../rpc/stream.ts";
import type { ExitStatus } from "../sys/process.ts";

/** How guest instructions are executed. */
export type Accelerator = "kvm" | "tcg";

/** How the agent in the guest is reached. */
export type AgentTransport = "vsock" | "vhost-user-vsock" | "virtio-serial";

/** What the guest sees of the host's files. The daemon of a virtio-fs share must be listening already. */
export type Share =
  | { readonly kind: "none" }
  | {
    readonly kind: "virtio-fs";
    /** name that the guest mounts it by */
    readonly tag: string;
    /** where the daemon listens */
    readonly socketPath: string;
    /** entries of the request queue, a power of two */
    readonly queueSize: number;
    /** size of the DAX window; none if absent or 0 */
    readonly cacheSizeMiB?: number;
  }
  | {
    readonly kind: "9p";
    readonly tag: string;
    /** folder of the host */
    readonly path: string;
  };

/** A network device, and what is behind it on the host. */
export interface Nic {
  /** Letters and digits; no other device has it. */
  readonly id: string;
  /** Hardware address, by which the guest knows it. */
  readonly mac: string;
  /** Entries of each queue, a power of two from 256 to 1024; default: the monitor's own. */
  readonly queueSize?: number;
  /** Descriptors stay the caller's, one for each queue; `vhostFds` is empty where the monitor moves the packets. */
  readonly backend:
    | { readonly kind: "tap"; readonly fds: readonly number[]; readonly vhostFds: readonly number[] }
    | { readonly kind: "vhost-user"; readonly socketPath: string; readonly queues?: number }
    /** It is a device of the host itself, whose hardware address nobody here can set. */
    | { readonly kind: "host-device"; readonly device: HostDevice };
}

/** A PCI device of the host, which is bound to a driver that hands it through. */
export interface HostDevice {
  /** "0000:3b:00.0"; of a mediated device its parent's. */
  readonly address: string;
  /** Folder of a mediated device in sysfs. */
  readonly mediated?: string;
  /** Whether it is opened by a node of its own, and not by its group's. */
  readonly iommufd: boolean;
  /** What it takes of the guest's address space, in bytes. */
  readonly memory: { readonly prefetchable: number; readonly other: number };
}

/** Where devices of the host are plugged in. */
export interface HostDevicePorts {
  /** Ports of the root bus, ports of a switch, or places behind the machine's bridges. */
  readonly kind: "root" | "switch" | "bridge";
  /** How many ports there are at least; bridges are counted by {@linkcode MachineParts.bridges}. */
  readonly count: number;
  /** What the largest device that may be plugged in later takes of the guest's address space; default: little. */
  readonly room?: HostDevice["memory"];
}

/** A disk that the guest has its root file system on, instead of an initrd. */
export interface GuestImage {
  /** A file; guests share it and cannot write to it. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly fsType: "ext4" | "xfs" | "erofs";
  /** Mapped as persistent memory (NVDIMM), so that all guests share its pages; otherwise a virtio disk. */
  readonly asMemory: boolean;
}

/** A user of the host, by numbers; no entry in `/etc/passwd` is needed. */
export interface HostUser {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
}

/** Encryption of the guest's memory and state by the processor; which kind is the host's to say. */
export interface ConfidentialGuest {
  /** Take AMD's SEV-SNP, and not plain SEV. */
  readonly snp: boolean;
  /** Base64 of the guest's identity, and of what proves it; both or none. */
  readonly idBlock?: string;
  readonly idAuth?: string;
  readonly snpPolicy: number;
  /** Port of the host's quote generation service; Intel's TDX. */
  readonly quotePort: number;
  /** Digest of what the host hands over, which becomes a part of the guest's measurement. */
  readonly hostData?: Uint8Array;
}

/** Parts of a machine that a sandbox may do without. */
export interface MachineParts {
  /** Root disk; instead of an initrd. */
  readonly image?: GuestImage;
  /** The machine's firmware; default: QEMU's own. */
  readonly firmware?: string;
  /** Variables of the firmware, which then is UEFI; each machine starts from what is in the file. */
  readonly firmwareVolume?: string;
  /** Parallel flash devices, in order. */
  readonly pflashes?: readonly string[];
  /** Take all memory from the host at the start. */
  readonly preallocate?: boolean;
  /** Memory in huge pages. */
  readonly hugepages?: boolean;
  /** Devices that other processes serve read the guest's memory. */
  readonly shareMemory?: boolean;
  /** Pages that the guest has freed are given back to the host. */
  readonly balloon?: boolean;
  /** PCI bridges, each with 30 places for devices that are plugged in later. */
  readonly bridges?: number;
  /** Ports for devices of the host; absent: there can be none. */
  readonly ports?: HostDevicePorts;
  /** Devices of the host that are there at boot. */
  readonly hostDevices?: readonly HostDevice[];
  /** A SCSI controller at boot, where one cannot be plugged in with the first disk. */
  readonly scsi?: { readonly ioThread: boolean };
  /** How disks are plugged in later; default: as SCSI disks, read and written by threads. */
  readonly disks?: DiskSettings;
  /** An IOMMU inside the machine. */
  readonly iommu?: boolean;
  /** Virtio devices go through it. */
  readonly iommuPlatform?: boolean;
  /** Never adapt devices to a host that is a virtual machine itself. */
  readonly ignoreNesting?: boolean;
  /** One more monitor for people, as `extra-monitor.sock` in the run folder. */
  readonly extraMonitor?: "hmp" | "qmp" | "qmp-pretty";
  /** Where the memory of a guest that panicked is written to. */
  readonly memoryDump?: { readonly folder: string; readonly paging: boolean };
  readonly confidential?: ConfidentialGuest;
  /** File of a disk with what the guest's owner has it configured with; it is there at boot, and read-only. */
  readonly initData?: string;
  /** Encrypted pages for Intel's SGX enclaves. */
  readonly sgxBytes?: number;
  /** Whether the guest's kernel switches SELinux on; default false. */
  readonly guestSelinux?: boolean;
  /** Who the monitor runs as; default: the caller. */
  readonly user?: HostUser;
  /** The monitor's SELinux label; default: what the host's policy says. */
  readonly selinuxLabel?: string;
}

/** Everything that is fixed when a virtual machine starts. */
export interface VmConfig extends MachineParts {
  /** Id of the sandbox; part of the process's visible name. */
  readonly id: string;
  /** Run folder for sockets and the pid file; exists, mode 0750. What the VM puts there, it removes at its end. */
  readonly dir: string;
  /** The monitor's program, absolute or looked up in PATH. */
  readonly hypervisorPath: string;
  /** "auto" takes KVM where it works, and software emulation otherwise. */
  readonly accelerator: "auto" | Accelerator;
  /** "q35" or "microvm" on x86-64, "virt" on arm64. */
  readonly machineType: string;
  /** More properties of the machine, as QEMU has them: "pit=off,pic=off". */
  readonly machineAccelerators?: string;
  /** More properties of the processor, as QEMU has them: "pmu=off". */
  readonly cpuFeatures?: string;
  /** Guest kernel: an uncompressed `vmlinux` with a PVH entry, or a `bzImage`. */
  readonly kernel: string;
  /** Initial file system; its `/init` is the agent. */
  readonly initrd?: string;
  /** Kernel parameters of the user; last on the command line, so that they win. */
  readonly kernelParams: readonly string[];
  /** Parameters that the agent reads from the kernel command line ("agent.log=debug"). */
  readonly agentParams: readonly string[];
  /** Processors at boot. */
  readonly vcpus: number;
  /** Processors that the machine can grow to. */
  readonly maxVcpus: number;
  /** Memory at boot. */
  readonly memoryMiB: number;
  /** Sockets for memory modules that can be plugged in later; none if absent or 0: the machine cannot grow. */
  readonly memorySlots?: number;
  /** Memory that the machine can grow to; counts with {@linkcode memorySlots} or {@linkcode virtioMem} only. */
  readonly maxMemoryMiB?: number;
  /** Addresses kept free besides, for devices that are mapped as memory. */
  readonly memoryOffsetMiB?: number;
  /** Whether memory comes and goes through one virtio-mem device instead of modules. */
  readonly virtioMem?: boolean;
  /** Folder for files that hold guest memory; anonymous memory if absent. */
  readonly fileMemBackend?: string;
  readonly share: Share;
  /** Network devices at boot; default: none. */
  readonly nics?: readonly Nic[];
  /** How the agent is to be reached; default: the first that works on this host, in the order of the type. */
  readonly agentTransport?: AgentTransport;
  /** Program of the vhost-user vsock device; default: looked up in PATH. */
  readonly vhostUserVsockPath?: string;
  /** Value of QEMU's `-sandbox`; none if absent or "". */
  readonly seccompSandbox?: string;
  /** Where the guest's random number generator is fed from: "/dev/urandom". */
  readonly entropySource: string;
  /** More output on the console. */
  readonly debug: boolean;
  /** Path of the network namespace that the monitor runs in; default: the caller's. */
  readonly netns?: string;
  /** Called with each line of the guest's console, without line end and control characters. */
  onConsole(line: string): void;
  /** Receives what the VMM's processes print, and which fallbacks were chosen. */
  onLog(line: string): void;
}

/** How disks are plugged in. */
export interface DiskSettings {
  readonly driver: "virtio-blk" | "virtio-scsi";
  /** How the host reads and writes. */
  readonly aio: "io_uring" | "native" | "threads";
  /** What the host keeps in memory; default: the monitor's own way. */
  readonly cache?: { readonly direct: boolean; readonly noFlush: boolean };
  /** Whether disks have a thread of their own in the monitor. */
  readonly ioThread: boolean;
}

/** A disk to be plugged in. */
export interface Disk {
  /** A block device of the host, a file, or the socket of {@linkcode served}. */
  readonly path: string;
  /** Another process serves the disk (vhost-user-blk), in the guest's memory. */
  readonly served?: {
    /** Time after which a lost connection is made again, in seconds; 0 = never. */
    readonly reconnectS: number;
  };
  readonly isDevice: boolean;
  readonly readonly: boolean;
  /** In place of the one that the machine's disks have. */
  readonly driver?: DiskSettings["driver"];
}

/** Where the guest finds a disk. */
export type DiskAddress =
  /** Slots from the root bus on, such as "02/01". */
  | { readonly kind: "pci"; readonly path: string }
  /** Target and unit, such as "0:1". */
  | { readonly kind: "scsi"; readonly address: string };

/** A disk that is plugged in. Disposing of it takes it out again, which the guest has to agree to. */
export interface PluggedDisk extends AsyncDisposable {
  readonly address: DiskAddress;
  /**
   * Tells the guest that the disk has another size by now; a file gets that size.
   *
   * @param bytes a multiple of 512; not more than a device of the host has
   */
  resize(bytes: number): Promise<void>;
}

/** How a virtual machine ended. */
export interface VmExit {
  /**
   * - `stopped`: by {@linkcode Vm.stop}
   * - `panicked`: the guest's kernel panicked
   * - `shutdown`: the guest switched itself off or reset itself
   * - `failed`: the monitor ended by itself or was killed
   */
  readonly cause: "stopped" | "panicked" | "shutdown" | "failed";
  /** How the monitor's process ended. */
  readonly status: ExitStatus;
  /** One sentence, with the console's last lines where they help. */
  readonly message: string;
  /** The console's last lines, oldest first. */
  readonly consoleTail: readonly string[];
}

/** Network devices that come and go while a machine runs. */
export interface NicPlugs {
  /** Where the guest finds a device: slots from the root bus on. @throws {Error} there is none of this id */
  pathOf(id: string): Promise<string>;
  /**
   * Plugs a device in. Descriptors stay the caller's, and need not be open any more afterwards.
   *
   * @returns where the guest finds it: slots from the root bus on, in hexadecimal, such as "02/01"
   * @throws {Error} the monitor refuses, or has no place left; nothing of it stays
   */
  add(nic: Nic): Promise<string>;
  /**
   * Takes a device out, with the consent of the guest.
   *
   * @throws {Error} the guest keeps it, or there is none of this id
   */
  remove(id: string): Promise<void>;
}

/** A device of the host in the machine. Disposing of it takes it out, which the guest has to agree to. */
export interface PluggedHostDevice extends AsyncDisposable {
  /** Where the guest finds it: slots from the root bus on, in hexadecimal, such as "03/00". */
  readonly path: string;
}

/** Devices of the host in a machine. */
export interface HostDevicePlugs {
  /** Where the guest finds one that is there since boot. @throws {Error} there is none */
  pathOf(device: HostDevice): Promise<string>;
  /**
   * Plugs one in.
   *
   * @throws {Error} the machine has no port left, or the monitor cannot have the device; nothing of it stays
   */
  add(device: HostDevice): Promise<PluggedHostDevice>;
}

/** A running virtual machine. Disposing of it is {@linkcode Vm.stop}. */
export interface Vm extends AsyncDisposable {
  /** The monitor's process. */
  readonly pid: number;
  /** The monitor's process, and those of its devices. */
  readonly pids: readonly number[];
  readonly accelerator: Accelerator;
  readonly agentTransport: AgentTransport;
  /**
   * Where tools on the host find the agent: `vsock://<cid>:1024`, `hvsock://<socket>:1024`, or, of our own,
   * `virtio-serial://<socket>`.
   */
  readonly agentUrl: string;
  /** The console's last lines up to now, oldest first. */
  readonly consoleTail: readonly string[];
  /** Absent: the network devices are those at boot. */
  readonly nics?: NicPlugs;
  /** Absent: the machine takes no devices of the host. */
  readonly hostDevices?: HostDevicePlugs;
  /** Resolves when the virtual machine is gone, for whatever reason; never rejects. */
  readonly exited: Promise<VmExit>;
  /**
   * Tries once to reach the agent. With virtio-serial there is one connection at a time, and it is made even while
   * nobody listens in the guest: the first answer shows that somebody does.
   *
   * @throws {Error} nobody listens yet, or the VM is gone
   */
  connectAgent(signal?: AbortSignal): Promise<ByteStream>;
  /** Processors that are plugged in. */
  readonly vcpus: number;
  /** Memory that is plugged in. */
  readonly memoryMiB: number;
  /** Ids of the threads that run the processors, in their order. */
  vcpuThreads(): Promise<readonly number[]>;
  /**
   * Plugs processors in or out, between those at boot and {@linkcode VmConfig.maxVcpus}. The guest has to put new ones
   * into use, and may keep one that is to go.
   *
   * @returns how many there are then
   * @throws {Error} the monitor refuses
   */
  resizeCpus(wanted: number): Promise<number>;
  /**
   * Plugs memory in or out, between that at boot and {@linkcode VmConfig.maxMemoryMiB}, as {@linkcode resizeCpus} does.
   *
   * @param blockMiB what the guest takes memory in
   * @returns how much there is then, in MiB: at least what is wanted, or all that the machine can have
   */
  resizeMemory(wantedMiB: number, blockMiB: number): Promise<number>;
  /**
   * Plugs a disk in.
   *
   * @throws {Error} there is no place for it, or the monitor refuses
   */
  addDisk(disk: Disk): Promise<PluggedDisk>;
  /** Halts all processors. */
  pause(): Promise<void>;
  /** Thaws them. */
  resume(): Promise<void>;
  /** Kills the processes, waits for their end, removes their files. Safe to call again, and after the VM's end. */
  stop(): Promise<void>;
}

/** A virtual machine monitor. */
export interface Vmm {
  readonly name: string;
  /**
   * Starts a virtual machine; the guest is booting when it returns. The processes die with the caller's.
   *
   * @throws {Error} a sentence; nothing is left behind
   */
  start(config: VmConfig): Promise<Vm>;
}

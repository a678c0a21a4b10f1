/** The kernel command line of a guest. */

import type { VmConfig } from "../vmm.ts";

/** Architectures that a VM can have; the host's own. */
export type Arch = "x86_64" | "aarch64";

/** Longest command line that the kernel keeps, without its NUL (COMMAND_LINE_SIZE in `asm/setup.h`). */
const MAX_LENGTH: Readonly<Record<Arch, number>> = { x86_64: 2047, aarch64: 2047 };

/**
 * What makes a kernel boot quickly in a VM, per architecture: no tests of timers and ciphers, no probing for hardware
 * that is not there, quick grace periods while it starts.
 */
const BASE: Readonly<Record<Arch, readonly string[]>> = {
  x86_64: [
    "tsc=reliable",
    "no_timer_check",
    "rcupdate.rcu_expedited=1",
    "i8042.direct=1",
    "i8042.dumbkbd=1",
    "i8042.nopnp=1",
    "i8042.noaux=1",
    "noreplace-smp",
    "reboot=k",
    "cryptomgr.notests",
    "net.ifnames=0",
    "pci=lastbus=0",
  ],
  aarch64: ["rcupdate.rcu_expedited=1", "cryptomgr.notests", "net.ifnames=0", "iommu.passthrough=0"],
};

/**
 * The serial port, as every kernel has its driver built in: a panic before the first module was loaded shows, and PID 1
 * has its standard streams from the start.
 */
const CONSOLE: Readonly<Record<Arch, string>> = { x86_64: "console=ttyS0", aarch64: "console=ttyAMA0" };

/** What the kernel command line is made of. */
export type KernelConfig =
  & Pick<
    VmConfig,
    | "debug"
    | "initrd"
    | "image"
    | "maxVcpus"
    | "agentParams"
    | "kernelParams"
    | "iommu"
    | "disks"
    | "virtioMem"
    | "guestSelinux"
    | "confidential"
    | "ports"
  >
  & {
    /**
     * How fast the guest's time stamp counter runs, in kHz, where that is known. A guest finds out at boot by other clocks,
     * and under emulation on a busy host it is put off in the middle of that: its time then runs several times too fast.
     */
    readonly tscKhz?: number;
  };

/**
 * Whether a device may need its data copied to where it can reach it: it is the host's own, or must not see the guest's
 * memory. A machine that can grow would keep 64 MiB for that otherwise, as its memory may reach beyond 4 GiB.
 */
function mayBounce({ confidential, ports, iommu }: KernelConfig): boolean {
  return confidential !== undefined || ports !== undefined || iommu === true;
}

/**
 * Builds the command line. A later value of a key wins in the guest, so what the user gave comes last.
 *
 * @throws {Error} it is longer than the kernel keeps, or has a line end or NUL in it
 */
export function kernelCommandLine(arch: Arch, config: KernelConfig): string {
  const text = [
    ...BASE[arch],
    ...(config.tscKhz === undefined ? [] : [`tsc_early_khz=${config.tscKhz}`]),
    ...(config.iommu ? ["intel_iommu=on", "iommu=pt"] : []),
    CONSOLE[arch],
    ...verbosity(config),
    "panic=-1", // restart at once; the machine is started so that a restart ends it
    `nr_cpus=${config.maxVcpus}`,
    `selinux=${config.guestSelinux ? 1 : 0}`,
    ...rootFileSystem(config),
    ...(arch === "x86_64" && !mayBounce(config) ? ["swiotlb=noforce"] : []),
    // what is added is used at once, without anybody in the guest who switches it on
    ...(config.virtioMem ? ["memhp_default_state=online"] : []),
    ...(config.image === undefined ? [] : SYSTEMD),
    // disks are looked for when one is plugged in
    ...(config.disks?.driver === "virtio-scsi" ? ["scsi_mod.scan=none"] : []),
    ...config.agentParams,
    ...config.kernelParams,
  ].join(" ");
  if (/[\0\n]/.test(text)) throw new Error("a kernel parameter must not have a line end or NUL in it");
  const length = new TextEncoder().encode(text).length;
  if (length > MAX_LENGTH[arch]) {
    throw new Error(`the kernel command line must have at most ${MAX_LENGTH[arch]} bytes: it has ${length}`);
  }
  return text;
}

/** An image may have systemd as its first program, which then starts what a guest needs and no more. */
const SYSTEMD: readonly string[] = [
  "systemd.unit=kata-containers.target",
  "systemd.mask=systemd-networkd.service",
  "systemd.mask=systemd-networkd.socket",
];

/** The first partition of the image, if there is one. The lone "ro" is a parameter of its own. */
function rootFileSystem({ initrd, image }: KernelConfig): string[] {
  // an initrd is unpacked into a file system that may hold half of the memory, which in a small guest is too little
  if (image === undefined) return initrd === undefined ? [] : ["rootfstype=ramfs"];
  const root = image.asMemory ? "root=/dev/pmem0p1" : "root=/dev/vda1";
  const flags = [
    ...(image.asMemory ? ["dax"] : []),
    ...(image.fsType === "ext4" ? ["data=ordered", "errors=remount-ro"] : []),
  ];
  const rootflags = flags.length === 0 ? [] : [`rootflags=${flags.join(",")}`];
  return [root, ...rootflags, "ro", `rootfstype=${image.fsType}`];
}

function verbosity({ debug, image }: KernelConfig): string[] {
  if (image === undefined) return [debug ? "debug" : "quiet"];
  return debug
    ? ["debug", "systemd.show_status=true", "systemd.log_level=debug"]
    : ["quiet", "systemd.show_status=false"];
}

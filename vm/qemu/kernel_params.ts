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

/**
 * Builds the command line. A later value of a key wins in the guest, so what the user gave comes last.
 *
 * @throws {Error} it is longer than the kernel keeps, or has a line end or NUL in it
 */
export function kernelCommandLine(
  arch: Arch,
  config: Pick<VmConfig, "debug" | "initrd" | "maxVcpus" | "agentParams" | "kernelParams">,
): string {
  const text = [
    ...BASE[arch],
    CONSOLE[arch],
    config.debug ? "debug" : "quiet",
    "panic=-1", // restart at once; the machine is started so that a restart ends it
    `nr_cpus=${config.maxVcpus}`,
    "selinux=0",
    // an initrd is unpacked into a file system that may hold half of the memory, which in a small guest is too little
    ...(config.initrd === undefined ? [] : ["rootfstype=ramfs"]),
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

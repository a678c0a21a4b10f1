/** Whether a VM runs on KVM or on software emulation (TCG). */

import { isErrno } from "../../sys/errors.ts";
import { type Kvm, openKvm } from "../../sys/kvm.ts";
import { arch } from "../../sys/syscall.ts";
import type { Accelerator, VmConfig } from "../vmm.ts";

/** What was chosen. */
export interface AcceleratorChoice {
  readonly accelerator: Accelerator;
  /** Why it is not KVM, if "auto" would have preferred it. */
  readonly because?: string;
}

/** What the decision looks at; given in tests. */
export interface KvmHost {
  /** Asks the device. @throws {SysError} it cannot be opened */
  openKvm(): Kvm;
  /** The flags of the first processor; undefined where there is no such line. */
  cpuFlags(): readonly string[] | undefined;
}

const DEVICE = "/dev/kvm";

/**
 * Decides. Does not start anything: that QEMU then fails with KVM has to be seen by trying.
 *
 * @throws {Error} "kvm" was asked for and does not work
 */
export function chooseAccelerator(
  wanted: VmConfig["accelerator"],
  host: KvmHost = thisHost,
): AcceleratorChoice {
  if (wanted === "tcg") return { accelerator: "tcg" };
  const problem = kvmProblem(host);
  if (wanted === "kvm") {
    if (problem) throw new Error(`cannot run the VM with accelerator "kvm": ${problem}`);
    return { accelerator: "kvm" };
  }
  const because = problem ?? slowKvm(host);
  return because === undefined ? { accelerator: "kvm" } : { accelerator: "tcg", because };
}

/** Why KVM cannot make a VM. */
function kvmProblem(host: KvmHost): string | undefined {
  try {
    const kvm = host.openKvm();
    if (kvm.canCreateVm) return undefined;
    return `${DEVICE} cannot create a VM: ${kvm.createError?.code ?? "no reason given"}`;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return `there is no ${DEVICE}`;
    if (isErrno(error)) return `${DEVICE} cannot be opened: ${error.code}`;
    throw error;
  }
}

/**
 * Why KVM would be slower than emulation. On x86 there are KVM modules that need no hardware virtualisation, inside
 * clouds that offer none: a guest kernel that was not made for them runs through an instruction emulator, or not at
 * all. A processor that can virtualise, nested or not, says so in its flags.
 */
function slowKvm(host: KvmHost): string | undefined {
  const flags = host.cpuFlags();
  if (flags === undefined || flags.includes("vmx") || flags.includes("svm")) return undefined;
  return `${DEVICE} works without hardware virtualisation here (the processor has neither "vmx" nor "svm"), ` +
    "which is too slow for an ordinary guest kernel";
}

const thisHost: KvmHost = { openKvm, cpuFlags: () => arch === "x86_64" ? readCpuFlags() : undefined };

/** Whether this host is a virtual machine itself, which its processor says. */
export function isVirtualMachine(): boolean {
  return arch === "x86_64" && (readCpuFlags()?.includes("hypervisor") ?? false);
}

/** Reads no more than the first processor's entry: on big hosts the file is long, and slow to make. */
function readCpuFlags(): readonly string[] | undefined {
  using file = Deno.openSync("/proc/cpuinfo");
  const buffer = new Uint8Array(16 * 1024);
  let length = 0;
  for (let count; length < buffer.length && (count = file.readSync(buffer.subarray(length)));) {
    length += count;
    const flags = /^flags\s*: (.*)\n/m.exec(new TextDecoder().decode(buffer.subarray(0, length)));
    if (flags) return flags[1]?.split(" ");
  }
  return undefined;
}

/**
 * The command that fixes what is missing, in the words of the distribution at hand.
 *
 * @module
 */

import { type CheckHost, kernelRelease } from "./host.ts";
import type { Requirement } from "./table.ts";

/** Families of distributions, by the command that installs packages. */
export type Family = "debian" | "fedora" | "suse" | "arch" | "alpine" | "unknown";

/** Names in `ID` and `ID_LIKE` of os-release. */
const FAMILIES: Readonly<Record<string, Family>> = {
  debian: "debian",
  ubuntu: "debian",
  fedora: "fedora",
  rhel: "fedora",
  centos: "fedora",
  suse: "suse",
  opensuse: "suse",
  sles: "suse",
  arch: "arch",
  alpine: "alpine",
};

const INSTALL: Readonly<Record<Family, string>> = {
  debian: "apt-get install",
  fedora: "dnf install",
  suse: "zypper install",
  arch: "pacman -S",
  alpine: "apk add",
  unknown: "",
};

/** What can be installed, and what the distributions call it. */
const PACKAGES = {
  qemu: {
    amd64: {
      debian: "qemu-system-x86",
      fedora: "qemu-system-x86-core",
      suse: "qemu-x86",
      arch: "qemu-system-x86",
      alpine: "qemu-system-x86_64",
    },
    arm64: {
      debian: "qemu-system-arm",
      fedora: "qemu-system-aarch64-core",
      suse: "qemu-arm",
      arch: "qemu-system-aarch64",
      alpine: "qemu-system-aarch64",
    },
  },
} as const;

/** Which family this machine belongs to. */
export function familyOf(host: CheckHost): Family {
  for (const name of distributionNames(host)) {
    const family = FAMILIES[name] ?? FAMILIES[name.split("-")[0] ?? ""];
    if (family !== undefined) return family;
  }
  return "unknown";
}

/** Its own name, then those of what it is made from. */
function distributionNames(host: CheckHost): string[] {
  const text = host.read("/etc/os-release") ?? host.read("/usr/lib/os-release") ?? "";
  const value = (key: string) => new RegExp(`^${key}=["']?(.*?)["']?$`, "m").exec(text)?.[1] ?? "";
  return [value("ID"), ...value("ID_LIKE").split(/\s+/)];
}

/** How to install a program. */
export function installCommand(host: CheckHost, program: keyof typeof PACKAGES): string {
  const family = familyOf(host);
  if (family === "unknown") return `install ${program} with the package manager of this distribution`;
  return `${sudo(host)}${INSTALL[family]} ${PACKAGES[program][host.arch][family]}`;
}

/** What the distributions call their newest kernel. */
const KERNELS: Readonly<Partial<Record<Family, Readonly<Record<CheckHost["arch"], string>>>>> = {
  debian: { amd64: "linux-image-amd64", arm64: "linux-image-arm64" },
  fedora: { amd64: "kernel", arm64: "kernel" },
  suse: { amd64: "kernel-default", arm64: "kernel-default" },
  arch: { amd64: "linux", arm64: "linux-aarch64" },
  alpine: { amd64: "linux-virt", arm64: "linux-virt" },
};

/** How to install a kernel. */
export function kernelCommand(host: CheckHost): string {
  const family = familyOf(host);
  const isUbuntu = distributionNames(host).includes("ubuntu");
  const name = isUbuntu ? "linux-image-generic" : KERNELS[family]?.[host.arch];
  return name === undefined ? "by the package manager" : `${sudo(host)}${INSTALL[family]} ${name}`;
}

/** The command that meets a requirement; undefined: it cannot be met on this machine. */
export function fixFor(host: CheckHost, requirement: Requirement): string | undefined {
  switch (requirement.fix) {
    case "module":
      return fixModule(host, requirement.name);
    case "firmware":
      return fixVirtualization(host, requirement.name);
    case "none":
      return undefined;
  }
}

/** How releases of kernels end that the distributions have packages of. */
const PACKAGED: Readonly<Partial<Record<Family, RegExp>>> = {
  debian: /-(amd64|arm64|generic|lowlatency|kvm|virtual|aws|azure|gcp|gke|oracle|ibm|raspi|nvidia)\b/,
  fedora: /\.(fc|el|amzn)\d+/,
};

/** A module that modprobe does not find comes with a package. */
function fixModule(host: CheckHost, module: string): string {
  if (host.uid !== 0) return `sudo modprobe ${module}`;
  const release = kernelRelease(host.read("/proc/version")) ?? "$(uname -r)";
  if (host.exists(`/lib/modules/${release}`)) return `modprobe ${module}`;
  const family = familyOf(host);
  if (PACKAGED[family]?.test(release) === false) {
    return `kernel ${release} has no package in this distribution: ${
      kernelCommand(host)
    }, then boot that one`;
  }
  switch (family) {
    case "debian":
      return `apt-get install linux-image-${release}`;
    case "fedora":
      return `dnf install kernel-modules-${release}`;
    default:
      return `install the modules of kernel ${release}, then: modprobe ${module}`;
  }
}

/** The switch is in the set-up of the machine, or on the host of the virtual machine that this is. */
function fixVirtualization(host: CheckHost, flag: string): string {
  const name = flag === "vmx" ? "VT-x" : "AMD-V";
  if (!/^flags\s*:.*\bhypervisor\b/m.test(host.read("/proc/cpuinfo") ?? "")) {
    return `switch ${name} on in the firmware's set-up: sudo systemctl reboot --firmware-setup`;
  }
  const module = flag === "vmx" ? "kvm_intel" : "kvm_amd";
  return `allow nested virtualization on the host of this virtual machine: sudo modprobe -r ${module} && sudo modprobe ${module} nested=1`;
}

/** How the user may open /dev/kvm. */
export function fixAccess(errno: string): string {
  return errno === "EACCES" || errno === "EPERM"
    ? 'sudo usermod --append --groups kvm "$USER", then log in again'
    : "sudo modprobe kvm";
}

function sudo(host: CheckHost): string {
  return host.uid === 0 ? "" : "sudo ";
}

/**
 * What a machine should have to run virtual machines, per architecture, as data.
 *
 * @module
 */

import { KVM } from "../../../sys/kvm.ts";
import type { CheckArch } from "./host.ts";

/** How a missing requirement is met: see `fix.ts`. */
export type Fix = "firmware" | "module" | "none";

/** One thing to look for. */
export interface Requirement {
  readonly type: "attribute" | "flag" | "module";
  readonly name: string;
  readonly description: string;
  readonly fix: Fix;
  /** without it there is no machine at all, however slow */
  readonly essential?: true;
  /** not even missed by `--strict` */
  readonly optional?: true;
  /** a device that shows that the module is there, when it is built into the kernel */
  readonly device?: string;
  readonly parameters?: readonly ModuleParameter[];
}

/** A parameter of a kernel module, and what it should be. */
export interface ModuleParameter {
  readonly name: string;
  readonly expected: string;
  /** whether another value is only worth a warning */
  readonly warns: "always" | "in a virtual machine";
}

const KVM_MODULE: Requirement = {
  type: "module",
  name: "kvm",
  description: "Kernel-based Virtual Machine",
  fix: "module",
  device: "/dev/kvm",
};

const VHOST: readonly Requirement[] = [
  {
    type: "module",
    name: "vhost",
    description: "Host kernel accelerator for virtio",
    fix: "module",
    device: "/dev/vhost-net",
  },
  {
    type: "module",
    name: "vhost_net",
    description: "Host kernel accelerator for virtio network",
    fix: "module",
    device: "/dev/vhost-net",
  },
  {
    type: "module",
    name: "vhost_vsock",
    description: "Host Support for Linux VM Sockets",
    fix: "module",
    optional: true,
    device: "/dev/vhost-vsock",
  },
];

function attribute(name: string, description: string): Requirement {
  return { type: "attribute", name, description, fix: "none" };
}

function x86Flags(virtualization: string): readonly Requirement[] {
  return [
    { type: "flag", name: virtualization, description: "Virtualization support", fix: "firmware" },
    { type: "flag", name: "lm", description: "64Bit CPU", fix: "none", essential: true },
    { type: "flag", name: "sse4_1", description: "SSE4.1", fix: "none" },
  ];
}

/** A vendor of processors, and what its machines should have. */
export interface Platform {
  readonly arch: CheckArch;
  /** text that /proc/cpuinfo has; undefined: any */
  readonly vendor?: string;
  readonly requirements: readonly Requirement[];
}

/** All that are known; the first that fits counts. */
export const PLATFORMS: readonly Platform[] = [
  {
    arch: "amd64",
    vendor: "GenuineIntel",
    requirements: [
      attribute("GenuineIntel", "Intel Architecture CPU"),
      ...x86Flags("vmx"),
      KVM_MODULE,
      {
        type: "module",
        name: "kvm_intel",
        description: "Intel KVM",
        fix: "module",
        parameters: [
          { name: "unrestricted_guest", expected: "Y", warns: "in a virtual machine" },
          { name: "nested", expected: "Y", warns: "always" },
        ],
      },
      ...VHOST,
    ],
  },
  {
    arch: "amd64",
    vendor: "AuthenticAMD",
    requirements: [
      attribute("AuthenticAMD", "AMD Architecture CPU"),
      ...x86Flags("svm"),
      KVM_MODULE,
      {
        type: "module",
        name: "kvm_amd",
        description: "AMD KVM",
        fix: "module",
        parameters: [{ name: "nested", expected: "1", warns: "always" }],
      },
      ...VHOST,
    ],
  },
  { arch: "arm64", requirements: [KVM_MODULE, ...VHOST] },
];

/** A capability of KVM to ask for. */
export interface Extension {
  readonly id: number;
  readonly name: string;
  readonly description: string;
  /** what its answer means, if it is more than yes or no */
  answer?(value: number): string;
}

const COMMON_EXTENSIONS: readonly Extension[] = [
  {
    id: KVM.KVM_CAP_USER_MEMORY,
    name: "KVM_CAP_USER_MEMORY",
    description: "Memory of the guest is memory of a process",
  },
  {
    id: KVM.KVM_CAP_DESTROY_MEMORY_REGION_WORKS,
    name: "KVM_CAP_DESTROY_MEMORY_REGION_WORKS",
    description: "Memory can be taken away again",
  },
];

/** What QEMU needs of KVM. */
export const EXTENSIONS: Readonly<Record<CheckArch, readonly Extension[]>> = {
  amd64: [
    ...COMMON_EXTENSIONS,
    { id: KVM.KVM_CAP_IRQCHIP, name: "KVM_CAP_IRQCHIP", description: "Interrupt controllers in the kernel" },
  ],
  arm64: [
    {
      id: KVM.KVM_CAP_ARM_VM_IPA_SIZE,
      name: "KVM_CAP_ARM_VM_IPA_SIZE",
      description: "Maximum IPA shift supported by the host",
      answer: (bits) => `IPA limit size: ${bits} bits.`,
    },
    ...COMMON_EXTENSIONS,
    { id: KVM.KVM_CAP_ONE_REG, name: "KVM_CAP_ONE_REG", description: "Registers are read one by one" },
    {
      id: KVM.KVM_CAP_ARM_PSCI_0_2,
      name: "KVM_CAP_ARM_PSCI_0_2",
      description: "Processors start by PSCI 0.2",
    },
  ],
};

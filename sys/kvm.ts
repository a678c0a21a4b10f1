import { SysError } from "./errors.ts";
import { closeFd, O, openFd } from "./fd.ts";
import { syscall, trySyscall } from "./syscall.ts";

/** ioctl requests of /dev/kvm, and capabilities to ask for. */
export const KVM = {
  KVM_GET_API_VERSION: 0xae00,
  KVM_CREATE_VM: 0xae01,
  KVM_CHECK_EXTENSION: 0xae03,
  KVM_CAP_IRQCHIP: 0,
  KVM_CAP_USER_MEMORY: 3,
  KVM_CAP_DESTROY_MEMORY_REGION_WORKS: 21,
  KVM_CAP_JOIN_MEMORY_REGIONS_WORKS: 30,
  KVM_CAP_MAX_VCPUS: 66,
  KVM_CAP_ONE_REG: 70,
  KVM_CAP_ARM_PSCI_0_2: 102,
  KVM_CAP_ARM_VM_IPA_SIZE: 165,
} as const;

/** The version that every kernel since 2.6.22 answers with. */
export const KVM_API_VERSION = 12;

/** What this host's KVM can do. */
export interface Kvm {
  /** {@linkcode KVM_API_VERSION}, or it is another interface. */
  readonly apiVersion: number;
  /** The most virtual cpus of one VM; 0 if the kernel does not tell. */
  readonly maxVcpus: number;
  /** Whether an (empty) VM could be made just now. */
  readonly canCreateVm: boolean;
  /** Why not. */
  readonly createError?: SysError;
  /** Answers for the capabilities that were asked for: 0 = it has not got it. */
  readonly capabilities?: ReadonlyMap<number, number>;
}

/**
 * Asks KVM about itself and tries to make a VM, which some hosts refuse although the device is there. Leaves nothing
 * open.
 *
 * @param capabilities numbers of capabilities to ask for
 * @throws {SysError} `ENOENT`, `EACCES`, ... if the device cannot be opened; `ENOTTY` if it is not KVM
 */
export function openKvm(path = "/dev/kvm", capabilities: readonly number[] = []): Kvm {
  const kvm = openFd(path, O.RDWR);
  try {
    const apiVersion = syscall("ioctl", [kvm, KVM.KVM_GET_API_VERSION, 0], path);
    const answer = (capability: number) =>
      Math.max(trySyscall("ioctl", [kvm, KVM.KVM_CHECK_EXTENSION, capability]), 0);
    const answers = capabilities.map((capability) => [capability, answer(capability)] as const);
    const vm = trySyscall("ioctl", [kvm, KVM.KVM_CREATE_VM, 0]);
    if (vm >= 0) closeFd(vm);
    return {
      apiVersion,
      maxVcpus: answer(KVM.KVM_CAP_MAX_VCPUS),
      canCreateVm: vm >= 0,
      ...(capabilities.length > 0 && { capabilities: new Map(answers) }),
      ...(vm < 0 && { createError: new SysError("KVM_CREATE_VM", -vm, path) }),
    };
  } finally {
    closeFd(kvm);
  }
}

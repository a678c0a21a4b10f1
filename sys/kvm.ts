import { SysError } from "./errors.ts";
import { closeFd, O, openFd } from "./fd.ts";
import { syscall, trySyscall } from "./syscall.ts";

/** ioctl requests of /dev/kvm, and a capability to ask for. */
export const KVM = {
  KVM_GET_API_VERSION: 0xae00,
  KVM_CREATE_VM: 0xae01,
  KVM_CHECK_EXTENSION: 0xae03,
  KVM_CAP_MAX_VCPUS: 66,
} as const;

/** What this host's KVM can do. */
export interface Kvm {
  /** 12 for all kernels since 2.6.22. */
  readonly apiVersion: number;
  /** The most virtual cpus of one VM; 0 if the kernel does not tell. */
  readonly maxVcpus: number;
  /** Whether an (empty) VM could be made just now. */
  readonly canCreateVm: boolean;
  /** Why not. */
  readonly createError?: SysError;
}

/**
 * Asks KVM about itself and tries to make a VM, which some hosts refuse although the device is there. Leaves nothing
 * open.
 *
 * @throws {SysError} `ENOENT`, `EACCES`, ... if the device cannot be opened; `ENOTTY` if it is not KVM
 */
export function openKvm(path = "/dev/kvm"): Kvm {
  const kvm = openFd(path, O.RDWR);
  try {
    const apiVersion = syscall("ioctl", [kvm, KVM.KVM_GET_API_VERSION, 0], path);
    const maxVcpus = trySyscall("ioctl", [kvm, KVM.KVM_CHECK_EXTENSION, KVM.KVM_CAP_MAX_VCPUS]);
    const vm = trySyscall("ioctl", [kvm, KVM.KVM_CREATE_VM, 0]);
    if (vm >= 0) closeFd(vm);
    return {
      apiVersion,
      maxVcpus: Math.max(maxVcpus, 0),
      canCreateVm: vm >= 0,
      ...(vm < 0 && { createError: new SysError("KVM_CREATE_VM", -vm, path) }),
    };
  } finally {
    closeFd(kvm);
  }
}

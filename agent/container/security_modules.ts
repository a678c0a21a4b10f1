/** Which security modules the kernel has: a label for a missing one would protect nothing. */

import { SpecError } from "../../oci/check.ts";
import type { Process, Spec } from "../../oci/spec.ts";
import { tryReadText } from "./cgroup/files.ts";

/** Active modules. */
export interface SecurityModules {
  readonly apparmor: boolean;
  readonly selinux: boolean;
}

/** Looks at the running kernel. */
export function securityModules(): SecurityModules {
  return {
    apparmor: tryReadText("/sys/module/apparmor/parameters/enabled")?.trim() === "Y",
    // Its file system is only there when it was not switched off at boot.
    selinux: /\bselinuxfs$/m.test(tryReadText("/proc/filesystems") ?? ""),
  };
}

/** @throws {SpecError} for a label of a module that the kernel does not have */
export function refuseLabels(spec: Spec, look: () => SecurityModules = securityModules): void {
  refuseProcessLabels(spec.process, look);
  const { mountLabel } = spec.linux ?? {};
  if (mountLabel && !look().selinux) throw missing("linux.mountLabel", "SELinux", mountLabel);
}

/** As {@linkcode refuseLabels}, for a process alone. */
export function refuseProcessLabels(
  { apparmorProfile, selinuxLabel }: Process,
  look: () => SecurityModules = securityModules,
): void {
  if (apparmorProfile && !look().apparmor) {
    throw missing("process.apparmorProfile", "AppArmor", apparmorProfile);
  }
  if (selinuxLabel && !look().selinux) throw missing("process.selinuxLabel", "SELinux", selinuxLabel);
}

function missing(path: string, module: string, value: string): SpecError {
  return new SpecError(path, `needs a guest kernel with ${module}, and this one has none: it is "${value}"`);
}

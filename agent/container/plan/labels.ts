/** Steps that give a process the labels of security modules. */

import type { Process } from "../../../oci/spec.ts";
import type { PlannedMount } from "./mounts.ts";
import type { Steps } from "./steps.ts";

/** File systems that have labels of their own. */
const UNLABELLED = new Set(["proc", "sysfs", "mqueue", "cgroup", "cgroup2"]);

/** A mount whose files all have the label `label`; what is bound keeps its own. */
export function withLabel(mount: PlannedMount, label: string | undefined): PlannedMount {
  if (!label || mount.kind !== "filesystem" || UNLABELLED.has(mount.type)) return mount;
  const data = [...mount.options.data, `context="${label}"`];
  return { ...mount, options: { ...mount.options, data } };
}

/**
 * With the agent's /proc in sight. Both are for the next `execve`, and nothing is confined before that.
 *
 * @see security_modules.ts, which refuses what the kernel does not have
 */
export function setLabels(steps: Steps, { apparmorProfile, selinuxLabel }: Process): void {
  if (apparmorProfile) {
    const name = `set AppArmor profile "${apparmorProfile}"`;
    steps.writeProcFile(name, "/proc/self/attr/apparmor/exec", `exec ${apparmorProfile}`);
  }
  if (selinuxLabel) {
    steps.writeProcFile(`set SELinux label "${selinuxLabel}"`, "/proc/self/attr/exec", selinuxLabel);
  }
}

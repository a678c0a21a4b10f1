/** Which kernel settings a container may have of its own, and where they are written. */

import { SpecError } from "../../../oci/check.ts";
import type { NamespaceChoices } from "./input.ts";

const IPC_SETTINGS = new Set([
  "kernel/msgmax",
  "kernel/msgmnb",
  "kernel/msgmni",
  "kernel/sem",
  "kernel/shmall",
  "kernel/shmmax",
  "kernel/shmmni",
  "kernel/shm_rmid_forced",
]);

/**
 * The file of a setting, below /proc/sys. In a name with dots, a `/` stands for a dot inside of one of its
 * parts (as in `net.ipv4.conf.eno2/100.rp_filter`); whichever comes first is the separator.
 */
export function sysctlFile(name: string): string {
  const first = name.search(/[./]/);
  if (first < 0 || name[first] === "/") return name;
  return name.replace(/[./]/g, (character) => character === "." ? "/" : ".");
}

/** A setting to be written. */
export interface SysctlWrite {
  readonly name: string;
  readonly path: string;
  readonly value: string;
  /** The kind of namespace that it belongs to. */
  readonly namespace: "ipc" | "uts" | "network" | "user";
}

/**
 * The files of `linux.sysctl` with their values, in the order given.
 * @throws {SpecError} for a setting that is not the container's own
 */
export function sysctlWrites(
  settings: Readonly<Record<string, string>>,
  namespaces: Pick<NamespaceChoices, "ipc" | "uts" | "user">,
): SysctlWrite[] {
  return Object.entries(settings).map(([name, value]) => {
    const file = sysctlFile(name);
    const problem = problemWith(file, namespaces);
    if (problem) throw new SpecError(`linux.sysctl[${JSON.stringify(name)}]`, problem);
    return { name, path: `/proc/sys/${file}`, value, namespace: namespaceOf(file) };
  });
}

function namespaceOf(file: string): SysctlWrite["namespace"] {
  if (file.startsWith("net/")) return "network";
  if (file.startsWith("user/")) return "user";
  return file === "kernel/domainname" ? "uts" : "ipc";
}

function problemWith(
  file: string,
  namespaces: Pick<NamespaceChoices, "ipc" | "uts" | "user">,
): string | undefined {
  if (file.split("/").some((part) => part === "" || part === "." || part === "..")) {
    return "is not a setting's name";
  }
  if (IPC_SETTINGS.has(file) || file.startsWith("fs/mqueue/")) {
    return namespaces.ipc === "inherit" ? `needs a namespace of type "ipc" in linux.namespaces` : undefined;
  }
  if (file === "kernel/domainname") {
    return namespaces.uts === "inherit" ? `needs a namespace of type "uts" in linux.namespaces` : undefined;
  }
  if (file.startsWith("user/")) {
    return namespaces.user === "inherit" ? `needs a namespace of type "user" in linux.namespaces` : undefined;
  }
  if (file === "kernel/hostname") return "cannot be set this way: use hostname";
  // The network of the virtual machine is the pod's.
  if (file.startsWith("net/")) return undefined;
  return "is not a setting of a container's own, it would change the whole machine's";
}

/**
 * Which namespaces a container gets: its own, those of its sandbox, or those that its specification names by
 * path.
 */

import { O, openFd, OwnedFd } from "../../sys/fd.ts";
import { isErrno } from "../../sys/errors.ts";
import { syscall } from "../../sys/syscall.ts";
import { SpecError } from "../../oci/check.ts";
import type { NamespaceType, Spec } from "../../oci/spec.ts";
import type { NamespaceChoice, NamespaceChoices } from "./plan/input.ts";
import { CLONE } from "./plan/root.ts";

const NS_GET_NSTYPE = 0xb703;

/** Namespaces that the sandbox gives its containers, as descriptors that stay the sandbox's. */
export interface SandboxNamespaceFds {
  readonly ipc?: number;
  readonly uts?: number;
  readonly pid?: number;
}

/** The choices, and the descriptors that were opened for them. */
export interface ChosenNamespaces extends Disposable {
  readonly choices: NamespaceChoices;
}

/** A descriptor of a namespace, held until it is disposed of. */
export type OpenNamespace = Disposable & { readonly fd: number };

/**
 * Chooses. What the sandbox gives is used; a container without a sandbox's has what its specification lists.
 * Process ids and cgroups are the container's own in any case: the agent's are nothing that it could share.
 *
 * @param open opens a namespace by path; `at` is the JSON path that names it
 * @throws {SpecError} for a path that is no namespace of the type
 */
export function chooseNamespaces(
  spec: Spec,
  given: SandboxNamespaceFds,
  open: (path: string, type: NamespaceType, at: string) => OpenNamespace = openNamespace,
): ChosenNamespaces {
  using taken = new DisposableStack();
  const choose = (
    type: NamespaceType,
    fd: number | undefined,
    unlisted: "new" | "inherit",
  ): NamespaceChoice => {
    if (fd !== undefined) return { fd };
    const list = spec.linux?.namespaces ?? [];
    const index = list.findIndex((entry) => entry.type === type);
    const path = list[index]?.path;
    if (path) return { fd: taken.use(open(path, type, `linux.namespaces[${index}].path`)).fd };
    return index < 0 ? unlisted : "new";
  };
  const choices = {
    pid: choose("pid", given.pid, "new"),
    ipc: choose("ipc", given.ipc, "inherit"),
    uts: choose("uts", given.uts, "inherit"),
    network: choose("network", undefined, "inherit"),
    cgroup: choose("cgroup", undefined, "new"),
  };
  const opened = taken.move();
  return { choices, [Symbol.dispose]: () => opened.dispose() };
}

const FLAGS: Readonly<Partial<Record<NamespaceType, number>>> = {
  pid: CLONE.NEWPID,
  ipc: CLONE.NEWIPC,
  uts: CLONE.NEWUTS,
  network: CLONE.NEWNET,
  cgroup: CLONE.NEWCGROUP,
};

function openNamespace(path: string, type: NamespaceType, at: string): OwnedFd {
  using taken = new DisposableStack();
  try {
    const namespace = taken.use(new OwnedFd(openFd(path, O.RDONLY)));
    if (syscall("ioctl", [namespace.fd, NS_GET_NSTYPE, 0], path) !== FLAGS[type]) {
      throw notOfType(path, type, at);
    }
    taken.move();
    return namespace;
  } catch (error) {
    if (isErrno(error, "ENOTTY", "EINVAL")) throw notOfType(path, type, at);
    if (isErrno(error)) throw new SpecError(at, `cannot be opened: "${path}" gives ${error.code}`);
    throw error;
  }
}

function notOfType(path: string, type: NamespaceType, at: string): SpecError {
  return new SpecError(at, `must be a namespace of type "${type}": it is "${path}"`);
}

/**
 * Which namespaces a container gets: its own, those of its sandbox, or those that its specification names by
 * path.
 */

import { O, openFd, OwnedFd } from "../../sys/fd.ts";
import { isErrno } from "../../sys/errors.ts";
import { CLONE } from "../../sys/host.ts";
import { syscall } from "../../sys/syscall.ts";
import { SpecError } from "../../oci/check.ts";
import type { NamespaceType, Spec } from "../../oci/spec.ts";
import { isMapped } from "./plan/ids.ts";
import type { NamespaceChoice, NamespaceChoices, UserChoice } from "./plan/input.ts";
import { makeUserNamespace, mappingsOf } from "./user_namespace.ts";

const NS_GET_NSTYPE = 0xb703;

/** Namespaces that the sandbox gives its containers, as descriptors that stay the sandbox's. */
export interface SandboxNamespaceFds {
  readonly ipc?: number;
  readonly uts?: number;
  readonly pid?: number;
}

/** A descriptor of a namespace, given up by disposing. */
export type OpenNamespace = Disposable & { readonly fd: number };

/** The choices, and the descriptors that were opened for them. */
export interface ChosenNamespaces extends Disposable {
  readonly choices: NamespaceChoices;
}

/** As `ChosenNamespaces`, with a user namespace that is still to be made, or whose mappings are not known. */
export interface ListedNamespaces extends Disposable {
  readonly choices: Omit<NamespaceChoices, "user"> & { readonly user: NamespaceChoice };
}

/**
 * Chooses. What the sandbox gives is used; a container without a sandbox's has what its specification lists.
 * Process ids and cgroups are the container's own in any case: the agent's are nothing that it could share.
 *
 * @throws {SpecError} for a path that is no namespace of the type, and mappings that are of no use
 */
export async function chooseNamespaces(spec: Spec, given: SandboxNamespaceFds): Promise<ChosenNamespaces> {
  using taken = new DisposableStack();
  const { choices } = taken.use(listNamespaces(spec, given));
  const user = choices.user === "inherit" ? choices.user : await chooseUser(spec, choices.user, taken);
  const opened = taken.move();
  return { choices: { ...choices, user }, [Symbol.dispose]: () => opened.dispose() };
}

/**
 * Chooses, without making any.
 *
 * @param open opens a namespace by path; `at` is the JSON path that names it
 * @throws {SpecError} for a path that is no namespace of the type
 */
export function listNamespaces(
  spec: Spec,
  given: SandboxNamespaceFds,
  open: (path: string, type: NamespaceType, at: string) => OpenNamespace = openNamespace,
): ListedNamespaces {
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
    time: choose("time", undefined, "inherit"),
    user: choose("user", undefined, "inherit"),
  };
  const opened = taken.move();
  return { choices, [Symbol.dispose]: () => opened.dispose() };
}

async function chooseUser(
  spec: Spec,
  choice: "new" | { readonly fd: number },
  taken: DisposableStack,
): Promise<UserChoice> {
  const { uidMappings: uids = [], gidMappings: gids = [] } = spec.linux ?? {};
  const user = choice === "new"
    ? { fd: taken.use(await makeUserNamespace({ uids, gids }, "linux")).fd, uids, gids }
    : { fd: choice.fd, ...await mappingsOf(choice.fd) };
  const { uid, gid, additionalGids = [] } = spec.process.user;
  const ids = [[user.uids, "linux.uidMappings", [0, uid]], [user.gids, "linux.gidMappings", [
    0,
    gid,
    ...additionalGids,
  ]]] as const;
  for (const [mappings, path, wanted] of ids) {
    const missing = wanted.find((id) => !isMapped(mappings, id));
    if (missing === undefined) continue;
    const why = missing === 0 ? "which the container is set up by" : "which the process needs";
    throw new SpecError(path, `must map id ${missing}, ${why}: it is ${JSON.stringify(mappings)}`);
  }
  return user;
}

const FLAGS: Readonly<Partial<Record<NamespaceType, number>>> = {
  pid: CLONE.NEWPID,
  ipc: CLONE.NEWIPC,
  uts: CLONE.NEWUTS,
  network: CLONE.NEWNET,
  cgroup: CLONE.NEWCGROUP,
  time: CLONE.NEWTIME,
  user: CLONE.NEWUSER,
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

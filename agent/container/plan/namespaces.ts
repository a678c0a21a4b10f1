/** Steps that give the child its namespaces. */

import { AT, O } from "../../../sys/fd.ts";
import { CLONE } from "../../../sys/host.ts";
import { u16 } from "../../../sys/program.ts";
import { MOUNT_FLAGS as MS } from "../../../oci/mount_options.ts";
import type { TimeOffset } from "../../../oci/spec.ts";
import { userOf } from "./ids.ts";
import type { NamespaceChoices, UserChoice } from "./input.ts";
import type { Steps } from "./steps.ts";

const PR_SET_DUMPABLE = 4;

/** Kinds that a process can leave for others at any time. */
const KINDS = ["ipc", "uts", "network", "cgroup"] as const;
type Kind = typeof KINDS[number];
const FLAGS: Readonly<Record<Kind, number>> = {
  ipc: CLONE.NEWIPC,
  uts: CLONE.NEWUTS,
  network: CLONE.NEWNET,
  cgroup: CLONE.NEWCGROUP,
};

/**
 * Flags of the clone. The cgroup namespace is missing: the child makes it once it is in its cgroup. With a user
 * namespace nearly all are: what is to belong to it can only be made after it was entered.
 */
export function cloneFlags(namespaces: NamespaceChoices): number {
  let flags: number = CLONE.NEWNS;
  if (userOf(namespaces)) return flags;
  if (namespaces.pid === "new") flags |= CLONE.NEWPID;
  for (const kind of KINDS) if (kind !== "cgroup" && namespaces[kind] === "new") flags |= FLAGS[kind];
  return flags;
}

/** Descriptors of the agent that the steps here name. */
export function namespaceFds(namespaces: NamespaceChoices): number[] {
  const { ipc, uts, network, cgroup, time, user } = namespaces;
  return [ipc, uts, network, cgroup, time, user]
    .flatMap((choice) => typeof choice === "object" ? [choice.fd] : []);
}

/** Flags for setns(2) to join all namespaces of a container's first process but that for process ids. */
export function joinFlags(namespaces: NamespaceChoices): number {
  const all = CLONE.NEWNS | CLONE.NEWUTS | CLONE.NEWIPC | CLONE.NEWNET | CLONE.NEWCGROUP;
  const time = namespaces.time === "inherit" ? 0 : CLONE.NEWTIME;
  // Entering the user namespace that one is in already is an error.
  return all | time | (userOf(namespaces) ? CLONE.NEWUSER : 0);
}

/**
 * First: the child, still a copy of the agent, becomes undumpable; the umask is cleared.
 */
export function beginProcess(steps: Steps): void {
  const { program } = steps;
  program.step("hide from other processes", "prctl", [PR_SET_DUMPABLE, 0, 0, 0, 0]);
  program.step("begin session", "setsid", []);
  program.step("clear umask", "umask", [0]);
}

/** Joins the namespaces that are given, but for those of users and time. */
export function joinNamespaces(steps: Steps, namespaces: NamespaceChoices): void {
  for (const kind of KINDS) {
    const choice = namespaces[kind];
    if (typeof choice !== "object") continue;
    steps.program.step(`join ${kind} namespace`, "setns", [choice.fd, FLAGS[kind]]);
  }
}

/** Makes what the clone could not. */
export function makeNamespaces(
  steps: Steps,
  namespaces: NamespaceChoices,
  timeOffsets: Readonly<Record<string, TimeOffset>> = {},
): void {
  const { program } = steps;
  if (!userOf(namespaces) && namespaces.cgroup === "new") {
    program.step("create cgroup namespace", "unshare", [CLONE.NEWCGROUP]);
  }
  if (namespaces.network === "new") bringUpLoopback(steps);
  if (typeof namespaces.time === "object") {
    program.step("join time namespace", "setns", [namespaces.time.fd, CLONE.NEWTIME]);
  } else if (namespaces.time === "new") makeTimeNamespace(steps, timeOffsets);
}

/** It is made for children, given its offsets while nobody is in it, and entered. */
function makeTimeNamespace(steps: Steps, offsets: Readonly<Record<string, TimeOffset>>): void {
  const { program, target } = steps;
  program.step("create time namespace", "unshare", [CLONE.NEWTIME]);
  for (const [clock, { secs = 0, nanosecs = 0 }] of Object.entries(offsets)) {
    const text = `${clock} ${secs} ${nanosecs}\n`;
    steps.writeProcFile(`set offset of ${clock} clock`, "/proc/self/timens_offsets", text);
  }
  const path = program.cstring("/proc/self/ns/time_for_children");
  program.step("open time namespace", "openat", [AT.FDCWD, path, O.RDONLY | O.CLOEXEC, 0], { save: target });
  program.step("enter time namespace", "setns", [target, CLONE.NEWTIME]);
  steps.close(target);
}

/**
 * Enters the user namespace and makes those that are to belong to it. The agent's user stays until `becomeRoot`: the
 * files of settings belong to it.
 */
export function enterUserNamespace(steps: Steps, user: UserChoice, namespaces: NamespaceChoices): void {
  const { program } = steps;
  program.step("join user namespace", "setns", [user.fd, CLONE.NEWUSER]);
  const flags = KINDS.filter((kind) => namespaces[kind] === "new")
    .reduce<number>((sum, kind) => sum | FLAGS[kind], CLONE.NEWNS);
  program.step("create namespaces of the user namespace", "unshare", [flags]);
  if (namespaces.pid !== "new") return;
  program.continueInChild("create pid namespace", CLONE.NEWPID);
  program.step("begin session", "setsid", []);
}

/** Becomes the user namespace's own root, to whom belongs what is made from here on. */
export function becomeRoot(steps: Steps): void {
  const { program } = steps;
  program.step("leave groups", "setgroups", [0, 0]);
  program.step("become group 0 of the user namespace", "setresgid", [0, 0, 0]);
  program.step("become user 0 of the user namespace", "setresuid", [0, 0, 0]);
  program.step("hide from other processes", "prctl", [PR_SET_DUMPABLE, 0, 0, 0, 0]);
}

function bringUpLoopback(steps: Steps): void {
  const AF_INET = 2, SOCK_DGRAM_CLOEXEC = 2 | O.CLOEXEC, SIOCSIFFLAGS = 0x8914, IFF_UP_RUNNING = 0x41;
  const { program } = steps;
  // struct ifreq: the name in 16 bytes, the flags in two, 40 in all.
  const name = new Uint8Array(16);
  name.set(new TextEncoder().encode("lo"));
  const request = program.struct([name, u16(IFF_UP_RUNNING), new Uint8Array(22)]);
  program.step("open socket for lo", "socket", [AF_INET, SOCK_DGRAM_CLOEXEC, 0], { save: steps.target });
  program.step("set lo up", "ioctl", [steps.target, SIOCSIFFLAGS, request]);
  steps.close(steps.target);
}

/** Sets the names of the uts namespace. */
export function setNames(steps: Steps, hostname: string | undefined, domainname: string | undefined): void {
  const { program } = steps;
  const text = (value: string) => [program.cstring(value), new TextEncoder().encode(value).length] as const;
  if (hostname) program.step("set hostname", "sethostname", text(hostname));
  if (domainname) program.step("set domainname", "setdomainname", text(domainname));
}

/**
 * Mounts made here must not reach the agent's namespace; its own may still arrive until the root is changed.
 */
export function separateMounts(steps: Steps): void {
  const { program } = steps;
  const args = [0, program.cstring("/"), 0, MS.REC | MS.SLAVE, 0];
  program.step("separate mounts from the agent's", "mount", args);
}

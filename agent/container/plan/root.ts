/** Steps that give the child its namespaces and its root. */

import { AT, O } from "../../../sys/fd.ts";
import { type Slot, u16 } from "../../../sys/program.ts";
import { MOUNT_ATTRIBUTES, MOUNT_FLAGS as MS, type Propagation } from "../../../oci/mount_options.ts";
import type { NamespaceChoices } from "./input.ts";
import { PLACE, type Steps } from "./steps.ts";

/** CLONE_NEW* (linux/sched.h). */
export const CLONE = {
  NEWNS: 0x0002_0000,
  NEWCGROUP: 0x0200_0000,
  NEWUTS: 0x0400_0000,
  NEWIPC: 0x0800_0000,
  NEWPID: 0x2000_0000,
  NEWNET: 0x4000_0000,
} as const;

const MNT_DETACH = 2;
const PR_SET_DUMPABLE = 4;

/** Flags of the clone. The cgroup namespace is missing: the child makes it once it is in its cgroup. */
export function cloneFlags(namespaces: NamespaceChoices): number {
  let flags: number = CLONE.NEWNS;
  if (namespaces.pid === "new") flags |= CLONE.NEWPID;
  if (namespaces.ipc === "new") flags |= CLONE.NEWIPC;
  if (namespaces.uts === "new") flags |= CLONE.NEWUTS;
  if (namespaces.network === "new") flags |= CLONE.NEWNET;
  return flags;
}

/** Descriptors of the agent that `joinNamespaces` names. */
export function namespaceFds(namespaces: NamespaceChoices): number[] {
  const { ipc, uts, network, cgroup } = namespaces;
  return [ipc, uts, network, cgroup].flatMap((choice) => typeof choice === "object" ? [choice.fd] : []);
}

/**
 * First of all: nobody may look into the child, which is still a copy of the agent; nothing is masked from
 * modes.
 */
export function beginProcess(steps: Steps): void {
  const { program } = steps;
  program.step("hide from other processes", "prctl", [PR_SET_DUMPABLE, 0, 0, 0, 0]);
  program.step("begin session", "setsid", []);
  program.step("clear umask", "umask", [0]);
}

/** Joins the namespaces that are given, and makes what the clone could not. */
export function enterNamespaces(steps: Steps, namespaces: NamespaceChoices): void {
  const { program } = steps;
  const kinds = [["ipc", CLONE.NEWIPC], ["uts", CLONE.NEWUTS], ["network", CLONE.NEWNET], [
    "cgroup",
    CLONE.NEWCGROUP,
  ]];
  for (const [kind, flag] of kinds as ["ipc" | "uts" | "network" | "cgroup", number][]) {
    const choice = namespaces[kind];
    if (typeof choice === "object") program.step(`join ${kind} namespace`, "setns", [choice.fd, flag]);
  }
  if (namespaces.cgroup === "new") program.step("create cgroup namespace", "unshare", [CLONE.NEWCGROUP]);
  if (namespaces.network === "new") bringUpLoopback(steps);
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

/** The container's root, while it is being changed to. */
export interface NewRoot {
  /** the root's mount */
  readonly root: Slot;
  /** Only when the root is borrowed: where the old root is. */
  readonly old?: Slot;
}

/**
 * Makes the rootfs the root, by pivot_root on a bind of itself, and lets go of the old one. From here on
 * every path is the container's.
 */
export function changeRoot(steps: Steps, rootfs: string): NewRoot {
  const root = attachRoot(steps, rootfs);
  pivot(steps);
  return { root };
}

/**
 * As {@linkcode changeRoot}, but only for this process and for the time being: whoever else enters the namespace
 * finds the old root, with the container's mounts below the rootfs.
 */
export function borrowRoot(steps: Steps, rootfs: string): NewRoot {
  const { program } = steps;
  const old = steps.slot("old root");
  program.step("open old root", "openat", [AT.FDCWD, program.cstring("/"), PLACE | O.DIRECTORY, 0], {
    save: old,
  });
  const root = attachRoot(steps, rootfs);
  program.step("borrow root", "chroot", [program.cstring(".")]);
  return { root, old };
}

/** Makes a borrowed root the namespace's. */
export function keepRoot(steps: Steps, { root, old }: NewRoot): void {
  if (!old) return;
  const { program } = steps;
  program.step("return to old root", "fchdir", [old]);
  program.step("give root back", "chroot", [program.cstring(".")]);
  steps.close(old);
  program.step("enter rootfs", "fchdir", [root]);
  pivot(steps);
}

/** Puts a bind of the rootfs where it is, and goes there. @returns a cell with a descriptor of its mount */
function attachRoot(steps: Steps, rootfs: string): Slot {
  const { program } = steps;
  const [place, root] = [steps.slot("rootfs"), steps.slot("root")];
  const open = [AT.FDCWD, program.cstring(rootfs), PLACE | O.DIRECTORY, 0];
  program.step(`open rootfs ${rootfs}`, "openat", open, { save: place });
  steps.cloneTree("bind rootfs", place, true, root);
  steps.attach("attach rootfs", root, place);
  steps.close(place);
  program.step("enter rootfs", "fchdir", [root]);
  return root;
}

function pivot(steps: Steps): void {
  const { program } = steps;
  program.step("change root", "pivot_root", [program.cstring("."), program.cstring(".")]);
  // The old root now lies on top of the new one.
  program.step("detach old root", "umount2", [program.cstring("."), MNT_DETACH]);
  program.step("enter new root", "chdir", [program.cstring("/")]);
}

/** At the end: the root's propagation, and whether it can be written to. */
export function sealRoot(
  steps: Steps,
  root: Slot,
  propagation: Propagation | undefined,
  readonly: boolean,
): void {
  if (propagation) {
    const { type, recursive } = propagation;
    steps.setAttributes("set propagation of the root", root, { propagation: type, recursive });
  }
  if (readonly) steps.setAttributes("make the root read-only", root, { set: MOUNT_ATTRIBUTES.RDONLY });
  steps.close(root);
}

/**
 * Which devices of the host the processes in a sandbox's cgroup may use: those that a machine and its helpers need, and
 * the disks that it was given.
 *
 * @module
 */

import { ACCESS, ANY_ACCESS, type DeviceAccessRule } from "../../oci/devices/rules.ts";
import { AT, S } from "../../sys/fd.ts";
import { majorOf, minorOf, statAt } from "../../sys/file.ts";

const MEMORY = 1, TTY = 5, TERMINALS = 136, MISC = 10, TUN = 200;

/** What every program may have: null, zero, full, random, urandom; the terminal it was started from, new ones; tun. */
const COMMON: readonly DeviceAccessRule[] = [
  // nodes may be made: that gives no access to what they stand for
  { allow: true, type: "c", major: undefined, minor: undefined, access: ACCESS.m },
  { allow: true, type: "b", major: undefined, minor: undefined, access: ACCESS.m },
  ...[3, 5, 7, 8, 9].map((minor) => character(MEMORY, minor)),
  ...[0, 2].map((minor) => character(TTY, minor)),
  character(TERMINALS, undefined),
  character(MISC, TUN),
];

/** Nodes by which machines are run, as far as a host has them. */
const NODES = [
  "/dev/kvm",
  "/dev/mshv",
  "/dev/vhost-net",
  "/dev/vhost-vsock",
  "/dev/vfio/vfio",
  "/dev/iommu",
  "/dev/userfaultfd",
  "/dev/sev",
  "/dev/sgx_vepc",
  "/dev/sgx_provision",
  "/dev/hwrng",
];

/** Kinds of devices that come and go, by their names in /proc/devices: they belong to who has opened them. */
const KINDS = ["macvtap", "ipvtap", "vfio", "vfio-dev"];

function character(major: number, minor: number | undefined): DeviceAccessRule {
  return { allow: true, type: "c", major, minor, access: ANY_ACCESS };
}

/** The rules of a sandbox that was given no devices yet, on this host. */
export function sandboxDeviceRules(): DeviceAccessRule[] {
  const nodes = NODES.map(deviceRule).filter((rule) => rule !== undefined);
  return [...COMMON, ...nodes, ...kinds().map((major) => character(major, undefined))];
}

/** The rule by which a device may be used; `undefined`: there is no such node, or it is no device. */
export function deviceRule(path: string): DeviceAccessRule | undefined {
  try {
    const { type, rdev } = statAt(AT.FDCWD, path);
    if (type !== S.IFBLK && type !== S.IFCHR) return undefined;
    const numbers = { major: majorOf(rdev), minor: minorOf(rdev) };
    return { allow: true, type: type === S.IFBLK ? "b" : "c", ...numbers, access: ANY_ACCESS };
  } catch {
    return undefined;
  }
}

function kinds(): number[] {
  const [characters = ""] = Deno.readTextFileSync("/proc/devices").split("\nBlock devices:");
  return [...characters.matchAll(/^ *(\d+) (\S+)$/gm)].flatMap(([, major, name = ""]) =>
    KINDS.includes(name) ? [Number(major)] : []
  );
}

/**
 * Rules about devices that mean in the guest what they mean on the host.
 *
 * @module
 */

import type { Device, DeviceRule } from "../../oci/spec.ts";

const MISC = 10;
/** Character devices with the same numbers on every Linux: memory, terminals, consoles. */
const SAME_MAJORS = new Set([1, 4, 5, 7, ...Array.from({ length: 8 }, (_, index) => 136 + index)]);
/** Miscellaneous devices with fixed numbers (fuse, tun, kvm, …); those below and above are given out as they come. */
const FIRST_FIXED_MISC = 128, LAST_FIXED_MISC = 254;

/** A disk of the host that is in the machine, by its numbers on the host. */
export type AttachedDisk = Pick<Device, "major" | "minor">;

/**
 * Leaves out rules about devices of the host that have another number in the guest, or none: by its number a disk of
 * the host could be one of the guest's that no container is to see.
 *
 * What all the rules together say about a disk that is in the machine follows as rules about that disk alone, which
 * the agent gives the guest's numbers to. Without any rule the agent decides.
 */
export function guestDeviceRules(
  rules: readonly DeviceRule[],
  attached: readonly AttachedDisk[] = [],
): DeviceRule[] {
  const kept = rules.filter(({ type, major, minor }) => {
    if (major === undefined || major < 0) return true;
    if (type !== "c" && type !== "u") return false;
    if (major !== MISC) return SAME_MAJORS.has(major);
    return minor === undefined || minor < 0 || (minor >= FIRST_FIXED_MISC && minor <= LAST_FIXED_MISC);
  });
  return rules.length === 0 ? kept : [...kept, ...attached.flatMap((disk) => rulesAbout(disk, rules))];
}

/** What can be done with a device: read, write, make a node. */
const ACCESSES = ["r", "w", "m"];

/** The last rule about a disk and an access decides over it; what none is about is denied. */
function rulesAbout({ major, minor }: AttachedDisk, rules: readonly DeviceRule[]): DeviceRule[] {
  const isAllowed = (access: string) =>
    rules.findLast((rule) =>
      ["b", "a", "", undefined].includes(rule.type) &&
      isAny(rule.major, major) && isAny(rule.minor, minor) && (rule.access || "rwm").includes(access)
    )?.allow ?? false;
  const of = (allow: boolean) => ACCESSES.filter((access) => isAllowed(access) === allow).join("");
  return [false, true].map((allow) => ({ allow, type: "b", major, minor, access: of(allow) }))
    .filter(({ access }) => access !== "");
}

function isAny(wanted: number | undefined, number: number | undefined): boolean {
  return wanted === undefined || wanted < 0 || wanted === number;
}

/**
 * Rules about devices that mean in the guest what they mean on the host.
 *
 * @module
 */

import type { DeviceRule } from "../oci/spec.ts";

const MISC = 10;
/** Character devices with the same numbers on every Linux: memory, terminals, consoles. */
const SAME_MAJORS = new Set([1, 4, 5, 7, ...Array.from({ length: 8 }, (_, index) => 136 + index)]);
/** Miscellaneous devices with fixed numbers (fuse, tun, kvm, …); those below and above are given out as they come. */
const FIRST_FIXED_MISC = 128, LAST_FIXED_MISC = 254;

/**
 * Leaves out rules about devices of the host that have another number in the guest, or none: by its number a disk of
 * the host could be one of the guest's that no container is to see.
 */
export function guestDeviceRules(rules: readonly DeviceRule[]): DeviceRule[] {
  return rules.filter(({ type, major, minor }) => {
    if (major === undefined || major < 0) return true;
    if (type !== "c" && type !== "u") return false;
    if (major !== MISC) return SAME_MAJORS.has(major);
    return minor === undefined || minor < 0 || (minor >= FIRST_FIXED_MISC && minor <= LAST_FIXED_MISC);
  });
}

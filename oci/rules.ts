/**
 * What the fields of an OCI specification must mean together: rules that a reader of one field alone cannot
 * see. They hold for every runtime; what this one does not support is said where it is not supported.
 */

import { SpecError } from "./check.ts";
import {
  ioPriorityNumber,
  memoryPolicyNumbers,
  numberList,
  personalityNumber,
  schedulerNumbers,
} from "./scheduling.ts";
import { capabilityNumber } from "./capabilities.ts";
import type { Capabilities, Device, IdMapping, Linux, Mount, NamespaceType, Process, Spec } from "./spec.ts";

/** Resource limits by name, with the kernel's numbers (asm-generic/resource.h). */
export const RLIMITS: Readonly<Record<string, number>> = {
  RLIMIT_CPU: 0,
  RLIMIT_FSIZE: 1,
  RLIMIT_DATA: 2,
  RLIMIT_STACK: 3,
  RLIMIT_CORE: 4,
  RLIMIT_RSS: 5,
  RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: 7,
  RLIMIT_MEMLOCK: 8,
  RLIMIT_AS: 9,
  RLIMIT_LOCKS: 10,
  RLIMIT_SIGPENDING: 11,
  RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13,
  RLIMIT_RTPRIO: 14,
  RLIMIT_RTTIME: 15,
};

/**
 * Checks a specification whose shape is right.
 * @throws {SpecError} naming the JSON path of the field that breaks a rule
 */
export function checkRules(spec: Spec): void {
  checkProcessRules(spec.process, "process");
  for (const [index, mount] of (spec.mounts ?? []).entries()) {
    if (mount.destination.split("/").every((part) => part === "" || part === ".")) {
      throw new SpecError(
        `mounts[${index}].destination`,
        `must not be the root itself: it is "${mount.destination}"`,
      );
    }
  }
  checkLinuxRules(spec.linux ?? {}, spec);
  checkUserRules(spec);
  checkTimeRules(spec.linux ?? {});
  const { personality, memoryPolicy } = spec.linux ?? {};
  if (personality) personalityNumber(personality, "linux.personality");
  if (memoryPolicy) memoryPolicyNumbers(memoryPolicy, "linux.memoryPolicy");
}

/** Checks the rules for a process alone, as it stands at the JSON path `path`. */
export function checkProcessRules(process: Process, path: string): void {
  const seen = new Set<string>();
  for (const [index, limit] of (process.rlimits ?? []).entries()) {
    const at = `${path}.rlimits[${index}]`;
    if (!Object.hasOwn(RLIMITS, limit.type)) {
      throw new SpecError(`${at}.type`, `is not a known resource limit: it is "${limit.type}"`);
    }
    if (seen.has(limit.type)) throw new SpecError(`${at}.type`, `is given twice: it is "${limit.type}"`);
    if (limit.soft > limit.hard) {
      throw new SpecError(
        `${at}.soft`,
        `must not be above the hard limit ${limit.hard}: it is ${limit.soft}`,
      );
    }
    seen.add(limit.type);
  }
  for (const [index, entry] of (process.env ?? []).entries()) {
    if (entry.indexOf("=") < 1) {
      throw new SpecError(
        `${path}.env[${index}]`,
        `must have the form NAME=VALUE: it is ${JSON.stringify(entry)}`,
      );
    }
  }
  if (process.capabilities) checkCapabilityNames(process.capabilities, `${path}.capabilities`);
  const { scheduler, ioPriority, execCPUAffinity = {} } = process;
  if (scheduler) schedulerNumbers(scheduler, `${path}.scheduler`);
  if (ioPriority) ioPriorityNumber(ioPriority, `${path}.ioPriority`);
  for (const [which, list] of Object.entries(execCPUAffinity)) {
    if (list) numberList(String(list), `${path}.execCPUAffinity.${which}`);
  }
}

function checkCapabilityNames(sets: Capabilities, path: string): void {
  for (const [set, names] of Object.entries(sets) as [string, string[] | undefined][]) {
    for (const [index, name] of (Array.isArray(names) ? names : []).entries()) {
      if (!/^(CAP_)?[A-Z0-9_]+$/i.test(name)) {
        throw new SpecError(`${path}.${set}[${index}]`, `must be a capability name: it is "${name}"`);
      }
    }
  }
}

/**
 * Names among the sets that this version does not know; the specification lets a runtime skip them with a
 * warning.
 */
export function unknownCapabilities(sets: Capabilities): string[] {
  return namesIn(sets).filter((name) => capabilityNumber(name) === undefined);
}

/**
 * Names that a process cannot have where they are listed, as the kernel does not let it: it has nothing in effect that
 * is not permitted, and hands nothing on without privilege that is not both permitted and inheritable.
 */
export function contradictoryCapabilities(sets: Capabilities): string[] {
  const { effective, permitted, inheritable, ambient } = sets;
  const has = (names: string[] = [], name: string) =>
    names.some((other) => capabilityNumber(other) === capabilityNumber(name));
  return namesIn({
    effective: effective?.filter((name) => !has(permitted, name)) ?? [],
    ambient: ambient?.filter((name) => !has(permitted, name) || !has(inheritable, name)) ?? [],
  }).filter((name) => capabilityNumber(name) !== undefined);
}

function namesIn(sets: Capabilities): string[] {
  const names = [sets.bounding, sets.effective, sets.permitted, sets.inheritable, sets.ambient].flat();
  return [...new Set(names.filter((name) => name !== undefined))];
}

function checkLinuxRules(linux: Linux, spec: Spec): void {
  const own = new Set<NamespaceType>();
  for (const [index, { type, path }] of (linux.namespaces ?? []).entries()) {
    const at = `linux.namespaces[${index}]`;
    if (own.has(type)) throw new SpecError(`${at}.type`, `is given twice: it is "${type}"`);
    own.add(type);
    if (path && !path.startsWith("/")) throw new SpecError(`${at}.path`, `must be absolute: it is "${path}"`);
  }
  const needs = (given: unknown, path: string, type: NamespaceType) => {
    if (isGiven(given) && !own.has(type)) {
      throw new SpecError(path, `needs a namespace of type "${type}" in linux.namespaces`);
    }
  };
  checkDevices(linux.devices ?? []);
  needs(linux.uidMappings, "linux.uidMappings", "user");
  needs(linux.gidMappings, "linux.gidMappings", "user");
  needs(linux.timeOffsets, "linux.timeOffsets", "time");
  needs(linux.maskedPaths, "linux.maskedPaths", "mount");
  needs(linux.readonlyPaths, "linux.readonlyPaths", "mount");
  needs(linux.netDevices, "linux.netDevices", "network");
  needs(spec.hostname, "hostname", "uts");
  needs(spec.domainname, "domainname", "uts");
  checkName(spec.hostname, "hostname");
  checkName(spec.domainname, "domainname");
}

function checkDevices(devices: readonly Device[]): void {
  for (const [index, device] of devices.entries()) {
    for (const field of ["major", "minor"] as const) {
      if (device.type === "p" || device[field] !== undefined) continue;
      const at = `linux.devices[${index}].${field}`;
      throw new SpecError(at, `must be given for a device of the type "${device.type}": it is missing`);
    }
  }
}

/** The kernel's limit for the names of a uts namespace. */
const MAX_NAME_BYTES = 64;

function checkName(name: string | undefined, path: string): void {
  const { length } = new TextEncoder().encode(name);
  if (length <= MAX_NAME_BYTES) return;
  throw new SpecError(path, `must have at most ${MAX_NAME_BYTES} bytes, not ${length}: it is "${name}"`);
}

function isGiven(value: unknown): boolean {
  if (value === undefined || value === "") return false;
  return typeof value !== "object" || value === null || Object.keys(value).length > 0;
}

/** Ids are mapped for the container as a whole, and for mounts that ask for it. */
function checkUserRules({ linux = {}, mounts = [] }: Spec): void {
  const user = linux.namespaces?.find(({ type }) => type === "user");
  for (const field of ["uidMappings", "gidMappings"] as const) {
    if (user && !user.path && !linux[field]?.length) {
      throw new SpecError(`linux.${field}`, "must be given for a new user namespace: it is missing");
    }
    checkMappings(linux[field] ?? [], `linux.${field}`);
  }
  for (const [index, mount] of mounts.entries()) {
    checkMountMappings(mount, `mounts[${index}]`, user !== undefined);
  }
}

function checkMountMappings(mount: Mount, path: string, hasUser: boolean): void {
  const { uidMappings = [], gidMappings = [], options = [] } = mount;
  const option = options.findLast((option) => option === "idmap" || option === "ridmap");
  const mapped = uidMappings.length > 0 || gidMappings.length > 0;
  if (!mapped && option === undefined) return;
  const field = mapped ? (uidMappings.length > 0 ? "uidMappings" : "gidMappings") : "options";
  if (!options.includes("bind") && !options.includes("rbind")) {
    throw new SpecError(`${path}.${field}`, `can only map ids of a bind: "${mount.destination}" is none`);
  }
  if (!mapped && !hasUser) {
    throw new SpecError(
      `${path}.options`,
      `cannot have "${option}" without uidMappings and gidMappings, as the container has no user namespace`,
    );
  }
  if (mapped && (uidMappings.length === 0 || gidMappings.length === 0)) {
    const missing = uidMappings.length === 0 ? "uidMappings" : "gidMappings";
    throw new SpecError(`${path}.${missing}`, `must be given together with ${field}: it is missing`);
  }
  checkMappings(uidMappings, `${path}.uidMappings`);
  checkMappings(gidMappings, `${path}.gidMappings`);
}

/** What the kernel would only refuse with a number. */
function checkMappings(mappings: readonly IdMapping[], path: string): void {
  const MAX_ID = 0xffff_ffff;
  for (const [index, { containerID, hostID, size }] of mappings.entries()) {
    const at = `${path}[${index}]`;
    if (size === 0) throw new SpecError(`${at}.size`, "must not be 0");
    for (const [name, first] of [["containerID", containerID], ["hostID", hostID]] as const) {
      if (first + size > MAX_ID) {
        throw new SpecError(
          `${at}.size`,
          `leads beyond the last id ${MAX_ID - 1}: ${name} is ${first}, size ${size}`,
        );
      }
      const key = name as "containerID" | "hostID";
      const other = mappings.findIndex((entry, i) =>
        i < index && entry[key] < first + size && first < entry[key] + entry.size
      );
      if (other >= 0) {
        throw new SpecError(
          `${at}.${name}`,
          `overlaps with that of ${path}[${other}]: it is ${first}, size ${size}`,
        );
      }
    }
  }
}

const CLOCKS = ["monotonic", "boottime"];

function checkTimeRules({ namespaces = [], timeOffsets = {} }: Linux): void {
  const names = Object.keys(timeOffsets);
  const unknown = names.find((name) => !CLOCKS.includes(name));
  if (unknown !== undefined) {
    throw new SpecError(
      `linux.timeOffsets[${JSON.stringify(unknown)}]`,
      `is not a clock with an offset: these are ${CLOCKS.map((clock) => `"${clock}"`).join(" and ")}`,
    );
  }
  const joined = namespaces.find(({ type, path }) => type === "time" && path);
  if (joined && names.length > 0) {
    throw new SpecError(
      "linux.timeOffsets",
      `cannot be set for a time namespace that is joined: "${joined.path}"`,
    );
  }
}

/**
 * The plan of a specification, as data, without running it. Files that do not exist on this machine are assumed to be
 * as in a guest.
 */

import { CAPABILITIES } from "../../oci/capabilities.ts";
import { SpecError } from "../../oci/check.ts";
import { copiesUp } from "../../oci/mount_options.ts";
import type { DeviceRule, Hook, IdMapping, Mount, Process, Seccomp, Spec } from "../../oci/spec.ts";
import { isErrno } from "../../sys/errors.ts";
import { CGROUP_ROOT, cgroupPathOf } from "./cgroup/cgroup.ts";
import { type CgroupWrite, resourceWrites } from "./cgroup/resources.ts";
import { deviceProgram } from "../../oci/devices/program.ts";
import { allowEverything, type DeviceAccessRule, deviceRules } from "../../oci/devices/rules.ts";
import { mountFacts, withRoot } from "./facts.ts";
import { homeInside } from "./lookup.ts";
import { listNamespaces } from "./namespaces.ts";
import { planContainer, type ProcessPlan } from "./plan/container.ts";
import { planExec } from "./plan/exec.ts";
import { userOf } from "./plan/ids.ts";
import type { MountFacts, NamespaceChoices, ProcessFacts } from "./plan/input.ts";
import type { SeccompFilter } from "./plan/seccomp.ts";
import { seccompFilter } from "./seccomp/filter.ts";
import { refuseUnsupported } from "./supported.ts";

/** What is to be explained. */
export interface ExplainOptions {
  readonly id: string;
  /** absolute */
  readonly bundle: string;
  readonly spec: Spec;
  /** A process to be executed in the container: it is explained instead. */
  readonly process?: Process;
  /** Given when the container is in a pod, which shares names and memory: whether it shares process ids, too. */
  readonly pod?: { readonly sharesPids: boolean };
  /** A folder of this machine that is looked at in place of the rootfs. */
  readonly lookAt?: string;
  /** Whether this machine's files are looked at (the rootfs, sources of binds); default: yes. */
  readonly look?: boolean;
}

/** A descriptor that the program refers to by number, and what it is. */
export interface NamedDescriptor {
  readonly fd: number;
  readonly what: string;
}

/** A hook, and when and where it runs. */
export interface ExplainedHook extends Hook {
  readonly kind: string;
  readonly where: string;
}

/** All that would be done. */
export interface Explanation {
  readonly id: string;
  readonly cgroup: { readonly folder: string; readonly writes: readonly CgroupWrite[] };
  /** none for a process that is executed: it is under the container's */
  readonly devices: ExplainedDevices | undefined;
  readonly hooks: readonly ExplainedHook[];
  readonly descriptors: readonly NamedDescriptor[];
  /** what ids of the container's user namespace are outside of it */
  readonly idMaps: { readonly uids: readonly IdMapping[]; readonly gids: readonly IdMapping[] };
  readonly seccomp: ExplainedSeccomp | undefined;
  readonly plan: ProcessPlan;
}

/** Who may use which device. */
export interface ExplainedDevices {
  /** a later one before an earlier one */
  readonly rules: readonly DeviceAccessRule[];
  /** none where everything is allowed */
  readonly program: Uint8Array | undefined;
}

/** A filter of system calls, and what it was made of. */
export interface ExplainedSeccomp {
  readonly profile: Seccomp;
  readonly filter: SeccompFilter;
}

/** Placeholders for descriptors: nothing is opened. */
const FIRST_DESCRIPTOR = 100;

/**
 * Explains a container, or a process to be executed in it.
 *
 * @throws {SpecError} for a field that is invalid or not supported, as creating the container would
 */
export async function explain(options: ExplainOptions): Promise<Explanation> {
  const { id, spec, process } = options;
  refuseUnsupported(spec);
  const descriptors: NamedDescriptor[] = [];
  const named = (what: string): number => {
    const fd = FIRST_DESCRIPTOR + descriptors.length;
    descriptors.push({ fd, what });
    return fd;
  };
  const profile = spec.linux?.seccomp;
  const filter = await seccompFilter(profile);
  const seccomp = profile && filter && { profile, filter };
  const folder = `${CGROUP_ROOT}/${cgroupPathOf(spec.linux?.cgroupsPath, id)}`;
  const { uidMappings: uids = [], gidMappings: gids = [] } = spec.linux ?? {};
  const known = { id, idMaps: { uids, gids }, descriptors, seccomp };
  if (process) {
    const initPidfd = named("the container's first process");
    const plan = planExec({
      process,
      initPidfd,
      cgroupFd: named("the container's cgroup"),
      shared: spec.linux ?? {},
      namespaces: assumedNamespaces(options, named),
      facts: assumedFacts(options, process),
      ...(filter && { filter }),
    });
    return { ...known, cgroup: { folder, writes: [] }, devices: undefined, hooks: [], plan };
  }
  return {
    ...known,
    cgroup: { folder, writes: resourceWrites(spec.linux?.resources ?? {}) },
    devices: explainedDevices(spec.linux?.resources?.devices ?? []),
    hooks: explainedHooks(spec),
    plan: containerPlan(options, filter, named),
  };
}

function containerPlan(
  options: ExplainOptions,
  filter: SeccompFilter | undefined,
  named: (what: string) => number,
): ProcessPlan {
  const { spec, bundle } = options;
  const namespaces = assumedNamespaces(options, named);
  return planContainer({
    spec,
    rootfs: rootfsOf(options),
    bundle,
    namespaces,
    mounts: assumedMounts(options, namespaces, named),
    facts: assumedFacts(options, spec.process),
    ...(filter && { filter }),
  });
}

function explainedDevices(given: readonly DeviceRule[]): ExplainedDevices {
  const rules = deviceRules(given, "linux.resources.devices");
  return { rules, program: allowEverything(rules) ? undefined : deviceProgram(rules) };
}

function assumedNamespaces(
  { spec, pod }: ExplainOptions,
  named: (what: string) => number,
): NamespaceChoices {
  const open = (path: string, type: string) => ({
    fd: named(`${type} namespace ${path}`),
    [Symbol.dispose]() {},
  });
  const given = pod && {
    ipc: named("the pod's ipc namespace"),
    uts: named("the pod's uts namespace"),
    ...(pod.sharesPids && { pid: named("the pod's pid namespace") }),
  };
  const { choices } = listNamespaces(spec, given ?? {}, open);
  if (choices.user === "inherit") return { ...choices, user: choices.user };
  const fd = choices.user === "new" ? named("user namespace with the mappings of linux") : choices.user.fd;
  const { uidMappings: uids = [], gidMappings: gids = [] } = spec.linux ?? {};
  return { ...choices, user: { fd, uids, gids } };
}

function rootfsOf({ spec, bundle }: ExplainOptions): string {
  return spec.root.path.startsWith("/") ? spec.root.path : `${bundle}/${spec.root.path}`;
}

/** The agent is root in its guest, without limits of its own. */
function assumedFacts(options: ExplainOptions, process: Process): ProcessFacts {
  const terminal = process.terminal ?? false;
  const streams = { terminal, ownable: [0, 1, 2], ...(terminal && { slavePath: "/dev/pts/0" }) };
  const all = (1n << BigInt(CAPABILITIES.length)) - 1n;
  return {
    capabilities: all,
    knownCapabilities: all,
    oomScoreAdj: 0,
    home: lookInside(options, (root) => homeInside(root, process.user.uid)),
    streams,
  };
}

function assumedMounts(
  options: ExplainOptions,
  namespaces: NamespaceChoices,
  named: (what: string) => number,
): MountFacts[] {
  const { spec, bundle } = options;
  return (spec.mounts ?? []).map((mount, index) => {
    const idmap = assumedIdmap(mount, index, namespaces, named);
    const fresh = copiesUp(mount.options) ? { fresh: { fd: named(`tmpfs for ${mount.destination}`) } } : {};
    const idmaps = new Map(idmap ? [[0, idmap]] : []);
    const look = (root: number) => mountFacts(root, { ...spec, mounts: [mount] }, bundle, idmaps)[0];
    try {
      const found = lookInside(options, look);
      if (found) return { ...found, ...fresh };
    } catch (error) {
      // What is wrong with the mount itself is said, with its index, when it is planned.
      if (!(error instanceof SpecError)) throw error;
    }
    const folder = !looksLikeFile(mount.destination);
    return { path: mount.destination, mode: 0o755, folder, ...(idmap && { idmap }), ...fresh };
  });
}

function assumedIdmap(
  { uidMappings = [], options = [] }: Mount,
  index: number,
  namespaces: NamespaceChoices,
  named: (what: string) => number,
): { readonly fd: number } | undefined {
  if (uidMappings.length > 0) return { fd: named(`user namespace with the mappings of mounts[${index}]`) };
  return options.some((option) => option === "idmap" || option === "ridmap") ? userOf(namespaces) : undefined;
}

/** undefined: there is no rootfs to look at. */
function lookInside<T>(options: ExplainOptions, look: (root: number) => T): T | undefined {
  if (options.look === false) return undefined;
  try {
    return withRoot(options.lookAt ?? rootfsOf(options), look);
  } catch (error) {
    if (isErrno(error)) return undefined;
    throw error;
  }
}

/** A guess about the source of a bind that is not here. */
function looksLikeFile(destination: string): boolean {
  return /(\.[a-z]+|^\/etc\/(hosts|hostname|localtime|passwd|group)|\/(termination-log|docker-init))$/.test(
    destination,
  );
}

const WHERE: Readonly<Record<string, string>> = {
  prestart: "the agent's namespaces, when the mounts are made",
  createRuntime: "the agent's namespaces, when the mounts are made",
  createContainer: "the container's namespaces, before its root is the root",
  startContainer: "the container, before its program",
  poststart: "the agent's namespaces, when the program runs",
  poststop: "the agent's namespaces, when the container is gone",
};

function explainedHooks(spec: Spec): ExplainedHook[] {
  return Object.entries(WHERE).flatMap(([kind, where]) =>
    (spec.hooks?.[kind as keyof typeof spec.hooks] ?? []).map((hook) => ({ ...hook, kind, where }))
  );
}

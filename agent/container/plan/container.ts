/** The plan of a container: everything between the clone and the program, as one list of system calls. */

import { hasHooks, type HookKind } from "../../../oci/hooks.ts";
import { propagationOf } from "../../../oci/mount_options.ts";
import { SpecError } from "../../../oci/check.ts";
import type { Program } from "../../../sys/program.ts";
import { attachConsole, fillDev, takeConsole, takeDevices } from "./dev.ts";
import { userOf } from "./ids.ts";
import type { ContainerInput } from "./input.ts";
import { setLabels, withLabel } from "./labels.ts";
import {
  attachMounts,
  type CopyUp,
  makeShown,
  type PlannedMount,
  readMount,
  sealMounts,
  takeSources,
} from "./mounts.ts";
import { AWAIT_HOOKS, MOUNTED } from "./names.ts";
import {
  becomeRoot,
  beginProcess,
  cloneFlags,
  enterUserNamespace,
  joinNamespaces,
  makeNamespaces,
  namespaceFds,
  separateMounts,
  setNames,
} from "./namespaces.ts";
import { becomeProgram, prepareForUser, setOomScore } from "./process.ts";
import { hidePaths, protectPaths, takeCovers } from "./restrict.ts";
import { borrowRoot, changeRoot, keepRoot, openRootfs, sealRoot, takeRoot } from "./root.ts";
import { Steps } from "./steps.ts";
import { type RefusedSetting, retrySettings, setSettings, trySettings } from "./settings.ts";
import { type SysctlWrite, sysctlWrites } from "./sysctl.ts";

/** They run when everything is mounted and the old root is still there, while the process waits at `MOUNTED`. */
const HOOKS_BEFORE_ROOT: readonly HookKind[] = ["prestart", "createRuntime", "createContainer"];

/** What `launch` needs to run a plan. */
export interface ProcessPlan {
  readonly program: Program;
  /** CLONE_NEW* */
  readonly flags: number;
  /** Descriptors of the agent that the program names. */
  readonly inherit: readonly number[];
  /** In the order in which the process waits for them. */
  readonly copyUps?: readonly CopyUp[];
}

/**
 * Plans a container's first process. A pure function.
 * @throws {SpecError} for an invalid field
 */
export function planContainer(input: ContainerInput): ProcessPlan {
  const { spec, namespaces, facts } = input;
  const linux = spec.linux ?? {};
  const mounts = plannedMounts(input);
  const propagation = rootPropagation(linux.rootfsPropagation);
  const sysctls = sysctlWrites(linux.sysctl ?? {}, namespaces);
  const user = userOf(namespaces);
  const isOfUser = (kind: SysctlWrite["namespace"]) => kind === "user" || namespaces[kind] === "new";
  const steps = new Steps();

  beginProcess(steps);
  if (user) prepareForUser(steps, spec.process, facts, user);
  joinNamespaces(steps, namespaces);
  if (!user) makeNamespaces(steps, namespaces, linux.timeOffsets);
  if (!user || namespaces.uts !== "new") setNames(steps, spec.hostname, spec.domainname);
  setOomScore(steps, spec.process, facts);
  setLabels(steps, spec.process);
  setSettings(steps, sysctls.filter(({ namespace }) => !user || !isOfUser(namespace)));

  separateMounts(steps);
  const trees = takeSources(steps, mounts, input.bundle, namespaces);
  const { slavePath } = facts.streams;
  const console = slavePath === undefined ? undefined : takeConsole(steps, slavePath);
  const hidden = linux.maskedPaths ?? [];
  const covers = hidden.length === 0 ? undefined : takeCovers(steps);
  const awaitsHooks = hasHooks(spec.hooks, ...HOOKS_BEFORE_ROOT);
  const root = takeRoot(steps, input.rootfs);
  const devices = linux.devices ?? [];
  const nodes = user && takeDevices(steps, mounts, devices, user);

  let refused: RefusedSetting[] = [];
  if (user) {
    enterUserNamespace(steps, user, namespaces);
    makeNamespaces(steps, namespaces, linux.timeOffsets);
    if (namespaces.uts === "new") setNames(steps, spec.hostname, spec.domainname);
    refused = trySettings(steps, sysctls.filter(({ namespace }) => isOfUser(namespace)));
  }
  const place = awaitsHooks ? openRootfs(steps, input.rootfs) : undefined;
  if (user) {
    becomeRoot(steps);
    retrySettings(steps, refused);
    makeShown(steps, mounts, namespaces, trees);
  }
  const borrowed = place && borrowRoot(steps, root, place);
  if (!borrowed) changeRoot(steps, root);

  const copyUps = attachMounts(steps, mounts, trees);
  fillDev(steps, mounts, devices, nodes);
  if (console) attachConsole(steps, console);
  if (borrowed) {
    steps.program.checkpoint(MOUNTED);
    steps.program.awaitGo(AWAIT_HOOKS);
    keepRoot(steps, root, borrowed);
  }
  steps.close(steps.folder(spec.process.cwd, "cwd"));
  protectPaths(steps, linux.readonlyPaths ?? []);
  if (covers) hidePaths(steps, hidden, covers);
  sealMounts(steps, mounts);
  sealRoot(steps, root, propagation, spec.root.readonly ?? false);

  becomeProgram(steps, spec.process, facts, {
    wired: user !== undefined,
    filter: input.filter,
    shared: linux,
  });
  const inherit = [...namespaceFds(namespaces), ...mountFds(mounts)];
  return { program: steps.program, flags: cloneFlags(namespaces), inherit, copyUps };
}

function mountFds(mounts: readonly PlannedMount[]): number[] {
  const fds = mounts.flatMap(({ facts: { idmap, fresh } }) =>
    [idmap, fresh].flatMap((owner) => owner?.fd ?? [])
  );
  return [...new Set(fds)];
}

function plannedMounts(input: ContainerInput): PlannedMount[] {
  return (input.spec.mounts ?? []).map((mount, index) => {
    const facts = input.mounts[index];
    if (facts === undefined) throw new Error(`nothing is known of mounts[${index}]`);
    return withLabel({ ...readMount(mount, index), facts }, input.spec.linux?.mountLabel);
  });
}

function rootPropagation(value: string | undefined) {
  if (value === undefined || value === "") return undefined;
  const propagation = propagationOf(value);
  if (propagation) return propagation;
  throw new SpecError("linux.rootfsPropagation", `is not a propagation: it is "${value}"`);
}

/** The plan of a container: everything between the clone and the program, as one list of system calls. */

import { hasHooks, type HookKind } from "../../../oci/hooks.ts";
import { propagationOf } from "../../../oci/mount_options.ts";
import { SpecError } from "../../../oci/check.ts";
import type { Program } from "../../../sys/program.ts";
import { attachConsole, fillDev, takeConsole } from "./dev.ts";
import type { ContainerInput } from "./input.ts";
import { setLabels, withLabel } from "./labels.ts";
import { attachMounts, type PlannedMount, readMount, sealMounts, takeSources } from "./mounts.ts";
import { AWAIT_HOOKS, MOUNTED } from "./names.ts";
import { becomeProgram, setOomScore } from "./process.ts";
import { hidePaths, protectPaths, takeCovers } from "./restrict.ts";
import {
  beginProcess,
  borrowRoot,
  changeRoot,
  cloneFlags,
  enterNamespaces,
  keepRoot,
  namespaceFds,
  sealRoot,
  separateMounts,
  setNames,
} from "./root.ts";
import { Steps } from "./steps.ts";
import { sysctlWrites } from "./sysctl.ts";

/** They run when everything is mounted and the old root is still there, while the process waits at `MOUNTED`. */
export const HOOKS_BEFORE_ROOT: readonly HookKind[] = ["prestart", "createRuntime", "createContainer"];

/** What `launch` needs to run a plan. */
export interface ProcessPlan {
  readonly program: Program;
  /** CLONE_NEW* */
  readonly flags: number;
  /** Descriptors of the agent that the program names. */
  readonly inherit: readonly number[];
}

/**
 * Plans a container's first process. A pure function.
 * @throws {SpecError} for a field that makes no sense
 */
export function planContainer(input: ContainerInput): ProcessPlan {
  const { spec, namespaces, facts } = input;
  const linux = spec.linux ?? {};
  const mounts = plannedMounts(input);
  const propagation = rootPropagation(linux.rootfsPropagation);
  const steps = new Steps();

  beginProcess(steps);
  enterNamespaces(steps, namespaces);
  setNames(steps, spec.hostname, spec.domainname);
  setOomScore(steps, spec.process, facts);
  setLabels(steps, spec.process);
  for (const { name, path, value } of sysctlWrites(linux.sysctl ?? {}, namespaces)) {
    steps.writeProcFile(`set ${name}`, path, value);
  }

  separateMounts(steps);
  const trees = takeSources(steps, mounts, input.bundle);
  const { slavePath } = facts.streams;
  const console = slavePath === undefined ? undefined : takeConsole(steps, slavePath);
  const hidden = linux.maskedPaths ?? [];
  const covers = hidden.length === 0 ? undefined : takeCovers(steps);
  const awaitsHooks = hasHooks(spec.hooks, ...HOOKS_BEFORE_ROOT);
  const changed = awaitsHooks ? borrowRoot(steps, input.rootfs) : changeRoot(steps, input.rootfs);

  attachMounts(steps, mounts, trees);
  fillDev(steps, mounts, linux.devices ?? []);
  if (console) attachConsole(steps, console);
  if (awaitsHooks) {
    steps.program.checkpoint(MOUNTED);
    steps.program.awaitGo(AWAIT_HOOKS);
    keepRoot(steps, changed);
  }
  steps.close(steps.folder(spec.process.cwd, "cwd"));
  protectPaths(steps, linux.readonlyPaths ?? []);
  if (covers) hidePaths(steps, hidden, covers);
  sealMounts(steps, mounts);
  sealRoot(steps, changed.root, propagation, spec.root.readonly ?? false);

  becomeProgram(steps, spec.process, facts, input);
  return { program: steps.program, flags: cloneFlags(namespaces), inherit: namespaceFds(namespaces) };
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

/** The plan of a process in an existing container: into its namespaces, then as every process. */

import type { Hook } from "../../../oci/spec.ts";
import { entersCgroup, setProcessors } from "./attributes.ts";
import type { ProcessPlan } from "./container.ts";
import { userOf } from "./ids.ts";
import type { ExecInput, NamespaceChoices } from "./input.ts";
import { setLabels } from "./labels.ts";
import { becomeRoot, beginProcess, joinFlags } from "./namespaces.ts";
import { EXECUTE } from "./names.ts";
import { becomeProgram, prepareForUser, setOomScore } from "./process.ts";
import { Steps } from "./steps.ts";

/**
 * Plans a hook that runs in the container's namespaces before its root is the root: it finds the files of the agent.
 * A pure function.
 *
 * @param initPidfd descriptor of the container's first process
 * @param namespaces those of the container
 */
export function planHook(
  { path, args = [path], env = [] }: Hook,
  initPidfd: number,
  namespaces: NamespaceChoices,
): ProcessPlan {
  const steps = new Steps();
  const { program } = steps;
  beginProcess(steps);
  program.step("join the container's namespaces", "setns", [initPidfd, joinFlags(namespaces)]);
  if (userOf(namespaces)) becomeRoot(steps);
  program.step("set umask", "umask", [0o022]);
  program.wireFds();
  const execute = [program.cstring(path), program.cstrings(args), program.cstrings(env)];
  program.step(EXECUTE, "execve", execute);
  return { program, flags: 0, inherit: [initPidfd] };
}

/** Plans a further process of a container. A pure function. */
export function planExec(input: ExecInput): ProcessPlan {
  const { process, facts, namespaces } = input;
  const user = userOf(namespaces);
  const steps = new Steps();
  beginProcess(steps);
  setOomScore(steps, process, facts);
  setLabels(steps, process);
  setProcessors(steps, process, input.cgroupFd);
  if (user) prepareForUser(steps, process, facts, user);
  // All but the pid namespace, which only clone can set.
  steps.program.step("join the container's namespaces", "setns", [input.initPidfd, joinFlags(namespaces)]);
  if (user) becomeRoot(steps);
  const { file, filter, shared } = input;
  becomeProgram(steps, process, facts, { wired: user !== undefined, file, filter, shared });
  const inherit = [input.initPidfd, ...(entersCgroup(process) ? [input.cgroupFd] : [])];
  return { program: steps.program, flags: 0, inherit };
}

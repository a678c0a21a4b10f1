/** The plan of a process in an existing container: into its namespaces, then as every process. */

import type { Hook } from "../../../oci/spec.ts";
import type { ProcessPlan } from "./container.ts";
import type { ExecInput } from "./input.ts";
import { setLabels } from "./labels.ts";
import { EXECUTE } from "./names.ts";
import { becomeProgram, setOomScore } from "./process.ts";
import { beginProcess, CLONE } from "./root.ts";
import { Steps } from "./steps.ts";

/** All but the pid namespace, which a process is born in. */
const JOINED = CLONE.NEWNS | CLONE.NEWUTS | CLONE.NEWIPC | CLONE.NEWNET | CLONE.NEWCGROUP;

/**
 * Plans a hook that runs in the container's namespaces before its root is the root: it finds the files of the agent.
 * A pure function.
 *
 * @param initPidfd descriptor of the container's first process
 */
export function planHook({ path, args = [path], env = [] }: Hook, initPidfd: number): ProcessPlan {
  const steps = new Steps();
  const { program } = steps;
  beginProcess(steps);
  program.step("join the container's namespaces", "setns", [initPidfd, JOINED]);
  program.step("set umask", "umask", [0o022]);
  program.wireFds();
  const execute = [program.cstring(path), program.cstrings(args), program.cstrings(env)];
  program.step(EXECUTE, "execve", execute);
  return { program, flags: 0, inherit: [initPidfd] };
}

/** Plans a further process of a container. A pure function. */
export function planExec(input: ExecInput): ProcessPlan {
  const steps = new Steps();
  beginProcess(steps);
  setOomScore(steps, input.process, input.facts);
  setLabels(steps, input.process);
  steps.program.step("join the container's namespaces", "setns", [input.initPidfd, JOINED]);
  becomeProgram(steps, input.process, input.facts, input);
  return { program: steps.program, flags: 0, inherit: [input.initPidfd] };
}

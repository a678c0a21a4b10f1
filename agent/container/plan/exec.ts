/** The plan of a process in an existing container: into its namespaces, then as every process. */

import type { ProcessPlan } from "./container.ts";
import type { ExecInput } from "./input.ts";
import { becomeProgram, setOomScore } from "./process.ts";
import { beginProcess, CLONE } from "./root.ts";
import { Steps } from "./steps.ts";

/** All but the pid namespace, which a process is born in. */
const JOINED = CLONE.NEWNS | CLONE.NEWUTS | CLONE.NEWIPC | CLONE.NEWNET | CLONE.NEWCGROUP;

/** Plans a further process of a container. A pure function. */
export function planExec(input: ExecInput): ProcessPlan {
  const steps = new Steps();
  beginProcess(steps);
  setOomScore(steps, input.process, input.facts);
  steps.program.step("join the container's namespaces", "setns", [input.initPidfd, JOINED]);
  becomeProgram(steps, input.process, input.facts);
  return { program: steps.program, flags: 0, inherit: [input.initPidfd] };
}

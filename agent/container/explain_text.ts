/** An explanation as lines for people, and as JSON for machines. */

import { cloneFlagsText, stepFields } from "../../sys/program_text.ts";
import type { CgroupWrite } from "./cgroup/resources.ts";
import type { ExplainedHook, Explanation } from "./explain.ts";

/** One readable line per step: what it does, and the call with its arguments. */
export function explanationLines(explanation: Explanation): string[] {
  const { cgroup, hooks, descriptors, plan } = explanation;
  return [
    `# cgroup ${cgroup.folder}`,
    ...cgroup.writes.map(writeLine),
    ...(hooks.length === 0 ? [] : ["# hooks", ...hooks.map(hookLine)]),
    ...(descriptors.length === 0 ? [] : ["# descriptors of the agent"]),
    ...descriptors.map(({ fd, what }) => `${fd}: ${what}`),
    "# process",
    `create process in the cgroup: clone3(${cloneFlagsText(plan.flags)})`,
    ...plan.program.describe(),
  ];
}

/** The same as a JSON document; 64-bit numbers that JavaScript could not hold exactly are texts. */
export function explanationJson(explanation: Explanation): string {
  const { id, cgroup, hooks, descriptors, plan } = explanation;
  const document = {
    id,
    cgroup,
    hooks,
    descriptors,
    clone: cloneFlagsText(plan.flags).split("|"),
    steps: plan.program.steps.map(stepFields),
  };
  return JSON.stringify(document, (_, value) => typeof value === "bigint" ? String(value) : value, 2);
}

function writeLine({ path, file, value, instead, optional }: CgroupWrite): string {
  const other = instead ? `, or ${JSON.stringify(instead.value)} to ${instead.file}` : "";
  return `${path}: write ${JSON.stringify(value)} to ${file}${other}${optional ? ", if it is there" : ""}`;
}

function hookLine({ kind, path, args, env, timeout, where }: ExplainedHook): string {
  const words = (args ?? [path]).map((word) => JSON.stringify(word)).join(", ");
  const limit = timeout === undefined ? "" : `, at most ${timeout} s`;
  return `${kind} hook in ${where}: execve(${JSON.stringify(path)}, [${words}], ${
    JSON.stringify(env ?? [])
  })${limit}`;
}

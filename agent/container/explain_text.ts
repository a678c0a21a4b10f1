/** An explanation as lines for people, and as JSON for machines. */

import type { IdMapping } from "../../oci/spec.ts";
import { cloneFlagsText, stepFields } from "../../sys/program_text.ts";
import type { CgroupWrite } from "./cgroup/resources.ts";
import { disassembleDeviceProgram, ruleText } from "../../oci/devices/disassemble.ts";
import type { ExplainedDevices, ExplainedHook, ExplainedSeccomp, Explanation } from "./explain.ts";
import { disassemble } from "./seccomp/disassemble.ts";

/**
 * One readable line per step: what it does, and the call with its arguments.
 *
 * @param verbose filters are listed, too, an instruction a line
 */
export function explanationLines(explanation: Explanation, verbose = false): string[] {
  const { cgroup, devices, hooks, descriptors, idMaps, seccomp, plan } = explanation;
  return [
    `# cgroup ${cgroup.folder}`,
    ...cgroup.writes.map(writeLine),
    ...(devices ? deviceLines(devices, verbose) : []),
    ...(hooks.length === 0 ? [] : ["# hooks", ...hooks.map(hookLine)]),
    ...(descriptors.length === 0 ? [] : ["# descriptors of the agent"]),
    ...descriptors.map(({ fd, what }) => `${fd}: ${what}`),
    ...idMapLines("user", idMaps.uids),
    ...idMapLines("group", idMaps.gids),
    ...(seccomp ? [`# filter of system calls: ${seccompText(seccomp)}`] : []),
    ...(seccomp && verbose ? disassemble(seccomp.filter.instructions) : []),
    "# process",
    `create process in the cgroup: clone3(${cloneFlagsText(plan.flags)})`,
    ...plan.program.describe(),
  ];
}

/** The same as a JSON document; 64-bit numbers that JavaScript could not hold exactly are texts. */
export function explanationJson(explanation: Explanation): string {
  const { id, cgroup, devices, hooks, descriptors, idMaps, seccomp, plan } = explanation;
  const document = {
    id,
    cgroup,
    ...(devices && {
      devices: {
        rules: devices.rules.map(ruleText),
        program: devices.program ? disassembleDeviceProgram(devices.program) : [],
      },
    }),
    hooks,
    descriptors,
    idMaps,
    ...(seccomp && {
      seccomp: {
        ...seccompCounts(seccomp),
        flags: seccomp.filter.flags,
        filter: disassemble(seccomp.filter.instructions),
      },
    }),
    clone: cloneFlagsText(plan.flags).split("|"),
    steps: plan.program.steps.map(stepFields),
  };
  return JSON.stringify(document, (_, value) => typeof value === "bigint" ? String(value) : value, 2);
}

function writeLine({ path, file, value, instead, optional }: CgroupWrite): string {
  const other = instead ? `, or ${JSON.stringify(instead.value)} to ${instead.file}` : "";
  return `${path}: write ${JSON.stringify(value)} to ${file}${other}${optional ? ", if it is there" : ""}`;
}

function idMapLines(kind: string, mappings: readonly IdMapping[]): string[] {
  return mappings.map(({ containerID, hostID, size }) =>
    `${kind}s ${containerID} to ${containerID + size - 1} are ${hostID} to ${hostID + size - 1} outside`
  );
}

function deviceLines({ rules, program }: ExplainedDevices, verbose: boolean): string[] {
  const how = program ? `by a program of ${program.length / 8} instructions` : "all, so without a program";
  return [
    `# devices, ${how}`,
    ...rules.map(ruleText),
    ...(verbose && program ? disassembleDeviceProgram(program) : []),
  ];
}

function seccompCounts({ profile, filter }: ExplainedSeccomp) {
  return {
    defaultAction: profile.defaultAction,
    rules: profile.syscalls?.length ?? 0,
    names: new Set(profile.syscalls?.flatMap(({ names }) => names)).size,
    instructions: filter.instructions.length / 8,
  };
}

function seccompText(seccomp: ExplainedSeccomp): string {
  const { defaultAction, rules, names, instructions } = seccompCounts(seccomp);
  return `${defaultAction} but for ${rules} rules about ${names} calls, as ${instructions} instructions`;
}

function hookLine({ kind, path, args, env, timeout, where }: ExplainedHook): string {
  const words = (args ?? [path]).map((word) => JSON.stringify(word)).join(", ");
  const limit = timeout === undefined ? "" : `, at most ${timeout} s`;
  return `${kind} hook in ${where}: execve(${JSON.stringify(path)}, [${words}], ${
    JSON.stringify(env ?? [])
  })${limit}`;
}

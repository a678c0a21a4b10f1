/** Steps for what a process is given besides its user: processors, scheduling, priorities, memory, personality. */

import { O } from "../../../sys/fd.ts";
import { u32 } from "../../../sys/program.ts";
import {
  bitMask,
  ioPriorityNumber,
  memoryPolicyNumbers,
  numberList,
  personalityNumber,
  schedulerNumbers,
} from "../../../oci/scheduling.ts";
import type { Linux, Process } from "../../../oci/spec.ts";
import type { Steps } from "./steps.ts";

/** With the limits of utilization, which the specification has flags for but no values. */
const SCHED_ATTR_SIZE = 56;
const IOPRIO_WHO_PROCESS = 1;

/** What of a container's specification holds for all its processes. */
export type SharedAttributes = Pick<Linux, "personality" | "memoryPolicy">;

/** While the privileges for it are there. */
export function setAttributes(
  steps: Steps,
  { scheduler, ioPriority }: Process,
  { personality, memoryPolicy }: SharedAttributes,
): void {
  const { program } = steps;
  if (memoryPolicy?.mode) {
    const { mode, nodes } = memoryPolicyNumbers(memoryPolicy, "linux.memoryPolicy");
    const mask = bitMask(nodes);
    // The kernel takes one bit less than it is told.
    const set = nodes.length === 0 ? [0, 0] : [program.bytes(mask), mask.length * 8 + 1];
    program.step(`set memory policy ${memoryPolicy.mode}`, "set_mempolicy", [mode, ...set]);
  }
  if (scheduler) {
    const { policy, flags, nice, priority, runtime, deadline, period } = schedulerNumbers(
      scheduler,
      "process.scheduler",
    );
    const parts = [
      u32(SCHED_ATTR_SIZE),
      u32(policy),
      flags,
      u32(nice),
      u32(priority),
      runtime,
      deadline,
      period,
      u32(0),
      u32(0),
    ];
    program.step(`set scheduler ${scheduler.policy}`, "sched_setattr", [0, program.struct(parts), 0]);
  }
  if (ioPriority) {
    const number = ioPriorityNumber(ioPriority, "process.ioPriority");
    program.step(`set I/O priority ${ioPriority.class}`, "ioprio_set", [IOPRIO_WHO_PROCESS, 0, number]);
  }
  if (personality?.domain) {
    const number = personalityNumber(personality, "linux.personality");
    program.step(`set personality ${personality.domain}`, "personality", [number]);
  }
}

/**
 * The processors that an executed process runs on: before it is in the container's cgroup, which it then enters
 * itself, and from then on.
 *
 * @param cgroupFd the folder of the cgroup
 */
export function setProcessors(steps: Steps, { execCPUAffinity }: Process, cgroupFd: number): void {
  const { initial, final } = execCPUAffinity ?? {};
  if (initial) {
    setAffinity(steps, "initial", initial);
    const { program, target } = steps;
    const open = [cgroupFd, program.cstring("cgroup.procs"), O.WRONLY | O.CLOEXEC, 0];
    program.step("open cgroup", "openat", open, { save: target });
    program.step("enter cgroup", "write", [target, program.bytes(new TextEncoder().encode("0")), 1]);
    steps.close(target);
  }
  if (final) setAffinity(steps, "final", final);
}

/** Whether the process starts outside its cgroup and enters it itself. */
export function entersCgroup({ execCPUAffinity }: Process): boolean {
  return Boolean(execCPUAffinity?.initial);
}

function setAffinity(steps: Steps, which: "initial" | "final", list: string): void {
  const mask = bitMask(numberList(list, `process.execCPUAffinity.${which}`));
  const args = [0, mask.length, steps.program.bytes(mask)];
  steps.program.step(`set ${which} processors ${list}`, "sched_setaffinity", args);
}

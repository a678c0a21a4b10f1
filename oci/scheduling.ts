/** Scheduling, priorities, processors and memory of a process, as the kernel wants them: names become numbers. */

import { mustBe, show, SpecError } from "./check.ts";
import type { Integer, IoPriority, MemoryPolicy, Personality, Scheduler } from "./spec.ts";

/** Policies of sched_setattr(2) (linux/sched.h). */
const POLICIES: Readonly<Record<string, number>> = {
  SCHED_OTHER: 0,
  SCHED_FIFO: 1,
  SCHED_RR: 2,
  SCHED_BATCH: 3,
  SCHED_ISO: 4,
  SCHED_IDLE: 5,
  SCHED_DEADLINE: 6,
};
const SCHED_FLAGS: Readonly<Record<string, number>> = {
  SCHED_FLAG_RESET_ON_FORK: 1,
  SCHED_FLAG_RECLAIM: 2,
  SCHED_FLAG_DL_OVERRUN: 4,
  SCHED_FLAG_KEEP_POLICY: 8,
  SCHED_FLAG_KEEP_PARAMS: 16,
  SCHED_FLAG_UTIL_CLAMP_MIN: 32,
  SCHED_FLAG_UTIL_CLAMP_MAX: 64,
};
const IO_CLASSES: Readonly<Record<string, number>> = {
  IOPRIO_CLASS_RT: 1,
  IOPRIO_CLASS_BE: 2,
  IOPRIO_CLASS_IDLE: 3,
};
const IO_CLASS_SHIFT = 13;
/** Modes and flags of set_mempolicy(2) (linux/mempolicy.h). */
const MEMORY_MODES: Readonly<Record<string, number>> = {
  MPOL_DEFAULT: 0,
  MPOL_PREFERRED: 1,
  MPOL_BIND: 2,
  MPOL_INTERLEAVE: 3,
  MPOL_LOCAL: 4,
  MPOL_PREFERRED_MANY: 5,
  MPOL_WEIGHTED_INTERLEAVE: 6,
};
const MEMORY_FLAGS: Readonly<Record<string, number>> = {
  MPOL_F_NUMA_BALANCING: 1 << 13,
  MPOL_F_RELATIVE_NODES: 1 << 14,
  MPOL_F_STATIC_NODES: 1 << 15,
};
const WITHOUT_NODES = ["MPOL_DEFAULT", "MPOL_LOCAL"];
const DOMAINS: Readonly<Record<string, number>> = { LINUX: 0, LINUX32: 8 };
const MAX_REALTIME_PRIORITY = 99;
/** More processors or memory nodes than any kernel can be built for. */
const MAX_LISTED = 65_536;

/** What sched_setattr(2) takes. */
export interface SchedulerNumbers {
  readonly policy: number;
  readonly flags: number;
  readonly nice: number;
  readonly priority: number;
  readonly runtime: Integer;
  readonly deadline: Integer;
  readonly period: Integer;
}

/** @throws {SpecError} for names that the kernel does not have, and numbers that the policy does not use */
export function schedulerNumbers(scheduler: Scheduler, path: string): SchedulerNumbers {
  const { policy, nice = 0, priority = 0, flags = [], runtime = 0, deadline = 0, period = 0 } = scheduler;
  const number = lookup(POLICIES, policy, `${path}.policy`);
  const onlyFor = (field: keyof Scheduler, value: Integer, ...policies: string[]) => {
    if (Number(value) === 0 || policies.includes(policy)) return;
    throw new SpecError(
      `${path}.${field}`,
      `is only for ${policies.join(" and ")}, not ${policy}: it is ${value}`,
    );
  };
  onlyFor("nice", nice, "SCHED_OTHER", "SCHED_BATCH");
  onlyFor("priority", priority, "SCHED_FIFO", "SCHED_RR");
  for (const [field, value] of [["runtime", runtime], ["deadline", deadline], ["period", period]] as const) {
    onlyFor(field, value, "SCHED_DEADLINE");
  }
  const isRealtime = policy === "SCHED_FIFO" || policy === "SCHED_RR";
  if (isRealtime && (priority < 1 || priority > MAX_REALTIME_PRIORITY)) {
    mustBe(
      `a number from 1 to ${MAX_REALTIME_PRIORITY} for ${policy}`,
      scheduler.priority,
      `${path}.priority`,
    );
  }
  return {
    policy: number,
    flags: combine(SCHED_FLAGS, flags, `${path}.flags`),
    nice,
    priority,
    runtime,
    deadline,
    period,
  };
}

/** The number that ioprio_set(2) takes. @throws {SpecError} */
export function ioPriorityNumber({ class: name, priority = 0 }: IoPriority, path: string): number {
  return lookup(IO_CLASSES, name, `${path}.class`) << IO_CLASS_SHIFT | priority;
}

/** The number that personality(2) takes. @throws {SpecError} for flags, too: the specification has none */
export function personalityNumber({ domain, flags = [] }: Personality, path: string): number {
  if (flags.length > 0) {
    throw new SpecError(`${path}.flags`, `must be empty, as no flags are defined: it is ${show(flags)}`);
  }
  return lookup(DOMAINS, domain, `${path}.domain`);
}

/** What set_mempolicy(2) takes. */
export interface MemoryPolicyNumbers {
  /** with its flags */
  readonly mode: number;
  readonly nodes: readonly number[];
}

/** @throws {SpecError} */
export function memoryPolicyNumbers(policy: MemoryPolicy, path: string): MemoryPolicyNumbers {
  const { mode, nodes = "", flags = [] } = policy;
  const number = lookup(MEMORY_MODES, mode, `${path}.mode`) | combine(MEMORY_FLAGS, flags, `${path}.flags`);
  if (nodes === "") {
    if (WITHOUT_NODES.includes(mode) || mode === "MPOL_PREFERRED") return { mode: number, nodes: [] };
    throw new SpecError(`${path}.nodes`, `must be given for ${mode}`);
  }
  if (WITHOUT_NODES.includes(mode)) {
    throw new SpecError(`${path}.nodes`, `cannot be given for ${mode}: it is "${nodes}"`);
  }
  return { mode: number, nodes: numberList(nodes, `${path}.nodes`) };
}

/** The numbers of a list such as `0-3,7`, in order. @throws {SpecError} */
export function numberList(text: string, path: string): number[] {
  const numbers = new Set<number>();
  for (const part of text.split(",")) {
    const [, first, last = first] = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part) ?? [];
    const [from, to] = [Number(first), Number(last)];
    if (first === undefined || from > to || to >= MAX_LISTED) {
      mustBe("numbers and ranges separated by commas, as 0-3,7", text, path);
    }
    for (let number = from; number <= to; number++) numbers.add(number);
  }
  return [...numbers].sort((a, b) => a - b);
}

/** Numbers as a bit mask of whole 64-bit words, as the kernel takes sets. */
export function bitMask(numbers: readonly number[]): Uint8Array {
  const words = Math.floor(Math.max(0, ...numbers) / 64) + 1;
  const mask = new Uint8Array(words * 8);
  for (const number of numbers) mask[number >> 3] = (mask[number >> 3] ?? 0) | 1 << (number & 7);
  return mask;
}

function lookup(names: Readonly<Record<string, number>>, name: string, path: string): number {
  const number = Object.hasOwn(names, name) ? names[name] : undefined;
  return number ?? mustBe(`one of ${Object.keys(names).join(", ")}`, name, path);
}

function combine(names: Readonly<Record<string, number>>, given: readonly string[], path: string): number {
  return given.reduce((sum, name, index) => sum | lookup(names, name, `${path}[${index}]`), 0);
}

/**
 * Steps of a program become operations of the native loop: what launch adds around them (the clone, namespaces of the
 * parent, the status socket) and what some steps consist of (a checkpoint is a write, wiring is many calls).
 */

import { errnoNumber } from "../errors.ts";
import type { ExpectStep, Program, Step, StepOutcome } from "../program.ts";
import { Data, Label, type ProgramArg, Slot, u32 } from "../program_data.ts";
import { NR, type SyscallName } from "../syscall.ts";
import { COMPUTE, EXPECT, FLAG, OPERATION, RECORD_SIZE } from "./layout.ts";

/** What launch adds to a program. All file descriptors are the parent's numbers, which the child inherits. */
export interface Plan {
  /** CLONE_NEW* */
  readonly flags: number;
  readonly cgroupFd?: number;
  /** The pid namespace to create the child in, and the one of the parent to go back to. */
  readonly pidNamespace?: { readonly fd: number; readonly ownFd: number };
  /** Both ends of the status socket: the child writes records to its end and reads a byte per `go` from it. */
  readonly statusFd: number;
  readonly parentFd: number;
  /** child fd → fd, with 0, 1 and 2 among them. */
  readonly fds: ReadonlyMap<number, number>;
  /** What else the child keeps of the parent's fds; everything if absent. */
  readonly inherit?: Iterable<number>;
  readonly inputs: ReadonlyMap<Slot, number | bigint>;
}

/** One turn of the native loop; `OPERATION` in layout.ts says how it lies in memory. */
export interface Operation extends StepOutcome {
  readonly name: string;
  readonly number: number;
  readonly flags: number;
  readonly args: readonly ProgramArg[];
  readonly save?: Slot;
}

export interface Operations {
  readonly list: readonly Operation[];
  /** Index of the clone, and of the child's first operation. */
  readonly clone: number;
  readonly child: number;
  /** Index of the operation that a label stands before. */
  readonly labels: ReadonlyMap<Label, number>;
  /** Where the clone leaves the pidfd. */
  readonly pidfd: Slot;
}

/** Second word of a record; failures have minus the error number there. */
export const CHECKPOINT = 0;
export const BEFORE_EXECVE = 1;
const FINISHED = 2;
/** Added to the id of a process that goes on in the place of the one that writes the record. */
export const CONTINUED = 2 ** 40;

const LAST_CALLS: ReadonlySet<SyscallName> = new Set(["seccomp", "execve", "execveat"]);

const CLONE_NEWPID = 0x2000_0000;
const CLONE_PIDFD = 0x1000n;
const CLONE_PARENT = 0x8000n;
const CLONE_INTO_CGROUP = 0x2_0000_0000n;
const CLONE_ARGS_SIZE = 88;
const SIGCHLD = 17;

const F_SETFD = 2;
const F_DUPFD_CLOEXEC = 1030;
const CLOSE_RANGE_CLOEXEC = 4;
const LAST_FD = 0xffff_ffff;

/** Numbers of the system calls of an architecture. */
export type CallNumbers = Readonly<Record<SyscallName, number>>;

/** What the native loop is to do for the program, in order. */
export function operationsOf(program: Program, plan: Plan, numbers: CallNumbers = NR): Operations {
  const builder = new Builder(plan, numbers);
  const clone = builder.parent();
  const child = builder.list.length;
  builder.closeOthers();
  if (!program.steps.some((step) => step.kind === "wireFds")) builder.wireFds();
  for (const step of program.steps) builder.step(step);
  builder.record("end of the program", FINISHED);
  return { list: builder.list, clone, child, labels: builder.labels, pidfd: builder.pidfd };
}

/**
 * As {@linkcode operationsOf}, for a program that is all of a process: nothing is cloned, wired, or told to anybody.
 * Where the clone would be stands an operation with the result 0, by which the loop knows that it is the child.
 */
export function operationsAlone(program: Program, numbers: CallNumbers): Operations {
  const nobody = { flags: 0, statusFd: NOBODY, parentFd: NOBODY, fds: new Map(), inputs: new Map() };
  const builder = new Builder(nobody, numbers);
  builder.begin();
  const child = builder.list.length;
  for (const step of program.steps) builder.step(step);
  return { list: builder.list, clone: 0, child, labels: builder.labels, pidfd: builder.pidfd };
}

/** Stands for the status socket where there is none. */
export const NOBODY = -1;

class Builder {
  readonly list: Operation[] = [];
  readonly labels = new Map<Label, number>();
  readonly pidfd = new Slot("pidfd", 32);
  #filtered = false;

  constructor(readonly plan: Plan, readonly numbers: CallNumbers) {}

  /** The parent's part; returns the index of the clone. */
  parent(): number {
    const { plan } = this;
    if (plan.pidNamespace) this.call("join pid namespace", "setns", [plan.pidNamespace.fd, CLONE_NEWPID]);
    const clone = this.list.length;
    const flags = BigInt(plan.flags) | CLONE_PIDFD | (plan.cgroupFd === undefined ? 0n : CLONE_INTO_CGROUP);
    const pidfd = new Data({ kind: "struct", parts: [this.pidfd, u32(0)] });
    const args = [flags, pidfd, 0, 0, SIGCHLD, 0, 0, 0, 0, 0, plan.cgroupFd ?? 0];
    this.call("create process", "clone3", [new Data({ kind: "struct", parts: args }), CLONE_ARGS_SIZE]);
    if (plan.pidNamespace) this.call("leave pid namespace", "setns", [plan.pidNamespace.ownFd, CLONE_NEWPID]);
    return clone;
  }

  begin(): void {
    this.#add({ ...NOTHING, name: "begin" });
  }

  step(step: Step): void {
    switch (step.kind) {
      case "call":
        this.#announceExecve(step.name, step.call);
        return this.call(step.name, step.call, step.args, step);
      case "compute": {
        const args = [step.value, step.and, step.or];
        return this.#add({
          ...NO_OUTCOME,
          name: step.name,
          number: COMPUTE,
          flags: FLAG.NEVER_FAILS,
          args,
          save: step.save,
        });
      }
      case "expect":
        return this.#expect(step);
      case "fail":
        return this.#expect({
          ...NO_OUTCOME,
          name: step.name,
          value: 0,
          and: 0,
          equals: 1,
          errno: step.errno,
        });
      case "jump":
        return this.#add({ ...NOTHING, name: `go to ${step.label.name}`, onSuccess: step.label });
      case "label":
        this.labels.set(step.label, this.list.length);
        return;
      case "checkpoint":
        return this.record(step.name, CHECKPOINT);
      case "awaitGo":
        return this.#awaitGo(step.name);
      case "continueInChild":
        return this.#continueInChild(step.name, step.flags);
      case "wireFds":
        return this.wireFds();
      default:
        step satisfies never;
    }
  }

  call(
    name: string,
    call: SyscallName,
    args: readonly ProgramArg[],
    options: Partial<StepOutcome> & { save?: Slot } = {},
  ): void {
    const { save, mayFail = false, onSuccess, onFailure } = options;
    // The kernel has closed the descriptor even when close says EINTR; a second try could hit another one.
    const flags = call === "close" ? 0 : FLAG.RETRY;
    this.#add({ name, number: this.numbers[call], flags, args, save, mayFail, onSuccess, onFailure });
  }

  /**
   * First copies of those descriptors whose number another one is about to take, then everything close-on-exec, then
   * each descriptor to its place (dup3 without flags, and F_SETFD 0, leave it open across execve).
   */
  wireFds(): void {
    const { fds } = this.plan;
    const above = Math.max(...fds.keys()) + 1;
    const copies = new Map<number, Slot>();
    for (const source of new Set(fds.values())) {
      const taken = fds.has(source) && fds.get(source) !== source;
      if (!taken) continue;
      const save = new Slot(`copy of fd ${source}`, 64);
      this.call(`copy fd ${source}`, "fcntl", [source, F_DUPFD_CLOEXEC, above], { save });
      copies.set(source, save);
    }
    this.call("close other fds on exec", "close_range", [0, LAST_FD, CLOSE_RANGE_CLOEXEC]);
    for (const [target, source] of fds) {
      if (target === source) this.call(`wire fd ${target}`, "fcntl", [target, F_SETFD, 0]);
      else this.call(`wire fd ${target}`, "dup3", [copies.get(source) ?? source, target, 0]);
    }
  }

  record(name: string, what: number | Slot): void {
    const record = new Data({ kind: "struct", parts: [this.list.length * OPERATION.SIZE, what] });
    this.call(name, "write", [this.plan.statusFd, record, RECORD_SIZE]);
  }

  /** The parent's end of the status socket at least: the child would never see the parent die. */
  closeOthers(): void {
    const { parentFd, inherit, fds, statusFd } = this.plan;
    if (inherit === undefined) return this.call("close the parent's socket", "close", [parentFd]);
    const kept = [...new Set([0, 1, 2, statusFd, ...fds.values(), ...inherit])].sort((a, b) => a - b);
    kept.forEach((fd, i) => {
      const [from, to] = [fd + 1, (kept[i + 1] ?? LAST_FD + 1) - 1];
      if (from <= to) this.call("close other fds", "close_range", [from, to, 0]);
    });
  }

  /** Tells that execve is next: before a filter of system calls is loaded, which may forbid to write it. */
  #announceExecve(name: string, call: SyscallName): void {
    if (this.#filtered || !LAST_CALLS.has(call) || this.plan.statusFd === NOBODY) return;
    this.#filtered = call === "seccomp";
    this.record(name, BEFORE_EXECVE);
  }

  /** The new process waits until the launcher knows of it; the old one tells, and ends. */
  #continueInChild(name: string, flags: number): void {
    const pid = new Slot(name, 64);
    const child = new Label(name);
    const args = [BigInt(flags) | CLONE_PARENT, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    this.call(name, "clone3", [new Data({ kind: "struct", parts: args }), CLONE_ARGS_SIZE], { save: pid });
    const isChild = { and: -1, equals: 0, errno: "EEXIST", mayFail: true, onSuccess: child };
    this.#expect({ name, value: pid, ...isChild });
    const told = new Slot(`${name}, told`, 64);
    const number = { number: COMPUTE, flags: FLAG.NEVER_FAILS, args: [pid, -1, CONTINUED], save: told };
    this.#add({ ...NO_OUTCOME, name, ...number });
    this.record(name, told);
    this.call(name, "exit_group", [0]);
    this.labels.set(child, this.list.length);
    this.#awaitGo(name);
  }

  #awaitGo(name: string): void {
    const save = new Slot(name, 64);
    this.call(name, "read", [this.plan.statusFd, new Data({ kind: "bytes", bytes: new Uint8Array(1) }), 1], {
      save,
    });
    this.#expect({ ...NO_OUTCOME, name, value: save, and: -1, equals: 1, errno: "EPIPE" });
  }

  #expect(step: Omit<ExpectStep, "kind">): void {
    const { name, value, and, equals, errno, mayFail, onSuccess, onFailure } = step;
    const args = [value, and, equals, -(errnoNumber(errno) ?? 0)];
    this.#add({ name, number: EXPECT, flags: 0, args, mayFail, onSuccess, onFailure });
  }

  #add(operation: Operation): void {
    this.list.push(operation);
  }
}

const NO_OUTCOME: StepOutcome = { mayFail: false };
const NOTHING = { ...NO_OUTCOME, number: COMPUTE, flags: FLAG.NEVER_FAILS, args: [] };

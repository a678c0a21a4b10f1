/**
 * Syscall programs: what a cloned child does before `execve`, as data.
 *
 * A child of a JavaScript process cannot run JavaScript (the engine's heap is not copied by `clone`), so everything it
 * must do is a list of system calls, built here and run by a small native loop (native/). A step has a name, so that
 * its failure comes back as `mount /proc: EPERM`; it may use results of earlier steps, may be allowed to fail, and may
 * jump forward. Since a program is data it can be compared, printed and tested without running it.
 *
 * ```ts
 * const program = new Program();
 * const root = program.slot("root");
 * program.step("open root", "openat", [AT.FDCWD, program.cstring("/srv/root"), O.PATH | O.CLOEXEC], { save: root });
 * program.step("enter root", "fchdir", [root]);
 * program.step("execve", "execve", [program.cstring("/bin/true"), program.cstrings(["true"]), program.cstrings([])]);
 * const child = launch(program);
 * await child.executed();
 * ```
 */

import { errnoName, errnoNumber } from "./errors.ts";
import { Data, Label, type ProgramArg, Slot, type SlotBits, type StructPart } from "./program_data.ts";
import { describeStep } from "./program_text.ts";
import type { SyscallName } from "./syscall.ts";

export {
  Data,
  Label,
  type ProgramArg,
  Slot,
  type SlotBits,
  type StructPart,
  u16,
  u32,
} from "./program_data.ts";

/** What happens with the result of a step. */
export interface StepOptions {
  /** The program goes on after any error (`true`), or after these: `["EEXIST"]`. Default: every error ends it. */
  readonly mayFail?: boolean | readonly string[];
  /** Keeps the result, of a failed step too: then it is minus the error number. Needs a slot of 64 bits. */
  readonly save?: Slot;
  /** Where to go on after success; further down only. */
  readonly onSuccess?: Label;
  /** Where to go on after an error that is allowed; further down only. Without `mayFail` any error is allowed. */
  readonly onFailure?: Label;
}

/** How a step may end, in the form that all steps with a result share. */
export interface StepOutcome {
  readonly mayFail: boolean | readonly string[];
  readonly onSuccess?: Label;
  readonly onFailure?: Label;
}

/** A system call. */
export interface CallStep extends StepOutcome {
  readonly kind: "call";
  readonly name: string;
  readonly call: SyscallName;
  readonly args: readonly ProgramArg[];
  readonly save?: Slot;
}

/** `save = (value & and) | or`. */
export interface ComputeStep {
  readonly kind: "compute";
  readonly name: string;
  readonly save: Slot;
  readonly value: ProgramArg;
  readonly and: ProgramArg;
  readonly or: ProgramArg;
}

/** Fails with `errno` unless `(value & and) == equals`. */
export interface ExpectStep extends StepOutcome {
  readonly kind: "expect";
  readonly name: string;
  readonly value: ProgramArg;
  readonly and: ProgramArg;
  readonly equals: ProgramArg;
  readonly errno: string;
}

export type Step =
  | CallStep
  | ComputeStep
  | ExpectStep
  | { readonly kind: "fail"; readonly name: string; readonly errno: string }
  | { readonly kind: "jump"; readonly label: Label }
  | { readonly kind: "label"; readonly label: Label }
  | { readonly kind: "checkpoint"; readonly name: string }
  | { readonly kind: "awaitGo"; readonly name: string }
  | { readonly kind: "continueInChild"; readonly name: string; readonly flags: number }
  | { readonly kind: "wireFds" };

/** A step of a program failed in the child (or the creation of the child did): `mount /proc: EPERM`. */
export class StepError extends Error {
  override readonly name = "StepError";
  /** Name of the error, as "EPERM". */
  readonly code: string;

  /**
   * @param step the name of the step
   * @param errno the error number, positive
   */
  constructor(readonly step: string, readonly errno: number) {
    const code = errnoName(errno);
    super(`${step}: ${code}`);
    this.code = code;
  }
}

const ALL_BITS = 0xffff_ffff_ffff_ffffn;

/** A list of steps that is being built; `launch` (launch.ts) runs it, as often as wanted. */
export class Program {
  readonly #steps: Step[] = [];
  readonly #texts = new Map<string, Data>();
  readonly #slots = new Set<string>();
  readonly #waypoints = new Set<string>();
  readonly #used = new Set<Label>();
  readonly #placed = new Set<Label>();

  /** The steps in order; labels stand where they were placed. */
  get steps(): readonly Step[] {
    return this.#steps;
  }

  /** Text for a `char *` argument. The same text is stored once. */
  cstring(text: string): Data {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    refuseZero(text);
    const data = new Data({ kind: "text", text });
    this.#texts.set(text, data);
    return data;
  }

  /** Bytes for a pointer argument, also as room for the kernel to write to; copied when the program is launched. */
  bytes(bytes: Uint8Array): Data {
    return new Data({ kind: "bytes", bytes });
  }

  /** A NULL-terminated `char *[]`, as `execve` wants it. */
  cstrings(list: readonly string[]): Data {
    list.forEach(refuseZero);
    return new Data({ kind: "texts", texts: [...list] });
  }

  /**
   * A structure of 8-byte numbers, addresses of other data, raw bytes, and cells. A slot can be part of one structure.
   * Nothing is padded: `struct([u32(5), u32(0), address])`.
   */
  struct(parts: readonly StructPart[]): Data {
    for (const part of parts) if (typeof part === "number" || typeof part === "bigint") checkNumber(part);
    return new Data({ kind: "struct", parts: [...parts] });
  }

  /** A cell for a number. Names are for people, and unique in the program. */
  slot(name: string, bits: SlotBits = 64): Slot {
    if (this.#slots.has(name)) throw new Error(`slot "${name}" exists already in this program`);
    this.#slots.add(name);
    return new Slot(name, bits);
  }

  /** A name for a place that is not reached yet; `place` says where it is. */
  label(name: string): Label {
    return new Label(name);
  }

  /** The next step is where jumps to this label go on. */
  place(label: Label): void {
    if (this.#placed.has(label)) throw new Error(`label "${label.name}" is placed twice`);
    this.#placed.add(label);
    this.#steps.push({ kind: "label", label });
  }

  /**
   * A system call.
   *
   * @param name what it does, as a person would say it; a failure is reported as "name: ERRNO"
   * @param args at most six; the rest are 0
   */
  step(name: string, call: SyscallName, args: readonly ProgramArg[], options: StepOptions = {}): void {
    if (args.length > 6) {
      throw new Error(`step "${name}" has ${args.length} arguments: at most 6 are possible`);
    }
    args.forEach(checkArg);
    const save = options.save;
    if (save !== undefined && save.bits !== 64) {
      throw new Error(`step "${name}" cannot save to slot "${save.name}": it must have 64 bits`);
    }
    const outcome = this.#outcome(options);
    this.#steps.push({ kind: "call", name, call, args: [...args], ...(save && { save }), ...outcome });
  }

  /** `save = (value & and) | or`: copies a number, takes bits out of it, adds bits to it. Never fails. */
  compute(
    name: string,
    save: Slot,
    value: ProgramArg,
    bits: { and?: ProgramArg; or?: ProgramArg } = {},
  ): void {
    const { and = ALL_BITS, or = 0 } = bits;
    [value, and, or].forEach(checkArg);
    if (save.bits !== 64) {
      throw new Error(`step "${name}" cannot save to slot "${save.name}": it must have 64 bits`);
    }
    this.#steps.push({ kind: "compute", name, save, value, and, or });
  }

  /** Fails with `errno` unless `(value & and) == equals`; with labels it is a branch. */
  expect(
    name: string,
    value: ProgramArg,
    test: { and?: ProgramArg; equals: ProgramArg; errno: string },
    options: Omit<StepOptions, "save"> = {},
  ): void {
    const { and = ALL_BITS, equals, errno } = test;
    [value, and, equals].forEach(checkArg);
    checkErrno(errno);
    this.#steps.push({ kind: "expect", name, value, and, equals, errno, ...this.#outcome(options) });
  }

  /** An explicit failure, for a place that is only reached by a jump or when alternatives are used up. */
  fail(name: string, errno: string): void {
    checkErrno(errno);
    this.#steps.push({ kind: "fail", name, errno });
  }

  /** Goes on at the label, always. */
  jump(label: Label): void {
    this.#use(label);
    this.#steps.push({ kind: "jump", label });
  }

  /** Tells the parent that this point was reached (`Launched.reached`). */
  checkpoint(name: string): void {
    if (this.#waypoints.has(name)) throw new Error(`checkpoint "${name}" exists already in this program`);
    this.#waypoints.add(name);
    this.#steps.push({ kind: "checkpoint", name });
  }

  /** Waits until the parent calls `Launched.go`, once per such step. A parent that died fails it with EPIPE. */
  awaitGo(name: string): void {
    this.#steps.push({ kind: "awaitGo", name });
  }

  /**
   * The rest of the program is run by a new process, a child of the same parent (`Launched.child` is that one then);
   * the one so far ends. For what a process cannot have of its own after its birth: a pid namespace that belongs to
   * a user namespace which was entered meanwhile.
   *
   * @param flags CLONE_NEW*
   */
  continueInChild(name: string, flags: number): void {
    this.#steps.push({ kind: "continueInChild", name, flags });
  }

  /**
   * Here the child's file descriptors become what `LaunchOptions.fds` says, and all others close-on-exec. From here on
   * numbers of the parent's descriptors mean what the child has under them. Without this step it happens first.
   */
  wireFds(): void {
    if (this.#steps.some((step) => step.kind === "wireFds")) throw new Error("wireFds is called twice");
    this.#steps.push({ kind: "wireFds" });
  }

  /** Names of the checkpoints. */
  get checkpoints(): ReadonlySet<string> {
    return this.#waypoints;
  }

  /** @throws if a label is used that was never placed */
  check(): void {
    for (const label of this.#used) {
      if (!this.#placed.has(label)) throw new Error(`label "${label.name}" is jumped to but never placed`);
    }
  }

  /** One readable line per step, for people and for comparison in tests. */
  describe(): string[] {
    return this.#steps.map(describeStep);
  }

  #outcome(options: Omit<StepOptions, "save">): StepOutcome {
    const { onSuccess, onFailure } = options;
    const mayFail = options.mayFail ?? (onFailure !== undefined);
    if (Array.isArray(mayFail)) mayFail.forEach(checkErrno);
    if (onSuccess !== undefined) this.#use(onSuccess);
    if (onFailure !== undefined) {
      if (mayFail === false) throw new Error(`label "${onFailure.name}" cannot be reached: mayFail is false`);
      this.#use(onFailure);
    }
    return { mayFail, ...(onSuccess && { onSuccess }), ...(onFailure && { onFailure }) };
  }

  #use(label: Label): void {
    if (this.#placed.has(label)) throw new Error(`label "${label.name}" is behind: jumps only go forward`);
    this.#used.add(label);
  }
}

function checkArg(arg: ProgramArg): void {
  if (typeof arg === "number" || typeof arg === "bigint") checkNumber(arg);
}

function checkNumber(value: number | bigint): void {
  if (typeof value === "number" && !Number.isSafeInteger(value)) {
    throw new Error(`an argument must be an integer that a number can hold: it is ${value}`);
  }
}

function checkErrno(code: string): void {
  if (errnoNumber(code) === undefined) throw new Error(`there is no error named "${code}"`);
}

function refuseZero(text: string): void {
  if (text.includes("\0")) {
    throw new Error(`a text for the kernel cannot have a zero byte: it is ${JSON.stringify(text)}`);
  }
}

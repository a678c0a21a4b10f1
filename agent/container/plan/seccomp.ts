/** The step that puts a process under a filter of system calls. */

import { u16 } from "../../../sys/program.ts";
import type { Steps } from "./steps.ts";

/** A filter, ready for the kernel. */
export interface SeccompFilter {
  /** SECCOMP_FILTER_FLAG_* */
  readonly flags: number;
  /** array of `struct sock_filter` */
  readonly instructions: Uint8Array;
}

const SECCOMP_SET_MODE_FILTER = 1;
const INSTRUCTION_SIZE = 8;

/** From here on the filter decides about the program's own steps, too. */
export function loadFilter(steps: Steps, { flags, instructions }: SeccompFilter): void {
  const { program } = steps;
  // struct sock_fprog: how many, in two bytes that are padded to eight, and where.
  const count = u16(instructions.length / INSTRUCTION_SIZE);
  const list = program.struct([count, new Uint8Array(6), program.bytes(instructions)]);
  program.step("load seccomp filter", "seccomp", [SECCOMP_SET_MODE_FILTER, flags, list]);
}

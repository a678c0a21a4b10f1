/** Failures of a container's process, in the wording that engines look for. */

import { StepError } from "../../sys/program.ts";
import { EXECUTE, FIND_PROGRAM } from "./plan/names.ts";

/**
 * The program cannot be run: `exec: "foo": executable file not found in $PATH`. By the convention of shells,
 * the caller reports 127 if it is missing (`ENOENT`) and 126 otherwise.
 */
export class ExecutableError extends Error {
  override readonly name = "ExecutableError";

  constructor(program: string, readonly code: string, reason: string, options?: ErrorOptions) {
    super(`exec: ${JSON.stringify(program)}: ${reason}`, options);
  }
}

/** The kernel killed a process for want of memory before its program was reached. */
export class OutOfMemoryError extends Error {
  override readonly name = "OutOfMemoryError";

  constructor(cause: unknown) {
    const text = "the process was killed for want of memory before its program began";
    super(`${text}: the container's memory limit is too low`, { cause });
  }
}

/** The words of the C library, which tools search for. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  ENOEXEC: "exec format error",
  ENOTDIR: "not a directory",
  E2BIG: "argument list too long",
  ETXTBSY: "text file busy",
  ELOOP: "too many levels of symbolic links",
};

/** Any failure on the way to the program; those about the program itself are told apart. */
export function processError(error: unknown, program: string): unknown {
  if (!(error instanceof StepError)) return error;
  const { step, code } = error;
  if (step !== FIND_PROGRAM && step !== EXECUTE) return error;
  const unfound = step === FIND_PROGRAM && code === "ENOENT" && !program.includes("/");
  const reason = unfound ? "executable file not found in $PATH" : REASONS[code] ?? code;
  // The cause would only say the same in other words.
  return new ExecutableError(program, code, reason);
}

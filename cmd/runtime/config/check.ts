/**
 * `kata-runtime config check`
 *
 * @module
 */

import { ConfigError, type Mistake } from "../../../config/error.ts";
import type { AppContext } from "../app.ts";
import type { ConfigFlags } from "./command.ts";
import { examine } from "./examine.ts";

/** Prints all mistakes; the exit code is 1 if there is any but warnings. */
export async function check(this: AppContext, flags: ConfigFlags, file?: string): Promise<void> {
  const { path, mistakes } = await find(this, flags, file);
  const errors = mistakes.filter(({ severity }) => severity === "error").length;
  const { stdout } = this.process;
  if (flags.json) stdout.write(`${JSON.stringify({ path, mistakes }, plain, 2)}\n`);
  else {
    for (const { severity, text } of mistakes) stdout.write(`${severity}: ${text}\n`);
    stdout.write(`${path ?? "no configuration"}: ${summary(errors, mistakes.length - errors)}\n`);
  }
  if (errors > 0) this.process.exitCode = 1;
}

async function find(
  { globals }: AppContext,
  flags: ConfigFlags,
  file: string | undefined,
): Promise<{ path?: string; mistakes: readonly Mistake[] }> {
  try {
    const { path, report } = await examine(flags, globals, file);
    return { path, mistakes: report.mistakes };
  } catch (error) {
    if (error instanceof ConfigError) return { mistakes: error.mistakes };
    throw error;
  }
}

/** JSON has no large whole numbers. */
function plain(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

function summary(errors: number, warnings: number): string {
  return `${counted(errors, "mistake")}, ${counted(warnings, "warning")}`;
}

function counted(count: number, noun: string): string {
  return `${count === 0 ? "no" : count} ${noun}${count === 1 ? "" : "s"}`;
}

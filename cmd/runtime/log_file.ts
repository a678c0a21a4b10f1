/**
 * The file that `--log` names.
 *
 * @module
 */

import { why } from "./failure.ts";
import type { Globals } from "./globals.ts";
import { commonFields, type Event, jsonLine, type Level, textLine } from "./log_line.ts";

/** Readable by the group, as it may name what is run here. */
const MODE = 0o640;

/**
 * Appends a line to the log file; without `--log` there is none, and nothing is done.
 *
 * @throws {Error} a sentence: the file cannot be written
 */
export function appendToLog(
  globals: Globals,
  command: string | undefined,
  level: Level,
  message: string,
  fields: Event["fields"] = {},
): void {
  if (globals.log === undefined || globals.log === "/dev/null") return;
  const event: Event = {
    time: new Date(),
    level,
    message,
    fields: { ...commonFields(command), ...fields },
  };
  const line = globals.logFormat === "json" ? jsonLine(event) : textLine(event);
  try {
    Deno.writeTextFileSync(globals.log, line, { append: true, create: true, mode: MODE });
  } catch (error) {
    throw new Error(`cannot write the log "${globals.log}": ${why(error)}`, { cause: error });
  }
}

/** A failure, which is logged as well. @returns what to print: with a log that cannot be written, that too */
export function withLog(globals: Globals, command: string | undefined, message: string): string {
  try {
    appendToLog(globals, command, "error", message);
    return message;
  } catch (error) {
    return `${message}\n${error instanceof Error ? error.message : error}`;
  }
}

/**
 * Standard output and standard error of a command.
 *
 * @module
 */

import { why } from "./failure.ts";

/**
 * Writes all of a text. A reader that has gone, as `head` does, is no failure of the one who writes.
 *
 * @returns whether there still is a reader
 * @throws the stream's error, any other
 */
function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): boolean {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += stream.writeSync(bytes.subarray(at));
    return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    return false;
  }
}

/** @throws {Error} a sentence: not all of it was written */
function writeResult(text: string): boolean {
  try {
    return writeAll(Deno.stdout, text);
  } catch (error) {
    throw new Error(`cannot write to standard output: ${why(error)}`, { cause: error });
  }
}

/** What cannot be told is no reason to fail. */
function writeNote(text: string): void {
  try {
    writeAll(Deno.stderr, text);
  } catch {
    // there is no other place to say it
  }
}

// deno-lint-ignore no-control-regex
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/**
 * A text with no control characters but tabs and line ends: much of what commands print comes from guests, who are not
 * to move the cursor of an operator's terminal, or to type for them.
 */
export function printable(text: string): string {
  return text.replace(CONTROLS, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/**
 * Writes to standard output; to a terminal only what is printable.
 *
 * @returns whether anybody still reads: one who goes on for long stops if nobody does
 * @throws {Error} a sentence: not all of it was written
 */
export function print(text: string): boolean {
  return writeResult(Deno.stdout.isTerminal() ? printable(text) : text);
}

/** Writes to standard error, in the same way. */
export function printError(text: string): void {
  writeNote(Deno.stderr.isTerminal() ? printable(text) : text);
}

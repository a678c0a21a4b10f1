/**
 * Standard output and standard error of a command.
 *
 * @module
 */

import { why } from "./failure.ts";

/**
 * Writes all of a text. A reader that has gone, as `head` does, is no failure of the one who writes.
 *
 * @throws the stream's error, any other
 */
function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += stream.writeSync(bytes.subarray(at));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

/** @throws {Error} a sentence: not all of it was written */
function writeResult(text: string): void {
  try {
    writeAll(Deno.stdout, text);
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
 * @throws {Error} a sentence: not all of it was written
 */
export function print(text: string): void {
  writeResult(Deno.stdout.isTerminal() ? printable(text) : text);
}

/** Writes to standard error, in the same way. */
export function printError(text: string): void {
  writeNote(Deno.stderr.isTerminal() ? printable(text) : text);
}

/**
 * Standard output and standard error of a command.
 *
 * @module
 */

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

/** Writes to standard output. */
export function print(text: string): void {
  writeAll(Deno.stdout, text);
}

/** Writes to standard error. */
export function printError(text: string): void {
  writeAll(Deno.stderr, text);
}

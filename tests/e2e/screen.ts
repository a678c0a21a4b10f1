/**
 * What a user sees on a terminal.
 *
 * @module
 */

import type { AsyncFd } from "../../sys/poll.ts";

/** How long the next words on the screen may take, in milliseconds. */
const PATIENCE_MS = 120_000;

/** Reads the screen until a pattern appears, and returns what was read. */
export async function screen(master: AsyncFd, pattern: RegExp): Promise<string> {
  const buffer = new Uint8Array(4096);
  let seen = "";
  const deadline = setTimeout(() => master.close(), PATIENCE_MS);
  try {
    while (!pattern.test(seen)) {
      const n = await master.read(buffer);
      if (n === 0) throw new Error("the terminal ended");
      seen += new TextDecoder().decode(buffer.subarray(0, n));
    }
    return seen;
  } catch (cause) {
    throw new Error(`${pattern} did not appear; the screen showed ${JSON.stringify(seen)}`, { cause });
  } finally {
    clearTimeout(deadline);
  }
}

/**
 * What containerd puts on a command's standard input.
 *
 * @module
 */

/** Most that is read. */
const MAX_INPUT_BYTES = 10 * 1024 * 1024;

const CHUNK_BYTES = 65_536;

/** All of standard input; a terminal is nobody who sends options. @throws {Error} there is too much of it */
export function readInput(): Uint8Array {
  if (Deno.stdin.isTerminal()) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let size = 0;
  while (true) {
    const chunk = new Uint8Array(CHUNK_BYTES);
    const count = Deno.stdin.readSync(chunk);
    if (count === null) break;
    size += count;
    if (size > MAX_INPUT_BYTES) throw new Error(`standard input must have at most ${MAX_INPUT_BYTES} bytes`);
    chunks.push(chunk.subarray(0, count));
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

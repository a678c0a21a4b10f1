/** For tests: a static program that makes system calls and prints what comes of them (probe.c). */

import assert from "node:assert/strict";

const SOURCE = new URL("probe.c", import.meta.url).pathname;

/** Makes the program at a path. */
export async function buildProbe(path: string): Promise<void> {
  const { success } = await new Deno.Command("gcc", {
    args: ["-O1", "-static", "-o", path, SOURCE],
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  assert.ok(success, `gcc ${SOURCE}`);
}

/** One system call as the program is told it. */
export function call(number: number, ...args: readonly (number | bigint | string)[]): string {
  const words = args.map((arg) => typeof arg === "string" ? `'${arg}` : String(arg));
  return words.length === 0 ? String(number) : `${number}:${words.join(",")}`;
}

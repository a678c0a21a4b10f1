/** For tests: a static program that makes system calls and prints what comes of them (probe.c). */

import assert from "node:assert/strict";

/** Makes the program at a path. */
export async function buildProbe(path: string): Promise<void> {
  await compile("probe.c", ["-O1", "-static", "-o", path]);
}

/** Makes a dynamic linker that reports what it could do to the program (interpreter.c). */
export async function buildInterpreter(path: string): Promise<void> {
  const bare = ["-nostdlib", "-static-pie", "-fPIE", "-fno-stack-protector"];
  await compile("interpreter.c", ["-O1", ...bare, "-o", path]);
}

async function compile(source: string, args: string[]): Promise<void> {
  const file = new URL(source, import.meta.url).pathname;
  const { success } = await new Deno.Command("gcc", {
    args: [...args, file],
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  assert.ok(success, `gcc ${file}`);
}

/** One system call as the program is told it. */
export function call(number: number, ...args: readonly (number | bigint | string)[]): string {
  const words = args.map((arg) => typeof arg === "string" ? `'${arg}` : String(arg));
  return words.length === 0 ? String(number) : `${number}:${words.join(",")}`;
}

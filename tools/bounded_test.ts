import assert from "node:assert/strict";
import { runBounded } from "./bounded.ts";

const FOREVER = 600_000;

Deno.test("a program's exit status is handed on", async () => {
  assert.deepEqual(await runBounded(["sh", "-c", "exit 3"], FOREVER), { code: 3, timedOut: false });
  assert.deepEqual(await runBounded(["sh", "-c", "kill -9 $$"], FOREVER), { code: 137, timedOut: false });
});

Deno.test("a program that takes too long is ended, also where it hid in a session of its own", async () => {
  const marker = `${600 + Math.random()}`;
  // the first ignores SIGTERM, the second is out of its process group, the third has another parent
  const script =
    `trap '' TERM; setsid sleep ${marker} & (setsid sleep ${marker} &) ; sleep ${marker}; while :; do sleep 1; done`;
  const { timedOut } = await runBounded(["sh", "-c", script], 300);
  assert.equal(timedOut, true);
  assert.deepEqual(await withArgument(marker), []);
});

Deno.test("on SIGTERM it ends everything that it started", async () => {
  const marker = `${600 + Math.random()}`;
  const module = new URL("./bounded.ts", import.meta.url).href;
  const script =
    `import { runBounded } from "${module}"; await runBounded(["sleep", "${marker}"], ${FOREVER});`;
  const child = new Deno.Command(Deno.execPath(), { args: ["eval", script] }).spawn();
  while ((await withArgument(marker)).length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
  child.kill("SIGTERM");
  assert.equal((await child.status).code, 130);
  assert.deepEqual(await withArgument(marker), []);
});

/** Command lines of processes that have a text in them. */
async function withArgument(text: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (/^\d+$/.test(name)) lines.push(await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => ""));
  }
  return lines.filter((line) => line.includes(text));
}

import assert from "node:assert/strict";
import { runProgram } from "./run.ts";

Deno.test("runProgram() keeps what a program writes, and how it ends", async () => {
  const ran = await runProgram({
    argv: ["sh", "-c", "echo out; echo err >&2; head -c 200000 /dev/zero | tr '\\0' x; exit 3"],
    timeoutMs: 30_000,
  });
  assert.deepEqual(ran.status, { code: 3, signal: 0 });
  assert.equal(ran.stdout.length, 200_004);
  assert.ok(ran.stdout.startsWith("out\nxxx"));
  assert.equal(ran.stderr, "err\n");
});

Deno.test("runProgram() ends what takes too long", async () => {
  await assert.rejects(
    runProgram({ argv: ["sleep", "1000"], timeoutMs: 20 }),
    /^Error: "sleep 1000" took longer than 20 ms$/,
  );
});

Deno.test("runProgram() names the program that is not there", async () => {
  await assert.rejects(runProgram({ argv: ["no-such-program"], timeoutMs: 1000 }), /no-such-program.*ENOENT/);
});

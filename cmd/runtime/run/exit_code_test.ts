import assert from "node:assert/strict";
import { exitCodeOfFailure } from "./exit_code.ts";

Deno.test("exitCodeOfFailure() tells a missing command, one that cannot be executed, and everything else apart", () => {
  const table: [string, number][] = [
    ['exec: "nope": executable file not found in $PATH', 127],
    ['exec: "/etc": permission denied', 126],
    ['cannot open "/x": permission denied', 125],
    ["the virtual machine ended while it booted", 125],
  ];
  for (const [message, code] of table) assert.equal(exitCodeOfFailure(new Error(message)), code, message);
});

Deno.test("exitCodeOfFailure() looks at the first failure when the clean-up failed too", () => {
  const both = new SuppressedError(
    new Error("cannot unmount"),
    new Error('exec: "x": executable file not found in $PATH'),
  );
  assert.equal(exitCodeOfFailure(both), 127);
});

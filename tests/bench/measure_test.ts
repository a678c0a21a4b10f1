import assert from "node:assert/strict";
import { compare, median, runOnce } from "./measure.ts";

Deno.test("median() is the middle of odd and the mean of even counts", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.throws(() => median([]), RangeError);
});

Deno.test("runOnce() reports time and peak memory, and fails with the command's own words", async () => {
  const run = await runOnce({ argv: ["/bin/true"] });
  assert.ok(run.wallMs > 0 && run.peakKiB > 0);
  await assert.rejects(runOnce({ argv: ["/bin/sh", "-c", "echo oops >&2; exit 3"] }), /ended with 3: oops/);
});

Deno.test("compare() runs both in turn and calls after() outside the span", async () => {
  const order: string[] = [];
  const after = (name: string) => () => {
    order.push(name);
    return Promise.resolve();
  };
  const result = await compare(
    { argv: ["/bin/true"], after: after("a") },
    { argv: ["/bin/true"], after: after("b") },
    2,
  );
  assert.deepEqual(order, ["a", "b", "a", "b", "a", "b"]);
  assert.ok(result.wallRatio > 0);
});

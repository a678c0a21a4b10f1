import assert from "node:assert/strict";
import { SharedUse } from "./shared_use.ts";

/** Something that writes down when it comes and goes. */
function scene() {
  const steps: string[] = [];
  const acquire = (name: string) => () => {
    steps.push(`+${name}`);
    return Promise.resolve({
      name,
      [Symbol.asyncDispose]: () => (steps.push(`-${name}`), Promise.resolve()),
    });
  };
  return { steps, acquire, shared: new SharedUse<{ name: string } & AsyncDisposable>() };
}

Deno.test("what several use is acquired by the first and released by the last, each key for itself", async () => {
  const { steps, acquire, shared } = scene();
  const [one, two] = await Promise.all([shared.use("a", acquire("a")), shared.use("a", acquire("again"))]);
  const other = await shared.use("b", acquire("b"));
  assert.equal(one?.value, two?.value);
  await one?.[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
  assert.deepEqual(steps, ["+a", "+b", "-b"]);
  await two?.[Symbol.asyncDispose]();
  const anew = await shared.use("a", acquire("new"));
  assert.deepEqual([steps.slice(3), anew.value.name], [["-a", "+new"], "new"]);
});

Deno.test("all who wait get a failure, and who comes later tries again", async () => {
  const { acquire, shared } = scene();
  const fail = () => Promise.reject(new Error("no room"));
  const results = await Promise.allSettled([shared.use("a", fail), shared.use("a", acquire("never"))]);
  assert.deepEqual(results.map(({ status }) => status), ["rejected", "rejected"]);
  assert.equal((await shared.use("a", acquire("a"))).value.name, "a");
});

import assert from "node:assert/strict";
import { VmEvents } from "./vm_events.ts";

/** Whether a promise is resolved by now. */
async function isSettled(promise: Promise<void>): Promise<boolean> {
  return await Promise.race([promise.then(() => true), Promise.resolve().then(() => false)]);
}

Deno.test("a halt that nobody asked for is noticed, one on purpose is not", async () => {
  const events = new VmEvents();
  events.expectHalt(true);
  events.take({ name: "STOP", data: {} });
  assert.equal(await isSettled(events.halted), false);
  events.expectHalt(false);
  events.take({ name: "STOP", data: {} });
  await events.halted;
});

Deno.test("only a shutdown by the guest counts as one", () => {
  const events = new VmEvents();
  events.take({ name: "SHUTDOWN", data: { guest: false, reason: "host-signal" } });
  assert.equal(events.shutdown, undefined);
  events.take({ name: "SHUTDOWN", data: { guest: true, reason: "guest-reset" } });
  assert.equal(events.shutdown, "guest-reset");
});

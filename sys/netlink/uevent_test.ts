import assert from "node:assert/strict";
import { loopIdle } from "../poll.ts";
import { encode } from "../test_helpers.ts";
import { parseUevent, Uevents } from "./uevent.ts";

Deno.test("an event is taken apart", () => {
  const text = "add@/devices/pci0000:00/0000:00:05.0\0ACTION=add\0SUBSYSTEM=block\0EMPTY=\0A=b=c\0";
  const event = parseUevent(encode(text));
  assert.equal(event?.action, "add");
  assert.equal(event?.path, "/devices/pci0000:00/0000:00:05.0");
  assert.deepEqual(Object.fromEntries(event?.variables ?? []), {
    ACTION: "add",
    SUBSYSTEM: "block",
    EMPTY: "",
    A: "b=c",
  });
  assert.equal(parseUevent(encode("libudev\0rest")), undefined);
});

Deno.test("what the kernel tells arrives", async () => {
  const events = new Uevents();
  // Asks the kernel to tell about a device that everybody has.
  const device = "/sys/devices/virtual/mem/null";
  const next = events.next();
  Deno.writeTextFileSync(`${device}/uevent`, "change");
  let event = await next;
  while (event === "lost" || event.path !== "/devices/virtual/mem/null") event = await events.next();
  assert.equal(event.action, "change");
  assert.equal(event.variables.get("SUBSYSTEM"), "mem");
  assert.equal(event.variables.get("DEVNAME"), "null");
  const pending = events.next();
  events.close();
  await assert.rejects(pending, { code: "EBADF" });
  await loopIdle();
});

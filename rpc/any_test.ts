import assert from "node:assert/strict";
import { anyTypeName, packAny, timestamp, unpackAny } from "./any.ts";
import { TaskExitSchema, TaskStartSchema } from "./gen/events_pb.ts";

Deno.test("a message is packed under its bare name, and unpacked with or without a host before it", () => {
  const any = packAny(TaskStartSchema, { containerId: "a", pid: 3 });
  assert.equal(any.typeUrl, "containerd.events.TaskStart");
  assert.deepEqual(unpackAny(TaskStartSchema, any), { containerId: "a", pid: 3 });
  const prefixed = packAny(TaskStartSchema, { pid: 3 }, "type.googleapis.com/containerd.events.TaskStart");
  assert.equal(anyTypeName(prefixed), "containerd.events.TaskStart");
  assert.equal(unpackAny(TaskStartSchema, prefixed)?.pid, 3);
});

Deno.test("a message of another type, or none, is not unpacked; broken bytes are an error", () => {
  const any = packAny(TaskStartSchema, { pid: 3 });
  assert.equal(unpackAny(TaskExitSchema, any), undefined);
  assert.equal(unpackAny(TaskExitSchema, undefined), undefined);
  assert.throws(() => unpackAny(TaskStartSchema, { ...any, value: Uint8Array.of(0x0a) }));
});

Deno.test("times are seconds and nanoseconds, which never reach a whole second", () => {
  assert.deepEqual(timestamp(1_700_000_000_250), { seconds: 1_700_000_000n, nanos: 250_000_000 });
  assert.deepEqual(timestamp(-1), { seconds: -1n, nanos: 999_000_000 });
  assert.deepEqual(timestamp(999.9999999), { seconds: 0n, nanos: 999_999_999 });
});

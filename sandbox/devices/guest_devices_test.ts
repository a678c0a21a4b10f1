import assert from "node:assert/strict";
import { guestDeviceRules } from "./guest_devices.ts";

Deno.test("only rules that mean the same in the guest go there", () => {
  const kept = [
    { allow: false, access: "rwm" },
    { allow: true, type: "a", access: "rwm" },
    { allow: true, type: "c", access: "m" },
    { allow: true, type: "b", major: -1, minor: -1, access: "m" },
    { allow: true, type: "c", major: 1, minor: 3, access: "rwm" },
    { allow: true, type: "c", major: 5, minor: 0, access: "rwm" },
    { allow: true, type: "c", major: 136, access: "rwm" },
    { allow: true, type: "c", major: 10, minor: 229, access: "rwm" },
    { allow: false, type: "c", major: 10, minor: 200, access: "rwm" },
    { allow: true, type: "c", major: 10, access: "r" },
  ];
  const dropped = [
    { allow: true, type: "b", major: 8, minor: 0, access: "rwm" },
    { allow: true, type: "b", major: 254, access: "rwm" },
    { allow: true, type: "c", major: 195, minor: 0, access: "rwm" },
    { allow: true, type: "c", major: 10, minor: 60, access: "rwm" },
    { allow: true, type: "c", major: 10, minor: 260, access: "rwm" },
    { allow: true, major: 8, minor: 0, access: "rwm" },
  ];
  assert.deepEqual(guestDeviceRules([...dropped, ...kept, ...dropped]), kept);
});

Deno.test("what the rules say about a disk in the machine becomes rules about it alone", () => {
  const disk = { major: 8, minor: 16 };
  const about = (...rules: Parameters<typeof guestDeviceRules>[0]) =>
    guestDeviceRules(rules, [disk]).filter(({ major }) => major === 8);
  const exactly = (allow: boolean, access: string) => ({ allow, type: "b", ...disk, access });
  const none = { allow: false, access: "rwm" };
  assert.deepEqual(about(none), [exactly(false, "rwm")]);
  assert.deepEqual(about(none, { allow: true, type: "b", ...disk, access: "r" }), [
    exactly(false, "wm"),
    exactly(true, "r"),
  ]);
  assert.deepEqual(about(none, { allow: true, type: "b", major: 8, minor: -1 }), [exactly(true, "rwm")]);
  assert.deepEqual(about({ allow: true, type: "a" }, { allow: false, type: "b", major: 8, access: "w" }), [
    exactly(false, "w"),
    exactly(true, "rm"),
  ]);
  assert.deepEqual(about(none, { allow: true, type: "c", ...disk }, { allow: true, type: "b", major: 9 }), [
    exactly(false, "rwm"),
  ]);
  assert.deepEqual(guestDeviceRules([], [disk]), [], "nothing is said");
});

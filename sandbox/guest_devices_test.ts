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

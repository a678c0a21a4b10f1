import assert from "node:assert/strict";
import { CAPABILITIES, capabilityMask, capabilityMasks, capabilityNumber } from "./capabilities.ts";

Deno.test("capabilities have the numbers of linux/capability.h", () => {
  const known: [string, number][] = [
    ["CAP_CHOWN", 0],
    ["CAP_SETPCAP", 8],
    ["CAP_NET_RAW", 13],
    ["CAP_SYS_ADMIN", 21],
    ["CAP_MKNOD", 27],
    ["CAP_SYSLOG", 34],
    ["CAP_BPF", 39],
    ["CAP_CHECKPOINT_RESTORE", 40],
  ];
  for (const [name, number] of known) assert.equal(capabilityNumber(name), number);
  assert.equal(CAPABILITIES.length, 41);
});

Deno.test("capability names may lack their prefix and have any case", () => {
  assert.equal(capabilityNumber("kill"), 5);
  assert.equal(capabilityNumber("cap_kill"), 5);
  assert.equal(capabilityNumber("CAP_NONE"), undefined);
});

Deno.test("capabilityMask() leaves unknown names out", () => {
  assert.equal(capabilityMask(["CAP_CHOWN", "CAP_NONE", "CAP_CHECKPOINT_RESTORE"]), (1n << 40n) | 1n);
  assert.deepEqual(capabilityMasks({ bounding: ["CAP_CHOWN"] }), {
    bounding: 1n,
    effective: 0n,
    permitted: 0n,
    inheritable: 0n,
    ambient: 0n,
  });
});

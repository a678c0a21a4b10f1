import assert from "node:assert/strict";
import fc from "fast-check";
import { SpecError } from "../check.ts";
import type { DeviceRule } from "../spec.ts";
import { loadDeviceProgram } from "../../sys/bpf.ts";
import { deviceProgram } from "./program.ts";
import { ACCESS, allowEverything, type DeviceAccessRule, deviceRules } from "./rules.ts";
import { type DeviceAccess, isAllowed } from "./testing/interpreter.ts";

const MKNOD = ACCESS.m, READ = ACCESS.r, WRITE = ACCESS.w;

/** What may be done with a device, as letters. */
function allowed(rules: readonly DeviceRule[], device: string): string {
  const program = deviceProgram(deviceRules(rules, "p"));
  const [, type = "c", major, minor] = /^([bc]) ([0-9]+):([0-9]+)$/.exec(device) ?? [];
  const at = { type: type === "b" ? "b" : "c", major: Number(major), minor: Number(minor) } as const;
  return (["r", "w", "m"] as const).filter((letter) => isAllowed(program, { ...at, access: ACCESS[letter] }))
    .join("");
}

/** Such as "allow c 1:3 rw"; `*` is any number. */
function rules(...lines: string[]): DeviceRule[] {
  return lines.map((line) => {
    const [verb, type = "", numbers = "*:*", access = ""] = line.split(" ");
    const [major = "*", minor = "*"] = numbers.split(":");
    return {
      allow: verb === "allow",
      type,
      access,
      ...(major !== "*" && { major: Number(major) }),
      ...(minor !== "*" && { minor: Number(minor) }),
    };
  });
}

Deno.test("every container has the devices that all have, may make nodes, and nothing else", () => {
  for (
    const device of [
      "c 1:3",
      "c 1:5",
      "c 1:7",
      "c 1:8",
      "c 1:9",
      "c 5:0",
      "c 5:2",
      "c 136:0",
      "c 136:77",
      "c 10:200",
    ]
  ) {
    assert.equal(allowed([], device), "rwm", device);
  }
  for (
    const device of [
      "c 1:1",
      "c 1:2",
      "c 1:4",
      "c 1:11",
      "c 4:0",
      "c 5:1",
      "c 10:229",
      "b 8:0",
      "b 254:1",
      "b 1:3",
    ]
  ) {
    assert.equal(allowed([], device), "m", device);
  }
});

Deno.test("the last rule about a device decides", () => {
  const list = rules("deny a", "allow c 10:* rw", "deny c 10:229 w", "allow b 8:1 r", "allow b 8:1 w");
  assert.equal(allowed(list, "c 10:1"), "rwm");
  assert.equal(allowed(list, "c 10:229"), "rm");
  assert.equal(allowed(list, "b 8:1"), "rwm");
  assert.equal(allowed(list, "b 8:2"), "m");
  assert.equal(allowed(rules("allow c 10:229 rw", "deny a"), "c 10:229"), "m");
  assert.equal(allowed(rules("deny a", "allow a", "deny b 8:0 rw"), "b 8:0"), "m");
  assert.equal(allowed(rules("deny a", "allow a", "deny b 8:0 rw"), "b 8:16"), "rwm");
  assert.equal(allowed(rules("allow a *:* r"), "b 8:0"), "rm");
});

Deno.test("what is asked together is granted together, by one rule or several", () => {
  const program = deviceProgram(deviceRules(rules("allow b 8:1 r", "allow b 8:1 w", "allow b 8:2 r"), "p"));
  const both = { type: "b", major: 8, access: READ | WRITE } as const;
  assert.equal(isAllowed(program, { ...both, minor: 1 }), true);
  assert.equal(isAllowed(program, { ...both, minor: 2 }), false);
  assert.equal(isAllowed(program, { ...both, minor: 1, access: READ | WRITE | MKNOD }), true);
});

Deno.test("rules that allow everything need no program", () => {
  for (
    const [list, everything] of [
      [rules("allow a"), true],
      [rules("allow a *:* rwm"), true],
      [rules("deny a", "allow a", "allow b 8:0"), true],
      [rules("allow a", "deny b 8:0"), false],
      [rules("allow a *:* rw"), false],
      [rules("allow b", "allow c"), false],
      [rules(), false],
    ] as const
  ) {
    assert.equal(allowEverything(deviceRules(list, "p")), everything, JSON.stringify(list));
  }
});

Deno.test("rules that make no sense are refused by their path", () => {
  for (
    const [rule, message] of [
      [{ allow: true, type: "p" }, 'p[1].type must be "a", "b" or "c", as others are no devices: it is "p"'],
      [{ allow: true, type: "c", access: "rx" }, 'p[1].access must be made of "r", "w" and "m": it is "rx"'],
    ] as const
  ) {
    assert.throws(
      () => deviceRules([{ allow: false }, rule], "p"),
      (error: Error) => error instanceof SpecError && error.message === message,
    );
  }
});

const number = fc.integer({ min: 0, max: 3 });
const anyRule: fc.Arbitrary<DeviceAccessRule> = fc.record({
  allow: fc.boolean(),
  type: fc.constantFrom("b", "c", undefined),
  major: fc.option(number, { nil: undefined }),
  minor: fc.option(number, { nil: undefined }),
  access: fc.integer({ min: 1, max: 7 }),
});

/** Each of the things asked for on its own: the last rule about it decides. */
function plainly(list: readonly DeviceAccessRule[], { type, major, minor, access }: DeviceAccess): boolean {
  return [MKNOD, READ, WRITE].filter((bit) => access & bit).every((bit) =>
    list.findLast((rule) =>
      (rule.access & bit) !== 0 && (rule.type ?? type) === type && (rule.major ?? major) === major &&
      (rule.minor ?? minor) === minor
    )?.allow ?? false
  );
}

Deno.test("any rules' program says of any access what the rules say, and the kernel takes it", () => {
  const anyAccess = fc.record({
    type: fc.constantFrom("b" as const, "c" as const),
    major: number,
    minor: number,
    access: fc.integer({ min: 1, max: 7 }),
  });
  let loaded = 0;
  fc.assert(
    fc.property(
      fc.array(anyRule, { maxLength: 12 }),
      fc.array(anyAccess, { minLength: 30, maxLength: 30 }),
      (list, accesses) => {
        const program = deviceProgram(list);
        for (const access of accesses) assert.equal(isAllowed(program, access), plainly(list, access));
        if (allowEverything(list)) { for (const access of accesses) assert.ok(plainly(list, access)); }
        if (loaded++ < 100) loadDeviceProgram(program, "test").close();
      },
    ),
    { numRuns: 1000 },
  );
});

Deno.test("the kernel takes long lists", () => {
  const list = Array.from(
    { length: 500 },
    (_, minor) => ({ allow: minor % 2 === 0, type: "c", major: 300, minor }),
  );
  loadDeviceProgram(deviceProgram(deviceRules(list, "p")), "test").close();
});

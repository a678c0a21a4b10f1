/** Any profile's filter, run by an interpreter, against the plainest way of reading the profile. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { SpecError } from "../../../oci/check.ts";
import type { Seccomp, SeccompArgument } from "../../../oci/spec.ts";
import { type Architecture, architecturesOf, X32_BIT } from "./architectures.ts";
import { compileProfile } from "./compile.ts";
import { type Call, verdict } from "./testing/interpreter.ts";

const ALLOW = 0x7fff_0000, KILL = 0, KILL_PROCESS = 0x8000_0000, TRAP = 0x0003_0000, LOG = 0x7ffc_0000;
const errno = (number: number) => 0x0005_0000 | number;
const TRACE_EPERM = 0x7ff0_0001;
const EPERM = 1, ENOSYS = 38;
const X86_64 = 0xc000_003e;
type Machine = "x86_64" | "aarch64";

const NAMES = [
  "read",
  "ioctl",
  "clone",
  "socket",
  "shmget",
  "mmap2",
  "rt_sigaction",
  "mkdir",
  "statx",
  "mseal",
  "x",
];
const VALUES = [0n, 1n, 2n, 0xffff_ffffn, 0x1_0000_0000n, 0x1_0000_0001n, 0xffff_ffff_ffff_ffffn];
const ACTIONS = ["KILL", "KILL_PROCESS", "TRAP", "ERRNO", "TRACE", "LOG", "ALLOW"].map((name) =>
  `SCMP_ACT_${name}`
);
const OPS = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"].map((name) => `SCMP_CMP_${name}`);
const ARCHITECTURES = ["X86_64", "X86", "X32", "AARCH64", "ARM", "S390X"].map((name) => `SCMP_ARCH_${name}`);

const anyValue = fc.oneof(fc.constantFrom(...VALUES), fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }));
const anyArgument = fc.record({
  index: fc.integer({ min: 0, max: 5 }),
  value: anyValue,
  valueTwo: anyValue,
  op: fc.constantFrom(...OPS),
});
const anyRule = fc.record({
  names: fc.oneof(
    fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 5 }),
    fc.subarray([...architecturesOf("x86_64")[1]?.calls.keys() ?? []], { minLength: 1 }),
  ),
  action: fc.constantFrom(...ACTIONS),
  args: fc.array(anyArgument, { maxLength: 3 }),
});
const anyProfile = fc.record({
  defaultAction: fc.constantFrom(...ACTIONS),
  architectures: fc.subarray(ARCHITECTURES),
  syscalls: fc.array(anyRule, { maxLength: 8 }),
});

function fulfils(value: bigint, { op, value: first, valueTwo = 0n }: SeccompArgument, bits: number): boolean {
  const [a, b] = [BigInt.asUintN(bits, BigInt(first)), BigInt.asUintN(bits, BigInt(valueTwo))];
  switch (op) {
    case "SCMP_CMP_NE":
      return value !== a;
    case "SCMP_CMP_LT":
      return value < a;
    case "SCMP_CMP_LE":
      return value <= a;
    case "SCMP_CMP_EQ":
      return value === a;
    case "SCMP_CMP_GE":
      return value >= a;
    case "SCMP_CMP_GT":
      return value > a;
    default:
      return (value & a) === (b & a);
  }
}

const RETURNS: Readonly<Record<string, number>> = {
  SCMP_ACT_KILL: KILL,
  SCMP_ACT_KILL_PROCESS: KILL_PROCESS,
  SCMP_ACT_TRAP: TRAP,
  SCMP_ACT_ERRNO: errno(EPERM),
  SCMP_ACT_TRACE: TRACE_EPERM,
  SCMP_ACT_LOG: LOG,
  SCMP_ACT_ALLOW: ALLOW,
};

/** What a profile says of a call, read entry by entry. */
function plainly(profile: Seccomp, call: Call, on: Architecture): number {
  const fallback = RETURNS[profile.defaultAction] ?? -1;
  const rules = profile.syscalls ?? [];
  const known = rules.flatMap(({ names, args = [] }) =>
    names.flatMap((name) => {
      const behind = args.length > 0 ? [] : on.multiplexers.filter(({ members }) => members.has(name));
      return [on.calls.get(name), ...behind.map((one) => on.calls.get(one.call))];
    })
  ).filter((number) => number !== undefined);
  let otherwise: number | undefined;
  for (const { names, action, args = [] } of rules) {
    const value = RETURNS[action] ?? -1;
    const indexes = args.map(({ index }) => index);
    const holds = args.map((one) => fulfils(call.args[one.index] ?? 0n, one, on.bits));
    const matches = new Set(indexes).size === indexes.length ? holds.every(Boolean) : holds.some(Boolean);
    for (const name of names) {
      if (on.calls.get(name) === call.number) {
        if (args.length > 0 && matches) return value;
        if (args.length === 0 && value !== fallback) otherwise ??= value;
      } else if (args.length === 0) {
        const behind = on.multiplexers.find((one) => on.calls.get(one.call) === call.number)?.members.get(
          name,
        );
        if (behind !== undefined && call.args[0] === BigInt(behind)) return value;
      }
    }
  }
  if (otherwise !== undefined) return otherwise;
  const lenient = ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"].includes(profile.defaultAction);
  const isNew = known.length > 0 && known.every((number) => number < call.number);
  return isNew && !lenient ? errno(ENOSYS) : fallback;
}

Deno.test("any profile's filter says of any call what the profile says", () => {
  const anyCall = fc.record({
    name: fc.constantFrom(...NAMES, "socketcall", "ipc", "getpid", "file_setattr"),
    number: fc.option(fc.integer({ min: 0, max: 600 })),
    args: fc.array(anyValue, { minLength: 6, maxLength: 6 }),
  });
  const machines = fc.constantFrom<Machine>("x86_64", "aarch64");
  fc.assert(
    fc.property(
      anyProfile,
      machines,
      fc.array(anyCall, { minLength: 20, maxLength: 20 }),
      (profile, machine, calls) => {
        const { instructions } = compileProfile(profile, "p", machine);
        for (const on of architecturesOf(machine)) {
          const listed = on === architecturesOf(machine)[0] || profile.architectures.includes(on.name) ||
            on.audit === X86_64 && on.name === "SCMP_ARCH_X86_64" || on.name === "SCMP_ARCH_AARCH64";
          for (const { name, number, args } of calls) {
            const base = on.name === "SCMP_ARCH_X32" ? X32_BIT : 0;
            const call = {
              number: number === null ? on.calls.get(name) ?? base + 700 : base + number,
              audit: on.audit,
              args: on.bits === 32 ? args.map((value) => value & 0xffff_ffffn) : args,
            };
            const expected = listed ? plainly(profile, call, on) : KILL;
            assert.equal(verdict(instructions, call), expected, `${on.name} ${name} ${call.number}`);
          }
        }
      },
    ),
    { numRuns: 12000 },
  );
});

Deno.test("garbage makes a sentence or a filter, never a crash", () => {
  const text = fc.oneof(
    fc.string(),
    fc.constantFrom(...ACTIONS, ...OPS, ...ARCHITECTURES, "SCMP_ACT_NOTIFY"),
  );
  const number = fc.integer({ min: 0, max: 0xffff_ffff });
  const garbage = fc.record({
    defaultAction: text,
    architectures: fc.array(text, { maxLength: 2 }),
    flags: fc.array(text, { maxLength: 2 }),
    syscalls: fc.array(
      fc.record({
        names: fc.array(fc.oneof(text, fc.constantFrom(...NAMES, "__proto__", "constructor")), {
          minLength: 1,
        }),
        action: text,
        errnoRet: number,
        args: fc.array(fc.record({ index: fc.integer({ min: 0, max: 5 }), value: anyValue, op: text })),
      }, { requiredKeys: ["names", "action"] }),
      { maxLength: 3 },
    ),
    defaultErrnoRet: number,
  }, { requiredKeys: ["defaultAction"] });
  fc.assert(
    fc.property(garbage, (profile) => {
      try {
        const { instructions } = compileProfile(profile, "p");
        verdict(instructions, { number: 0, audit: X86_64, args: [0n, 0n, 0n, 0n, 0n, 0n] });
      } catch (error) {
        assert.ok(error instanceof SpecError && error.message.startsWith("p"), String(error));
      }
    }),
    { numRuns: 12000 },
  );
});

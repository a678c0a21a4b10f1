import assert from "node:assert/strict";
import { SpecError } from "../../../oci/check.ts";
import type { Seccomp, SeccompArgument, SeccompRule } from "../../../oci/spec.ts";
import { architecturesOf, X32_BIT } from "./architectures.ts";
import { compileProfile } from "./compile.ts";
import { verdict } from "./testing/interpreter.ts";
import { CONTAINERD, DOCKER } from "./testing/profiles.ts";

const ALLOW = 0x7fff_0000, KILL = 0, KILL_PROCESS = 0x8000_0000, TRAP = 0x0003_0000, LOG = 0x7ffc_0000;
const errno = (number: number) => 0x0005_0000 | number;
const trace = (number: number) => 0x7ff0_0000 + number;
const EPERM = 1, ENOSYS = 38;
const X86_64 = 0xc000_003e, X86 = 0x4000_0003, AARCH64 = 0xc000_00b7, ARM = 0x4000_0028;
type Machine = "x86_64" | "aarch64";

function numberOf(name: string, architecture = "SCMP_ARCH_X86_64", machine: Machine = "x86_64"): number {
  const number = architecturesOf(machine).find((one) => one.name === architecture)?.calls.get(name);
  assert.ok(number !== undefined, name);
  return number;
}

/** What a profile says of calls of x86-64, by name. */
function verdictOf(profile: Seccomp, name: string, ...args: (number | bigint)[]): number {
  const { instructions } = compileProfile(profile, "linux.seccomp", "x86_64");
  const six = [...args.map(BigInt), 0n, 0n, 0n, 0n, 0n, 0n].slice(0, 6);
  return verdict(instructions, { number: numberOf(name), audit: X86_64, args: six });
}

const arg = (
  index: number,
  op: string,
  value: number | bigint,
  valueTwo?: number | bigint,
): SeccompArgument => ({
  index,
  op: `SCMP_CMP_${op}`,
  value,
  ...(valueTwo !== undefined && { valueTwo }),
});

Deno.test("every action is what the kernel calls it", () => {
  const rule = (name: string, action: string, errnoRet?: number): SeccompRule => ({
    names: [name],
    action: `SCMP_ACT_${action}`,
    ...(errnoRet !== undefined && { errnoRet }),
  });
  const profile = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [
      rule("mount", "KILL"),
      rule("umount2", "KILL_THREAD"),
      rule("reboot", "KILL_PROCESS"),
      rule("swapon", "TRAP"),
      rule("swapoff", "ERRNO"),
      rule("ptrace", "ERRNO", 38),
      rule("getuid", "ERRNO", 0),
      rule("getgid", "TRACE"),
      rule("chroot", "TRACE", 0xffff),
      rule("acct", "LOG"),
    ],
  };
  const expected = {
    read: ALLOW,
    mount: KILL,
    umount2: KILL,
    reboot: KILL_PROCESS,
    swapon: TRAP,
    swapoff: errno(EPERM),
    ptrace: errno(ENOSYS),
    getuid: errno(0),
    getgid: trace(EPERM),
    chroot: trace(0xffff),
    acct: LOG,
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(verdictOf(profile, name), value, name);
});

Deno.test("arguments are compared in all their bits", () => {
  const big = 0x1_0000_0005n;
  const cases: [SeccompArgument, bigint[], bigint[]][] = [
    [arg(2, "EQ", big), [big], [5n, big + 1n, 0x1_0000_0000n, 0x2_0000_0005n]],
    [arg(2, "NE", big), [5n, big + 1n], [big]],
    [arg(2, "GT", big), [big + 1n, 0x2_0000_0000n], [big, 0xffff_ffffn, 4n]],
    [arg(2, "GE", big), [big, big + 1n, 0x2_0000_0000n], [big - 1n, 0xffff_ffffn]],
    [arg(2, "LT", big), [big - 1n, 0xffff_ffffn, 0n], [big, 0x2_0000_0000n]],
    [arg(2, "LE", big), [big, 0xffff_ffffn, 0n], [big + 1n, 0x2_0000_0000n]],
    [arg(2, "MASKED_EQ", 0xf_0000_00f0n, 0x1_0000_0010n), [0xffffff1_0000_ff1fn & 0xffffffff1ffffff1fn], [
      0x10n,
    ]],
    // Bits outside of the mask do not count, on either side.
    [arg(2, "MASKED_EQ", 0xf0, 0x11n), [0x10n, 0x1fn], [0x20n, 0n]],
    [arg(2, "MASKED_EQ", 0, 0), [0n, 0xffff_ffff_ffff_ffffn], []],
  ];
  for (const [condition, matching, other] of cases) {
    const profile = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["ioctl"], action: "SCMP_ACT_ERRNO", args: [condition] }],
    };
    for (const value of matching) {
      assert.equal(verdictOf(profile, "ioctl", 0, 0, value), errno(EPERM), `${value}`);
    }
    for (const value of other) assert.equal(verdictOf(profile, "ioctl", 0, 0, value), ALLOW, `not ${value}`);
  }
});

Deno.test("conditions of an entry hold together, but those about one argument are alternatives", () => {
  const rule = (...args: SeccompArgument[]) => ({
    defaultAction: "SCMP_ACT_ERRNO",
    syscalls: [{ names: ["socket"], action: "SCMP_ACT_ALLOW", args }],
  });
  const both = rule(arg(0, "EQ", 1), arg(1, "EQ", 2));
  assert.equal(verdictOf(both, "socket", 1, 2), ALLOW);
  assert.equal(verdictOf(both, "socket", 1, 3), errno(EPERM));
  assert.equal(verdictOf(both, "socket", 2, 2), errno(EPERM));
  const either = rule(arg(0, "EQ", 1), arg(0, "EQ", 2), arg(1, "EQ", 9));
  for (const args of [[1, 0], [2, 0], [7, 9]]) assert.equal(verdictOf(either, "socket", ...args), ALLOW);
  assert.equal(verdictOf(either, "socket", 3, 3), errno(EPERM));
});

Deno.test("entries with conditions come first, and then the first one without", () => {
  const profile = {
    defaultAction: "SCMP_ACT_KILL",
    syscalls: [
      { names: ["prctl"], action: "SCMP_ACT_LOG" },
      { names: ["prctl"], action: "SCMP_ACT_ALLOW" },
      { names: ["prctl"], action: "SCMP_ACT_ERRNO", errnoRet: 2, args: [arg(0, "EQ", 1)] },
      { names: ["prctl"], action: "SCMP_ACT_ERRNO", errnoRet: 3, args: [arg(0, "LE", 2)] },
    ],
  };
  assert.deepEqual([1, 2, 3].map((value) => verdictOf(profile, "prctl", value)), [errno(2), errno(3), LOG]);
});

Deno.test("calls that are newer than all that the profile names are not there", () => {
  const profile = {
    defaultAction: "SCMP_ACT_ERRNO",
    syscalls: [{ names: ["clone3"], action: "SCMP_ACT_ALLOW" }],
  };
  assert.equal(verdictOf(profile, "clone3"), ALLOW);
  assert.equal(verdictOf(profile, "close_range"), errno(ENOSYS));
  assert.equal(verdictOf(profile, "mount"), errno(EPERM));
  // Where nothing is denied by default, or nothing is known, there is nothing to soften.
  for (const defaultAction of ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"]) {
    assert.notEqual(verdictOf({ ...profile, defaultAction }, "close_range"), errno(ENOSYS));
  }
  assert.equal(verdictOf({ defaultAction: "SCMP_ACT_ERRNO" }, "close_range"), errno(EPERM));
});

Deno.test("names that no kernel has are left out", () => {
  const names = ["no_such_call", "read", "toString", "__proto__"];
  const profile = { defaultAction: "SCMP_ACT_ERRNO", syscalls: [{ names, action: "SCMP_ACT_ALLOW" }] };
  assert.equal(verdictOf(profile, "read"), ALLOW);
});

Deno.test("calls of an architecture that is not listed kill the thread", () => {
  const call = (machine: Machine, architectures: string[] | undefined, audit: number, number: number) => {
    const profile = {
      defaultAction: "SCMP_ACT_ALLOW",
      ...(architectures && { architectures: architectures.map((name) => `SCMP_ARCH_${name}`) }),
      syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO" }],
    };
    const { instructions } = compileProfile(profile, "linux.seccomp", machine);
    return verdict(instructions, { number, audit, args: [0n, 0n, 0n, 0n, 0n, 0n] });
  };
  const x86 = numberOf("mkdir", "SCMP_ARCH_X86");
  assert.equal(call("x86_64", undefined, X86_64, 0), ALLOW);
  assert.equal(call("x86_64", undefined, X86, x86), KILL);
  assert.equal(call("x86_64", ["X86_64"], X86, x86), KILL);
  assert.equal(call("x86_64", ["X86"], X86, x86), errno(EPERM));
  assert.equal(call("x86_64", ["X86"], X86, 3), ALLOW);
  assert.equal(call("x86_64", ["X86"], X86_64, numberOf("mkdir")), errno(EPERM));
  assert.equal(call("x86_64", ["X86_64"], X86_64, X32_BIT | 83), KILL);
  assert.equal(call("x86_64", ["X32"], X86_64, X32_BIT | 83), errno(EPERM));
  assert.equal(call("x86_64", ["X32"], X86_64, X32_BIT | 1), ALLOW);
  // What a tracer skips is no call of x32.
  assert.equal(call("x86_64", ["X86_64"], X86_64, 0xffff_ffff), ALLOW);
  assert.equal(call("x86_64", ["S390X", "ARM"], ARM, 39), KILL);
  assert.equal(call("aarch64", undefined, AARCH64, 34), errno(EPERM));
  assert.equal(call("aarch64", undefined, ARM, 39), KILL);
  assert.equal(call("aarch64", ["ARM"], ARM, 39), errno(EPERM));
  assert.equal(call("aarch64", ["X86_64"], X86_64, 83), KILL);
});

Deno.test("32-bit programs make socket calls by one number, which the filter sees through", () => {
  const profile: Seccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    architectures: ["SCMP_ARCH_X86"],
    syscalls: [{ names: ["socket", "shmget"], action: "SCMP_ACT_ERRNO", errnoRet: 97 }],
  };
  const { instructions } = compileProfile(profile, "linux.seccomp", "x86_64");
  const call = (name: string, first: bigint) => {
    const number = numberOf(name, "SCMP_ARCH_X86");
    return verdict(instructions, { number, audit: X86, args: [first, 0n, 0n, 0n, 0n, 0n] });
  };
  assert.equal(call("socket", 1n), errno(97));
  assert.equal(call("socketcall", 1n), errno(97));
  assert.equal(call("socketcall", 2n), ALLOW);
  assert.equal(call("ipc", 23n), errno(97));
  assert.equal(call("ipc", 24n), ALLOW);
});

Deno.test("flags are those of the list, or the usual one without a list", () => {
  const flags = (list?: string[]) =>
    compileProfile({
      defaultAction: "SCMP_ACT_ALLOW",
      ...(list && { flags: list.map((flag) => `SECCOMP_FILTER_FLAG_${flag}`) }),
    }).flags;
  assert.equal(flags(), 4);
  assert.equal(flags([]), 0);
  assert.equal(flags(["TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV"]), 6);
});

Deno.test("what a profile cannot mean is refused by its path", () => {
  const allow = { names: ["read"], action: "SCMP_ACT_ALLOW" };
  const cases: [Partial<Seccomp>, RegExp][] = [
    [{ defaultAction: "ALLOW" }, /^p\.defaultAction must be one of SCMP_ACT_KILL, .*: it is "ALLOW"$/],
    [{ defaultAction: "SCMP_ACT_NOTIFY" }, /^p\.defaultAction is not supported: nobody outside/],
    [
      { syscalls: [allow, { ...allow, action: "SCMP_ACT_NOTIFY" }] },
      /^p\.syscalls\[1\]\.action is not supported/,
    ],
    [{ syscalls: [{ ...allow, action: "toString" }] }, /^p\.syscalls\[0\]\.action must be one of/],
    [
      { syscalls: [{ ...allow, errnoRet: 5 }] },
      /^p\.syscalls\[0\]\.errnoRet means nothing with "SCMP_ACT_ALLOW"/,
    ],
    [{ defaultAction: "SCMP_ACT_KILL", defaultErrnoRet: 1 }, /^p\.defaultErrnoRet means nothing/],
    [{ defaultErrnoRet: 4096 }, /^p\.defaultErrnoRet must be at most 4095: it is 4096$/],
    [
      { syscalls: [{ ...allow, args: [{ index: 0, value: 1, op: "EQ" }] }] },
      /^p\.syscalls\[0\]\.args\[0\]\.op must/,
    ],
    [
      { architectures: ["SCMP_ARCH_X86", "x86"] },
      /^p\.architectures\[1\] is not a known architecture: it is "x86"$/,
    ],
    [{ flags: ["SECCOMP_FILTER_FLAG_NEW_LISTENER"] }, /^p\.flags\[0\] must be one of/],
  ];
  for (const [change, message] of cases) {
    const profile = { defaultAction: "SCMP_ACT_ERRNO", ...change };
    assert.throws(
      () => compileProfile(profile, "p"),
      (error: Error) => error instanceof SpecError && message.test(error.message),
      String(message),
    );
  }
});

Deno.test("a profile that the kernel would not take is refused", () => {
  const syscalls = Array.from({ length: 3000 }, (_, value) => ({
    names: ["ioctl"],
    action: "SCMP_ACT_ALLOW",
    args: [arg(1, "EQ", value), arg(2, "EQ", value)],
  }));
  assert.throws(() => compileProfile({ defaultAction: "SCMP_ACT_ERRNO", syscalls }, "p"), {
    message: "p makes a filter of more than 4096 instructions, the kernel's limit",
  });
});

Deno.test("the default profiles of engines allow what they list, and stay small", () => {
  for (const profile of [CONTAINERD, DOCKER]) {
    for (const machine of ["x86_64", "aarch64"] as const) {
      const { instructions } = compileProfile(profile, "linux.seccomp", machine);
      assert.ok(instructions.length / 8 < 1000, `${instructions.length / 8} instructions`);
    }
    for (const name of ["read", "execve", "openat2", "ptrace", "arch_prctl"]) {
      assert.equal(verdictOf(profile, name), ALLOW, name);
    }
    for (
      const name of ["mount", "bpf", "init_module", "keyctl", "unshare", "setns", "reboot", "userfaultfd"]
    ) {
      assert.equal(verdictOf(profile, name), errno(EPERM), name);
    }
    assert.equal(verdictOf(profile, "clone", 0x11), ALLOW);
    assert.equal(verdictOf(profile, "clone", 0x1000_0011), errno(EPERM));
    assert.equal(verdictOf(profile, "clone3"), errno(ENOSYS));
    assert.equal(verdictOf(profile, "personality", 0x8), ALLOW);
    assert.equal(verdictOf(profile, "personality", 0x40_0000), errno(EPERM));
  }
  assert.equal(verdictOf(CONTAINERD, "socket", 40), ALLOW);
  assert.equal(verdictOf(DOCKER, "socket", 40), errno(EPERM));
  assert.equal(verdictOf(DOCKER, "socket", 1), ALLOW);
});

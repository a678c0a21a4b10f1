import assert from "node:assert/strict";
import { AARCH64 } from "../../../sys/abi/aarch64.ts";
import { type Architecture, architecturesOf, isArchitectureName, X32_BIT } from "./architectures.ts";

/** Folders with a kernel's headers for an architecture, where Debian has them. */
const HEADERS = {
  x86: Deno.build.arch === "x86_64" ? "/usr/include/x86_64-linux-gnu" : "/usr/x86_64-linux-gnu/include",
  arm: "/usr/arm-linux-gnueabihf/include",
  arm64: Deno.build.arch === "aarch64" ? "/usr/include/aarch64-linux-gnu" : "/usr/aarch64-linux-gnu/include",
};

/** The calls that a header defines, by the C preprocessor. */
async function callsOf(...args: string[]): Promise<Map<string, number>> {
  const { success, stdout } = await new Deno.Command("gcc", {
    args: ["-E", "-dM", "-xc", ...args, "/dev/null"],
    stderr: "inherit",
  }).output();
  assert.ok(success, `gcc ${args.join(" ")}`);
  const values = new Map<string, string>();
  for (
    const [, name = "", value = ""] of new TextDecoder().decode(stdout).matchAll(/^#define (__\w+) (.+)$/gm)
  ) {
    values.set(name, value);
  }
  const numberOf = (text: string): number =>
    text.replace(/[()]/g, "").split("+").map((part) => part.trim())
      .reduce((sum, part) => sum + (values.has(part) ? numberOf(values.get(part) ?? "") : Number(part)), 0);
  const calls = new Map<string, number>();
  for (const [name, value] of values) {
    if (/^__NR_(syscalls|arch_specific_syscall|.*SYSCALL_(BASE|MASK))$/.test(name)) continue;
    const call = /^__(?:NR|ARM_NR)_(\w+)$/.exec(name)?.[1];
    if (call !== undefined && call !== "BASE") calls.set(call, numberOf(value));
  }
  return calls;
}

const X32_DEFINES = ["-D__X32_SYSCALL_BIT=0x40000000"];
const ARM_PRIVATE = 0xf_0000;

/** What both know is the same; what only the table has is newer than the header. */
function compare({ calls }: Architecture, header: ReadonlyMap<string, number>): void {
  assert.ok(header.size > 250, `the header has only ${header.size} calls`);
  const plain = (number: number) => number & ~X32_BIT;
  const newest = Math.max(...[...header.values()].map(plain).filter((number) => number < ARM_PRIVATE));
  const shared = [...header.values()].map(plain).filter((number) => number < 500);
  const newestShared = Math.max(...shared);
  const known = [...calls].filter(([, number]) =>
    plain(number) <= newestShared || (plain(number) > 500 && plain(number) <= newest) ||
    plain(number) >= ARM_PRIVATE
  );
  const sorted = (list: Iterable<[string, number]>) =>
    Object.fromEntries([...list].sort(([a], [b]) => a < b ? -1 : 1));
  assert.deepEqual(sorted(known), sorted(header));
  const names = [...calls.keys()].filter((name) => name !== "sync_file_range2");
  assert.equal(new Set(names.map((name) => calls.get(name))).size, names.length, "two calls have one number");
}

function named(machine: "x86_64" | "aarch64", name: string): Architecture {
  const found = architecturesOf(machine).find((one) => one.name === name);
  assert.ok(found, name);
  return found;
}

Deno.test("the numbers of x86-64, x86 and x32 are those of the headers", async () => {
  const header = (name: string) => ["-include", `${HEADERS.x86}/asm/${name}`];

  compare(named("x86_64", "SCMP_ARCH_X86_64"), await callsOf(...header("unistd_64.h")));
  compare(named("x86_64", "SCMP_ARCH_X86"), await callsOf(...header("unistd_32.h")));
  compare(named("x86_64", "SCMP_ARCH_X32"), await callsOf(...X32_DEFINES, ...header("unistd_x32.h")));
});

Deno.test("the numbers of arm and arm64 are those of the headers", async () => {
  const own = (
    folder: string,
  ) => ["-nostdinc", "-undef", `-I${folder}`, "-I/usr/include", "-include", `${folder}/asm/unistd.h`];
  const arm = await callsOf("-D__ARM_EABI__", ...own(HEADERS.arm));
  compare(named("aarch64", "SCMP_ARCH_ARM"), arm);
  const arm64 = await callsOf("-D__aarch64__", "-D__LP64__", ...own(HEADERS.arm64));
  compare(named("aarch64", "SCMP_ARCH_AARCH64"), arm64);
});

Deno.test("calls behind socketcall and ipc have the numbers of the headers", async () => {
  const { success, stdout } = await new Deno.Command("gcc", {
    args: ["-E", "-dM", "-xc", "-include", "linux/net.h", "-include", "linux/ipc.h", "/dev/null"],
  }).output();
  assert.ok(success);
  const defined = new Map<string, number>();
  for (
    const [, name = "", value = ""] of new TextDecoder().decode(stdout).matchAll(
      /^#define (\w+) ([0-9]+)\b/gm,
    )
  ) {
    defined.set(name, Number(value));
  }
  const [sockets, ipc] = named("x86_64", "SCMP_ARCH_X86").multiplexers;
  assert.ok(sockets && ipc);
  assert.equal(sockets.members.size, 20);
  for (const [name, number] of sockets.members) {
    assert.equal(defined.get(`SYS_${name.toUpperCase()}`), number, name);
  }
  assert.equal(ipc.members.size, 12);
  for (const [name, number] of ipc.members) assert.equal(defined.get(name.toUpperCase()), number, name);
});

Deno.test("calls that all architectures share are known on each", () => {
  for (const [name, number] of Object.entries(AARCH64)) {
    if (number < 424) continue;
    for (const machine of ["x86_64", "aarch64"] as const) {
      for (const { name: architecture, calls } of architecturesOf(machine)) {
        const missing = { SCMP_ARCH_ARM: "memfd_secret", SCMP_ARCH_X32: "map_shadow_stack" }[architecture];
        const wanted = architecture === "SCMP_ARCH_X32" ? number | X32_BIT : number;
        assert.equal(calls.get(name), name === missing ? undefined : wanted, `${name} of ${architecture}`);
      }
    }
  }
});

Deno.test("names of architectures are the specification's", () => {
  for (const name of ["SCMP_ARCH_X86_64", "SCMP_ARCH_S390X", "SCMP_ARCH_RISCV64"]) {
    assert.ok(isArchitectureName(name));
  }
  for (const name of ["X86_64", "SCMP_ARCH_Z80", ""]) assert.ok(!isArchitectureName(name), name);
});

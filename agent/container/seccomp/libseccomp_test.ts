/**
 * Filters against those of libseccomp, which other runtimes make theirs with: both are run by the interpreter, for all
 * numbers of all architectures.
 */

import assert from "node:assert/strict";
import type { Seccomp, SeccompRule } from "../../../oci/spec.ts";
import { returnValue } from "./actions.ts";
import { type Architecture, architecturesOf } from "./architectures.ts";
import { compileProfile } from "./compile.ts";
import { verdict } from "./testing/interpreter.ts";
import { CONTAINERD, DOCKER } from "./testing/profiles.ts";

/** How the library names architectures; x32 is one of its own there. */
const TOKENS: Readonly<Record<string, number>> = {
  SCMP_ARCH_X86_64: 0xc000_003e,
  SCMP_ARCH_X86: 0x4000_0003,
  SCMP_ARCH_X32: 0x4000_003e,
  SCMP_ARCH_AARCH64: 0xc000_00b7,
  SCMP_ARCH_ARM: 0x4000_0028,
};
const OPERATORS = ["", "NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"].map((name) => `SCMP_CMP_${name}`);
const ENOSYS = 0x0005_0026;
const COMPARISON_SIZE = 24;

/** The library's functions. */
class Library implements Disposable {
  readonly #library = Deno.dlopen("libseccomp.so.2", {
    seccomp_init: { parameters: ["u32"], result: "pointer" },
    seccomp_release: { parameters: ["pointer"], result: "void" },
    seccomp_arch_add: { parameters: ["pointer", "u32"], result: "i32" },
    seccomp_syscall_resolve_name: { parameters: ["buffer"], result: "i32" },
    seccomp_rule_add_array: { parameters: ["pointer", "u32", "i32", "u32", "buffer"], result: "i32" },
    seccomp_export_bpf: { parameters: ["pointer", "i32"], result: "i32" },
  });

  /** Whether the library knows a name at all. */
  knows(name: string): boolean {
    return this.#number(name) !== -1;
  }

  #number(name: string): number {
    return this.#library.symbols.seccomp_syscall_resolve_name(new TextEncoder().encode(`${name}\0`));
  }

  /** The filter that it makes of a profile. */
  compile(profile: Seccomp, architectures: readonly Architecture[]): Uint8Array {
    const { symbols } = this.#library;
    const fallback = returnValue(profile.defaultAction, profile.defaultErrnoRet, "p");
    const context = symbols.seccomp_init(fallback);
    try {
      for (const { name } of architectures.slice(1)) {
        assert.equal(symbols.seccomp_arch_add(context, TOKENS[name] ?? 0), 0, name);
      }
      for (const rule of profile.syscalls ?? []) this.#add(context, rule, fallback);
      const path = Deno.makeTempFileSync();
      using file = Deno.openSync(path, { write: true, read: true });
      Deno.removeSync(path);
      assert.equal(symbols.seccomp_export_bpf(context, descriptorOf(file)), 0);
      const bytes = new Uint8Array(file.statSync().size);
      file.seekSync(0, Deno.SeekMode.Start);
      file.readSync(bytes);
      return bytes;
    } finally {
      symbols.seccomp_release(context);
    }
  }

  #add(
    context: Deno.PointerValue,
    { names, action, errnoRet, args = [] }: SeccompRule,
    fallback: number,
  ): void {
    const value = returnValue(action, errnoRet, "p");
    if (value === fallback) return;
    const comparisons = new Uint8Array(Math.max(1, args.length) * COMPARISON_SIZE);
    const view = new DataView(comparisons.buffer);
    args.forEach(({ index, op, value: first, valueTwo = 0 }, at) => {
      view.setUint32(at * COMPARISON_SIZE, index, true);
      view.setUint32(at * COMPARISON_SIZE + 4, OPERATORS.indexOf(op), true);
      view.setBigUint64(at * COMPARISON_SIZE + 8, BigInt(first), true);
      view.setBigUint64(at * COMPARISON_SIZE + 16, BigInt(valueTwo), true);
    });
    for (const name of names) {
      const number = this.#number(name);
      const { seccomp_rule_add_array: add } = this.#library.symbols;
      assert.equal(add(context, value, number, args.length, comparisons), 0, `${name} ${action}`);
    }
  }

  [Symbol.dispose](): void {
    this.#library.close();
  }
}

/** The number of the file that was opened last and is no longer in any folder. */
function descriptorOf(file: Deno.FsFile): number {
  const { ino } = file.statSync();
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      if (Deno.statSync(`/proc/self/fd/${name}`).ino === ino) return Number(name);
    } catch {
      // The descriptor that the folder was read by.
    }
  }
  return -1;
}

const MACHINE = Deno.build.arch;

/** First arguments that the profiles or multiplexed calls tell apart. */
const FIRST = [0n, 1n, 8n, 20n, 40n, 0x11n, 0x2_0000n, 0x2_0008n, 0x1000_0011n, 0xffff_ffffn, 0x1_0000_0001n];

function compare(library: Library, given: Seccomp): void {
  const syscalls =
    given.syscalls?.map((rule) => ({ ...rule, names: rule.names.filter((name) => library.knows(name)) }))
      .filter(({ names }) => names.length > 0) ?? [];
  const architectures = architecturesOf(MACHINE);
  const profile = { ...given, architectures: architectures.map(({ name }) => name), syscalls };
  const ours = compileProfile(profile, "p", MACHINE).instructions;
  const theirs = library.compile(profile, architectures);
  let compared = 0;
  for (const { name: on, audit, calls, bits } of architectures) {
    const listed = syscalls.flatMap(({ names }) => names.map((name) => calls.get(name) ?? -1));
    const highest = Math.max(...listed.filter((number) => (number & 0xf_ffff) < 0xf_0000));
    for (const [name, number] of calls) {
      for (const first of FIRST) {
        const call = { number, audit, args: [BigInt.asUintN(bits, first), 0n, 0n, 0n, 0n, 0n] };
        // The library knows nothing of calls that are newer than a profile; runtimes see to them.
        const mine = verdict(ours, call);
        if (number > highest && mine === ENOSYS) continue;
        assert.equal(mine, verdict(theirs, call), `${on} ${name}(${first})`);
        compared++;
      }
    }
  }
  assert.ok(compared > 5000, `${compared} calls were compared`);
}

Deno.test("filters of default profiles say what those of libseccomp say", () => {
  using library = new Library();
  for (const profile of [CONTAINERD, DOCKER]) compare(library, profile);
});

Deno.test("denied socket and ipc calls are denied behind their multiplexers, as by libseccomp", () => {
  using library = new Library();
  const names = ["socket", "bind", "sendto", "shmget", "semop", "msgctl", "mount"];
  compare(library, {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names, action: "SCMP_ACT_ERRNO", errnoRet: 13 }],
  });
});

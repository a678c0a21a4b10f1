import assert from "node:assert/strict";
import { compileProfile } from "./compile.ts";
import { disassemble } from "./disassemble.ts";
import { CONTAINERD } from "./testing/profiles.ts";

Deno.test("disassemble() names what is loaded, compared and returned", () => {
  const { instructions } = compileProfile(
    {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{
        names: ["mkdir"],
        action: "SCMP_ACT_ERRNO",
        errnoRet: 5,
        args: [{ index: 1, value: 2, op: "SCMP_CMP_EQ" }],
      }],
    },
    "p",
    "x86_64",
  );
  const lines = disassemble(instructions);
  assert.equal(lines[0], "0: load arch");
  assert.match(lines[1] ?? "", /^1: if == 0xc000003e goto 2, else \d+$/);
  const text = lines.join("\n");
  for (
    const part of [
      "load nr",
      "load args[1].low",
      "load args[1].high",
      "return ERRNO(5)",
      "return ALLOW",
      "return KILL_THREAD",
    ]
  ) {
    assert.ok(text.includes(part), part);
  }
});

Deno.test("disassemble() knows every instruction of containerd's profile, and leads nowhere outside", () => {
  const { instructions } = compileProfile(CONTAINERD, "p", "x86_64");
  const lines = disassemble(instructions);
  assert.equal(lines.length, instructions.length / 8);
  for (const line of lines) {
    assert.doesNotMatch(line, /code 0x/);
    for (const [, target] of line.matchAll(/(?:goto|else) (\d+)/g)) {
      assert.ok(Number(target) < lines.length, line);
    }
  }
});

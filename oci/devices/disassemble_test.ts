import assert from "node:assert/strict";
import { disassembleDeviceProgram, ruleText } from "./disassemble.ts";
import { deviceProgram } from "./program.ts";
import { deviceRules } from "./rules.ts";

Deno.test("ruleText() writes a rule in one line", () => {
  const [first, second] = deviceRules([{ allow: false, access: "rwm" }, {
    allow: true,
    type: "c",
    major: 1,
    minor: 3,
    access: "rw",
  }], "d");
  assert.equal(first && ruleText(first), "deny a *:* rwm");
  assert.equal(second && ruleText(second), "allow c 1:3 rw");
});

Deno.test("disassembleDeviceProgram() knows every instruction, and leads nowhere outside", () => {
  const program = deviceProgram(deviceRules([
    { allow: false },
    { allow: true, type: "b", major: 8, access: "r" },
    { allow: false, type: "c", major: 5, minor: 1, access: "w" },
  ], "d"));
  const lines = disassembleDeviceProgram(program);
  assert.equal(lines.length, program.length / 8);
  assert.equal(lines[0], "0: w2 = context[0]");
  assert.equal(lines.at(-1), `${lines.length - 1}: return w0`);
  for (const line of lines) {
    assert.doesNotMatch(line, /operation/);
    for (const [, target] of line.matchAll(/goto (\d+)/g)) assert.ok(Number(target) < lines.length, line);
  }
  assert.match(lines.join("\n"), /if w2 != 0x1 goto \d+\n\d+: if w4 != 0x8 goto/);
});

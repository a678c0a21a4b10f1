import assert from "node:assert/strict";
import { didYouMean } from "./spelling.ts";

Deno.test("what is near a name asks for it, what is far is left alone", () => {
  const names = ["check", "env", "version", "install", "uninstall", "direct-volume"];
  const slips = {
    chekc: "check",
    verison: "version",
    instal: "install",
    "direct-volumes": "direct-volume",
    evn: "env",
  };
  for (const [slip, name] of Object.entries(slips)) {
    assert.equal(didYouMean(slip, names), `: did you mean "${name}"?`);
  }
  for (const text of ["", "x", "zebra", "completion", "c".repeat(10_000)]) {
    assert.equal(didYouMean(text, names), "");
  }
  assert.equal(didYouMean("evn", names, (name) => `--${name}`), ": did you mean --env?");
});

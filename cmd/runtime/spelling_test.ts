import assert from "node:assert/strict";
import { didYouMean, nearest } from "./spelling.ts";

const NAMES = ["check", "env", "version", "install", "uninstall", "direct-volume"];

Deno.test("the nearest name is found through slips of the hand", () => {
  const slips = { chekc: "check", verison: "version", instal: "install", "direct-volumes": "direct-volume" };
  for (const [slip, name] of Object.entries(slips)) assert.equal(nearest(slip, NAMES), name);
  assert.equal(nearest("enb", NAMES), "env");
});

Deno.test("what is far from every name is left alone", () => {
  for (const text of ["", "x", "zebra", "completion", "c".repeat(10_000)]) {
    assert.equal(nearest(text, NAMES), undefined, text.slice(0, 20));
  }
  assert.equal(didYouMean("zebra", NAMES), "");
  assert.equal(didYouMean("evn", NAMES), ': did you mean "env"?');
});

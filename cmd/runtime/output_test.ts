import assert from "node:assert/strict";
import { printable } from "./output.ts";

Deno.test("what is printed on a terminal does nothing to it", () => {
  const text = "a\tb\nc\r\x1b]0;title\x07\x1b[2J\x9b31m\x7fä€";
  assert.equal(printable(text), "a\tb\nc\\x0d\\x1b]0;title\\x07\\x1b[2J\\x9b31m\\x7fä€");
});

import assert from "node:assert/strict";
import fc from "fast-check";
import { LineSplitter, Tail } from "./lines.ts";

function split(pieces: readonly Uint8Array[], maxLength = 1000): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line), maxLength);
  for (const piece of pieces) splitter.push(piece);
  splitter.end();
  return lines;
}

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("a LineSplitter hands out lines without their ends, and a last one that has none", () => {
  assert.deepEqual(split([bytes("one\n\ntwo\nthree")]), ["one", "", "two", "three"]);
  assert.deepEqual(split([bytes("one\n")]), ["one"]);
  assert.deepEqual(split([]), []);
});

Deno.test("a LineSplitter finds the same lines wherever the bytes are cut, inside a character too", () => {
  const lines = fc.array(fc.string({ unit: "grapheme" }).map((text) => text.replaceAll("\n", "")));
  fc.assert(fc.property(lines, fc.array(fc.nat(400)), (lines, cuts) => {
    const whole = bytes(lines.map((line) => line + "\n").join(""));
    const at = [0, ...cuts.map((cut) => Math.min(cut, whole.length)).sort((a, b) => a - b), whole.length];
    const pieces = at.slice(1).map((end, index) => whole.subarray(at[index], end));
    assert.deepEqual(split(pieces), lines);
  }));
});

Deno.test("a LineSplitter cuts lines that are too long, and holds no more than that", () => {
  assert.deepEqual(split([bytes("abcdefgh"), bytes("ij\nkl\n")], 4), ["abcd", "efgh", "ij", "kl"]);
  assert.deepEqual(split([bytes("abcd\n")], 4), ["abcd"]);
});

Deno.test("a Tail keeps the last lines, oldest first", () => {
  const tail = new Tail(2);
  assert.deepEqual(tail.lines, []);
  for (const line of ["a", "b", "c"]) tail.push(line);
  assert.deepEqual(tail.lines, ["b", "c"]);
});

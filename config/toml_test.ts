import assert from "node:assert/strict";
import { nearest } from "./nearest.ts";
import { linesOf, parseLines } from "./toml.ts";

Deno.test("lines of keys are found in tables, dotted names, and behind texts of several lines", () => {
  const lines = linesOf(`top = 1
[a.b] # a comment with [c]
x = """
[d]
x = 2
"""
"y" = '''one'''
z = [
  "p = 1",
  "[e]",
]
deep.er = { inline = 1 }
[ a . "c" ]
x=1
`);
  assert.deepEqual(Object.fromEntries(lines), {
    top: 1,
    a: 2,
    "a.b": 2,
    "a.b.x": 3,
    "a.b.y": 7,
    "a.b.z": 8,
    "a.b.deep": 12,
    "a.b.deep.er": 12,
    "a.c": 13,
    "a.c.x": 14,
  });
});

Deno.test("a text with lines that are no TOML still says what the others say", () => {
  const { tables, problems } = parseLines("[a]\nx = 1\ny = = 2\nz = 3\nz = 4\n");
  assert.equal(JSON.stringify(tables), '{"a":{"x":1,"z":3}}');
  assert.deepEqual(problems.map(({ line }) => line), [3, 5]);
  assert.deepEqual(parseLines("a = 1").problems, []);
});

Deno.test("a text without any TOML ends in a few problems", () => {
  const { problems } = parseLines("no toml\n".repeat(1000));
  assert.ok(problems.length > 0 && problems.length <= 20);
});

Deno.test("a slip is recognised, and no more than a slip", () => {
  const words = ["default_memory", "default_vcpus", "kernel", "virtio-fs"];
  assert.equal(nearest("default_memroy", words), "default_memory");
  assert.equal(nearest("DefaultMemory", words), "default_memory");
  assert.equal(nearest("kernal", words), "kernel");
  assert.equal(nearest("virtio_fs", words), "virtio-fs");
  assert.equal(nearest("x", words), undefined);
  assert.equal(nearest("", words), undefined);
  assert.equal(nearest("default_memory".repeat(100), words), undefined);
});

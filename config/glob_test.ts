import fc from "fast-check";
import assert from "node:assert/strict";
import { matchesGlob } from "./glob.ts";

Deno.test("patterns match as the shell's do", () => {
  const yes: [string, string][] = [
    ["/usr/bin/qemu", "/usr/bin/qemu"],
    ["/usr/bin/qemu*", "/usr/bin/qemu-system-x86_64"],
    ["/usr/*/qemu", "/usr/bin/qemu"],
    ["/a/?b", "/a/xb"],
    ["/a/[a-c]x", "/a/bx"],
    ["/a/[!a-c]x", "/a/dx"],
    ["/a/[^a-c]x", "/a/dx"],
    ["/a/[]x]", "/a/]"],
    ["/a/[", "/a/["],
    ["/a/\\*", "/a/*"],
    ["/a/.*", "/a/.hidden"],
    ["/a/x.y+(z)", "/a/x.y+(z)"],
  ];
  for (const [pattern, path] of yes) assert.ok(matchesGlob(pattern, path), `${pattern} ${path}`);
  const no: [string, string][] = [
    ["/usr/bin/qemu", "/usr/bin/qemu2"],
    ["/usr/bin/*", "/usr/bin/sub/qemu"],
    ["/usr/*", "/usr/.."],
    ["/a/*", "/a/.hidden"],
    ["/a/?", "/a/."],
    ["/a/[!a]x", "/a/.x"],
    ["/a/[a-c]x", "/a/dx"],
    ["/a/x.y", "/a/xzy"],
    ["", "/a"],
  ];
  for (const [pattern, path] of no) assert.ok(!matchesGlob(pattern, path), `${pattern} ${path}`);
});

Deno.test("any pattern can be tried on any path", () => {
  const part = fc.constantFrom(
    "a",
    "[",
    "]",
    "!",
    "^",
    "-",
    "*",
    "?",
    "\\",
    "/",
    ".",
    "(",
    "{",
    "&&",
    "--",
    "z-a",
  );
  const text = fc.array(part, { maxLength: 8 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(text, text, (pattern, path) => {
      assert.equal(typeof matchesGlob(pattern, path), "boolean");
    }),
    { numRuns: 5000 },
  );
});

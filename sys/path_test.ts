import assert from "node:assert/strict";
import * as posix from "node:path/posix";
import fc from "fast-check";
import { basename, dirname, isWithin, resolve } from "./path.ts";

const name = fc.constantFrom("a", "bc", ".", "..", "", "d.e");
const path = fc.array(name, { minLength: 1, maxLength: 6 }).map((parts) => parts.join("/"));

Deno.test("resolve() is what node:path makes of any two paths", () => {
  fc.assert(fc.property(path, (text) => {
    assert.equal(resolve("/base/x", text), posix.resolve("/base/x", text));
    assert.equal(resolve("/base/x", `/${text}`), posix.resolve("/base/x", `/${text}`));
  }));
});

Deno.test("dirname() and basename() split at the last slash", () => {
  for (const text of ["/a/b", "/a", "/a/b.c", "a", "a/b"]) {
    assert.equal(dirname(text), posix.dirname(text), text);
    assert.equal(basename(text), posix.basename(text), text);
  }
});

Deno.test("isWithin() does not take a longer name for a folder below", () => {
  assert.ok(isWithin("/run/a", "/run/a") && isWithin("/run/a/b", "/run/a"));
  assert.ok(!isWithin("/run/ab", "/run/a"));
});

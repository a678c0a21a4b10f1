import assert from "node:assert/strict";
import { debianSource, majorOf, versionIn } from "./newer_containerd.ts";

Deno.test("a version is found in what containerd prints", () => {
  const version = versionIn("containerd github.com/containerd/containerd/v2 2.1.9+unknown \n");
  assert.deepEqual([version, majorOf(version)], ["2.1.9", 2]);
  assert.equal(versionIn("containerd github.com/containerd/containerd v1.7.24~ds1 1.7.24"), "1.7.24");
  assert.equal(majorOf("12.0"), 12);
  assert.throws(() => versionIn("not found\n"), /cannot find a version in "not found"/);
});

Deno.test("packages come from where this machine has its own", () => {
  const other = "https://example.org/|Example|main";
  const lines = [other, "http://a/debian-security/|Debian|main", "http://a/debian/|Debian|contrib"];
  assert.equal(debianSource([...lines, "http://a/debian/|Debian|main", ""].join("\n")), "http://a/debian/");
  assert.throws(() => debianSource(other), { message: "this machine's packages are not Debian's" });
});

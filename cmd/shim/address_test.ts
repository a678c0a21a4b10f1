import assert from "node:assert/strict";
import { joinPath, pathOfAddress, socketPath } from "./address.ts";

Deno.test("a socket's path is the hash of containerd's address, the namespace and the sandbox", async () => {
  assert.equal(
    await socketPath("/run/containerd/containerd.sock", "k8s.io", "abc"),
    "/run/containerd/s/a99a1752d3a0fadfb1f869026f16760475df03a572e20f4ccea9e6c1e5470b72",
  );
  assert.match(await socketPath("/c", "n", "i", "/short"), /^\/short\/[0-9a-f]{64}$/);
});

Deno.test("paths are joined and cleaned", () => {
  const cases: [string[], string][] = [
    [["/run/c.sock", "ns", "id"], "/run/c.sock/ns/id"],
    [["/run//c.sock/", "./ns", "id"], "/run/c.sock/ns/id"],
    [["/a/b/../c", "", "d"], "/a/c/d"],
    [["/../a"], "/a"],
    [["a", "..", "..", "b"], "../b"],
    [[], ""],
  ];
  for (const [parts, path] of cases) assert.equal(joinPath(...parts), path, parts.join(" "));
});

Deno.test("addresses with and without a scheme", () => {
  assert.equal(pathOfAddress("unix:///run/x"), "/run/x");
  assert.equal(pathOfAddress("/run/x"), "/run/x");
});

import assert from "node:assert/strict";
import { Code } from "../../rpc/errors.ts";
import { overheadPath, sandboxCgroupPath } from "./path.ts";

Deno.test("a sandbox's cgroup is beside the one that its container would have", () => {
  const at = (cgroupsPath: string | undefined) => sandboxCgroupPath(cgroupsPath, "s1");
  assert.equal(at("/kubepods/pod1/abc"), "kubepods/pod1/kata_abc");
  assert.equal(at("/a/./b//c/"), "a/b/kata_c");
  assert.equal(at("a/b"), "vc/a/kata_b");
  assert.equal(
    at("kubepods-burstable-pod1_2.slice:cri-containerd:abc"),
    "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-abc.scope",
  );
  assert.equal(at(":p:n"), "system.slice/p-n.scope");
  assert.equal(at("-.slice::n"), "n.scope");
  for (const path of ["/", "..", "/a/../b", "/a/..", "x:p:n"]) {
    assert.throws(() => at(path), { code: Code.InvalidArgument }, path);
  }
});

Deno.test("a sandbox that nobody has named a cgroup for gets one after its id", () => {
  for (const path of [undefined, ""]) assert.equal(sandboxCgroupPath(path, "s1"), "vc/kata_s1");
  assert.equal(overheadPath("s1"), "kata_overhead/s1");
});

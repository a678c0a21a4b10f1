import assert from "node:assert/strict";
import { groupOf, readAnnotations } from "./grouping.ts";

const CRI = "io.kubernetes.cri.container-type";

Deno.test("a container without annotations is a sandbox of its own", () => {
  assert.deepEqual(groupOf({}, "c1"), { kind: "single_container", sandboxId: "c1" });
});

Deno.test("every engine's annotations are understood", () => {
  const pod = { kind: "pod_sandbox", sandboxId: "c1" };
  assert.deepEqual(groupOf({ [CRI]: "sandbox" }, "c1"), pod);
  assert.deepEqual(groupOf({ "io.kubernetes.cri-o.ContainerType": "sandbox" }, "c1"), pod);
  assert.deepEqual(groupOf({ "io.kubernetes.docker.type": "podsandbox" }, "c1"), pod);
  const member = { kind: "pod_container", sandboxId: "s1" };
  assert.deepEqual(groupOf({ [CRI]: "container", "io.kubernetes.cri.sandbox-id": "s1" }, "c1"), member);
  assert.deepEqual(
    groupOf(
      { "io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.cri-o.SandboxID": "s1" },
      "c1",
    ),
    member,
  );
  assert.deepEqual(
    groupOf({ "io.kubernetes.docker.type": "container", "io.kubernetes.sandbox.id": "s1" }, "c1"),
    member,
  );
});

Deno.test("an unknown type, and a member of no pod, are errors", () => {
  assert.throws(() => groupOf({ [CRI]: "what" }, "c1"), { message: 'unknown container type "what"' });
  assert.throws(() => groupOf({ [CRI]: "container" }, "c1"), {
    message: 'container "c1" belongs to a pod, but no annotation names its sandbox',
  });
});

Deno.test("a bundle without a spec has no annotations, one with a broken spec is an error", async () => {
  const bundle = await Deno.makeTempDir();
  try {
    assert.deepEqual(readAnnotations(bundle), {});
    await Deno.writeTextFile(`${bundle}/config.json`, '{"annotations":{"a":"b"}}');
    assert.deepEqual(readAnnotations(bundle), { a: "b" });
    await Deno.writeTextFile(`${bundle}/config.json`, "[]");
    assert.deepEqual(readAnnotations(bundle), {});
    await Deno.writeTextFile(`${bundle}/config.json`, "{");
    assert.throws(() => readAnnotations(bundle), /config.json is not valid JSON/);
  } finally {
    await Deno.remove(bundle, { recursive: true });
  }
});

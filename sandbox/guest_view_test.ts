import assert from "node:assert/strict";
import { guestView } from "./guest_view.ts";
import { testSpec } from "./testing/fake_host.ts";

const mounts = [
  { destination: "/proc", type: "proc", source: "proc" },
  { destination: "/etc/hosts", type: "bind", source: "hosts", options: ["rbind", "ro"] },
];

Deno.test("guestView() is the specification with the guest's paths", () => {
  const container = {
    id: "c1",
    bundle: "/bundle",
    spec: testSpec({ mounts, linux: { namespaces: [{ type: "network", path: "/n" }] } }),
  };
  const { spec, sandboxPidns } = guestView(container, () => "file");
  assert.equal(spec.root.path, "/run/kata-containers/shared/containers/c1/rootfs");
  assert.deepEqual(spec.mounts?.map(({ source }) => source), [
    "proc",
    "/run/kata-containers/shared/containers/c1-…-hosts",
  ]);
  assert.deepEqual([spec.linux?.namespaces, sandboxPidns], [[], false]);
});

Deno.test("guestView() refuses what cannot be shared, and hooks that nobody can run", () => {
  const container = { id: "c1", bundle: "/bundle", spec: testSpec({ mounts }) };
  assert.throws(() => guestView(container, () => undefined), /its source "\/bundle\/hosts" does not exist/);
  const spec = testSpec({ hooks: { createContainer: [{ path: "/h" }] } });
  assert.throws(
    () => guestView({ ...container, spec }, () => "file"),
    /hooks\.createContainer is not supported/,
  );
});

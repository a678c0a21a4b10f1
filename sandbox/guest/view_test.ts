import assert from "node:assert/strict";
import { type FileKind, MOUNT_HOST } from "../storage/mount_host.ts";
import { testSpec } from "../testing/fake_host.ts";
import { guestView } from "./view.ts";

const mounts = [
  { destination: "/proc", type: "proc", source: "proc" },
  { destination: "/etc/hosts", type: "bind", source: "hosts", options: ["rbind", "ro"] },
];

/** A host where every path is of one kind. */
const where = (kind: FileKind) => ({ ...MOUNT_HOST, kindOf: () => kind });

Deno.test("guestView() is the specification with the guest's paths", () => {
  const container = {
    id: "c1",
    bundle: "/bundle",
    spec: testSpec({ mounts, linux: { namespaces: [{ type: "network", path: "/n" }] } }),
  };
  const { spec, sandboxPidns } = guestView(container, where("file"));
  assert.equal(spec.root.path, "/run/kata-containers/shared/containers/c1/rootfs");
  assert.deepEqual(spec.mounts?.map(({ source }) => source), [
    "proc",
    "/run/kata-containers/shared/containers/c1-…-hosts",
  ]);
  assert.deepEqual([spec.linux?.namespaces, sandboxPidns], [[], false]);
});

Deno.test("guestView() refuses what cannot be shared, and hooks that nobody can run", () => {
  const container = { id: "c1", bundle: "/bundle", spec: testSpec({ mounts }) };
  assert.throws(() => guestView(container, where(undefined)), /its source "\/bundle\/hosts" does not exist/);
  const spec = testSpec({ hooks: { createContainer: [{ path: "/h" }] } });
  assert.throws(
    () => guestView({ ...container, spec }, where("file")),
    /hooks\.createContainer is not supported/,
  );
});

import assert from "node:assert/strict";
import type { Linux, Process, Spec } from "../../oci/spec.ts";
import { refuseUnsupported } from "./supported.ts";

function spec(change: Partial<Spec>): Spec {
  const process: Process = { user: { uid: 0, gid: 0 }, args: ["a"], cwd: "/" };
  return { ociVersion: "1.0.0", process, root: { path: "/r" }, ...change };
}

function withLinux(linux: Linux): Spec {
  return spec({ linux });
}

Deno.test("what is not supported is refused by its JSON path and value", () => {
  const cases: [Spec, string][] = [
    [
      withLinux({ namespaces: [{ type: "mount", path: "/x" }] }),
      `linux.namespaces[0].path is not supported, as a container has mounts of its own: it is "/x"`,
    ],
    [
      withLinux({ intelRdt: { closID: "x" } }),
      "linux.intelRdt is not supported, as a guest has no control over",
    ],
    [withLinux({ netDevices: { eth0: {} } }), "linux.netDevices is not supported"],
  ];
  for (const [made, problem] of cases) {
    assert.throws(
      () => refuseUnsupported(made),
      (error: Error) => error.name === "SpecError" && error.message.startsWith(problem),
      problem,
    );
  }
});

Deno.test("empty fields ask for nothing", () => {
  refuseUnsupported(spec({ mounts: [{ destination: "/a", uidMappings: [] }] }));
  refuseUnsupported(withLinux({
    namespaces: [{ type: "mount" }, { type: "pid" }],
    uidMappings: [],
    timeOffsets: {},
    personality: { domain: "LINUX" },
  }));
});

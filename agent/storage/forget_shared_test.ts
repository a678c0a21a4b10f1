import assert from "node:assert/strict";
import { parseMountinfoLine } from "../../sys/mountinfo.ts";
import { mountsOf } from "./forget_shared.ts";

const SHARE = "/run/kata-containers/shared/containers";

function mounts(...lines: readonly [path: string, fstype: string][]) {
  return lines.map(([path, fstype], index) =>
    parseMountinfoLine(`${index + 30} 29 0:${index + 20} / ${path} rw,relatime - ${fstype} kataShared rw`)
  );
}

Deno.test("mounts of the share that were a container's are found, innermost first, and no others", () => {
  const found = mounts(
    ["/run/kata-containers/shared/containers", "virtiofs"],
    [`${SHARE}/c1/rootfs`, "virtiofs"],
    [`${SHARE}/c1/rootfs/deep`, "virtiofs"],
    [`${SHARE}/c1-0123456789abcdef-data`, "virtiofs"],
    [`${SHARE}/c1-0123456789abcdef-data/tmp`, "tmpfs"],
    [`${SHARE}/c11/rootfs`, "virtiofs"],
    [`${SHARE}/c1-x/rootfs`, "virtiofs"],
    [`${SHARE}/sandbox-mounts/c1`, "virtiofs"],
    ["/elsewhere/c1/rootfs", "virtiofs"],
  );
  assert.deepEqual(mountsOf(found, SHARE, "c1"), [
    `${SHARE}/c1-0123456789abcdef-data`,
    `${SHARE}/c1/rootfs/deep`,
    `${SHARE}/c1/rootfs`,
  ]);
  assert.deepEqual(mountsOf(found, SHARE, "c2"), []);
});

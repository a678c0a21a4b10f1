import assert from "node:assert/strict";
import { parseMountinfoLine } from "../../sys/mountinfo.ts";
import { MNT, mount, umount } from "../../sys/mount.ts";
import { tempDir } from "../../sys/test_helpers.ts";
import type { Logger } from "../log.ts";
import { forgetShared, lookAtShared, mountsOf } from "./forget_shared.ts";

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

Deno.test("all mounts of the share are looked at, whatever becomes of a look", () => {
  using folder = tempDir();
  const base = folder.path;
  const inner = ["shared/containers", "shared/containers/c1/rootfs", "shared/elsewhere"].map((path) =>
    `${base}/${path}`
  );
  using mounted = new DisposableStack();
  for (const path of inner) {
    Deno.mkdirSync(path, { recursive: true });
    mount("tmpfs", path, "tmpfs", 0);
    mounted.defer(() => umount(path, MNT.DETACH));
  }
  const looked: string[] = [];
  lookAtShared(base, (path) => {
    looked.push(path);
    throw new Deno.errors.NotFound("stale");
  });
  assert.deepEqual(looked, inner.slice(0, 2));
  lookAtShared(base);
  // what is no share of the host's is left alone
  const warned: string[] = [];
  const log = { warn: (message: string) => void warned.push(message) } as unknown as Logger;
  forgetShared(base, "c1", log);
  lookAtShared(base, (path) => looked.push(path));
  assert.deepEqual([looked.length, warned], [4, []]);
});

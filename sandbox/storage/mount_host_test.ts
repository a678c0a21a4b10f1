import assert from "node:assert/strict";
import { parseMountinfoLine } from "../../sys/mountinfo.ts";
import { run } from "../../tools/process.ts";
import { MOUNT_HOST, placeWithin } from "./mount_host.ts";

const POD = "/var/lib/kubelet/pods/x";
const VOLUME = `${POD}/volumes/kubernetes.io~empty-dir`;
const BOUND = `${POD}/volume-subpaths`;

/** Mounts by their numbers, roots and places. */
function mounts(...lines: readonly (readonly [device: string, root: string, place: string])[]) {
  return lines.map(([device, root, place]) =>
    parseMountinfoLine(`1 1 ${device} ${root} ${place} rw - ext4 /dev/sda rw`)
  );
}

Deno.test("a bind of a folder's part is recognised by the file system and its folder", () => {
  const all = mounts(
    ["8:1", "/", "/"],
    ["8:2", "/volumes", "/var"],
    ["0:40", "/", `${VOLUME}/memory`],
    ["8:2", `/volumes/${VOLUME.slice(5)}/disk/a/b`, `${BOUND}/disk/web/0`],
    ["8:2", `/volumes/${VOLUME.slice(5)}/disk2`, `${BOUND}/disk/web/1`],
    ["8:1", `/volumes/${VOLUME.slice(5)}/disk/a`, `${BOUND}/disk/web/2`],
    ["0:40", "/c", `${BOUND}/memory/web/0`],
    ["8:2", `/volumes/${VOLUME.slice(5)}/disk`, `${BOUND}/disk/web/3`],
  );
  const within = (volume: string, bound: string) =>
    placeWithin(`${VOLUME}/${volume}`, `${BOUND}/${bound}`, all);
  assert.equal(within("disk", "disk/web/0"), "a/b");
  assert.equal(within("disk", "disk/web/3"), "");
  assert.equal(within("memory", "memory/web/0"), "c");
  assert.equal(within("disk", "disk/web/1"), undefined, "a folder with a longer name");
  assert.equal(within("disk", "disk/web/2"), undefined, "another file system");
  assert.equal(within("disk", "disk/web/9"), undefined, "nothing is bound there");
  assert.equal(placeWithin("/etc", "/etc/x", mounts(["8:1", "/", "/"], ["8:1", "/etc/y", "/etc/x"])), "y");
});

Deno.test("the kernel's own list tells of a bind", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kata-within-" });
  const bound = `${folder}/bound`;
  await Deno.mkdir(`${folder}/volume/part`, { recursive: true });
  await Deno.mkdir(bound);
  await run(["mount", "--bind", `${folder}/volume/part`, bound]);
  try {
    assert.equal(MOUNT_HOST.placeWithin(`${folder}/volume`, bound), "part");
  } finally {
    await run(["umount", bound]);
    await Deno.remove(folder, { recursive: true });
  }
});

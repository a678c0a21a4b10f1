import assert from "node:assert/strict";
import { parseMountinfoLine, readMountinfo } from "./mountinfo.ts";
import { tempDir } from "./test_helpers.ts";

Deno.test("a line is taken apart", () => {
  const line =
    "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 propagate_from:2 - ext3 /dev/my\\134root rw,errors=continue";
  assert.deepEqual(parseMountinfoLine(line), {
    id: 36,
    parentId: 35,
    device: "98:0",
    root: "/mnt1",
    mountPoint: "/mnt 2",
    options: ["rw", "noatime"],
    propagation: ["master:1", "propagate_from:2"],
    fstype: "ext3",
    source: "/dev/my\\root",
    superOptions: ["rw", "errors=continue"],
  });
});

Deno.test("a mount without propagation or without source is one too", () => {
  const { propagation, source, superOptions } = parseMountinfoLine("1 0 0:1 / / rw - tmpfs none rw");
  assert.deepEqual([propagation, source, superOptions], [[], "none", ["rw"]]);
  assert.deepEqual(parseMountinfoLine("1 0 0:1 / / rw - tmpfs  rw").source, "");
});

Deno.test("what is no line of mountinfo is refused", () => {
  for (const line of ["", "36 35 98:0 /", "36 35 98:0 /mnt1 /mnt2 rw", "a - b"]) {
    assert.throws(() => parseMountinfoLine(line), SyntaxError);
  }
});

Deno.test("the mounts of this process are read", () => {
  const mounts = readMountinfo();
  const root = mounts.find(({ mountPoint }) => mountPoint === "/");
  assert.ok(root && root.id > 0 && root.fstype !== "");
  assert.ok(mounts.some(({ mountPoint, fstype }) => mountPoint === "/proc" && fstype === "proc"));
  for (const mount of mounts) assert.match(mount.device, /^\d+:\d+$/);
});

Deno.test("another file can be read", () => {
  using folder = tempDir();
  Deno.writeTextFileSync(
    `${folder.path}/info`,
    "1 0 0:1 / / rw - tmpfs x rw\n2 1 0:2 / /a\\011b ro - proc proc ro\n",
  );
  assert.deepEqual(readMountinfo(`${folder.path}/info`).map(({ mountPoint }) => mountPoint), ["/", "/a\tb"]);
});

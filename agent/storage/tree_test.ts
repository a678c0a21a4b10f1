import assert from "node:assert/strict";
import { O, openFd, OwnedFd } from "../../sys/fd.ts";
import { MNT, mount, umount } from "../../sys/mount.ts";
import { removeTree } from "./tree.ts";

Deno.test("a tree is removed with its links, but not what they lead to and not what is mounted in it", () => {
  const base = Deno.makeTempDirSync({ prefix: "kata-tree-" });
  try {
    Deno.mkdirSync(`${base}/outside`);
    Deno.writeTextFileSync(`${base}/outside/file`, "kept");
    Deno.mkdirSync(`${base}/tree/a/b`, { recursive: true });
    Deno.mkdirSync(`${base}/tree/mounted`);
    Deno.writeTextFileSync(`${base}/tree/a/b/file`, "");
    Deno.symlinkSync("../outside", `${base}/tree/link`);
    mount("tmpfs", `${base}/tree/mounted`, "tmpfs", 0);
    Deno.writeTextFileSync(`${base}/tree/mounted/file`, "kept");
    using parent = new OwnedFd(openFd(base, O.PATH | O.DIRECTORY));
    assert.equal(removeTree(parent.fd, "tree"), false);
    assert.equal(Deno.readTextFileSync(`${base}/tree/mounted/file`), "kept");
    assert.deepEqual(Array.from(Deno.readDirSync(`${base}/tree`), (entry) => entry.name), ["mounted"]);
    umount(`${base}/tree/mounted`, MNT.DETACH);
    assert.equal(removeTree(parent.fd, "tree"), true);
    assert.equal(removeTree(parent.fd, "tree"), true);
    assert.equal(Deno.readTextFileSync(`${base}/outside/file`), "kept");
  } finally {
    Deno.removeSync(base, { recursive: true });
  }
});

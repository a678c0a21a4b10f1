import assert from "node:assert/strict";
import { isErrno } from "../sys/errors.ts";
import { MNT, mount, MS, umount } from "../sys/mount.ts";
import { removeTree } from "./remove_tree.ts";

Deno.test("removeTree() removes files, folders and links, not what links lead to", () => {
  const folder = Deno.makeTempDirSync();
  Deno.mkdirSync(`${folder}/tree/a/b`, { recursive: true });
  Deno.writeTextFileSync(`${folder}/tree/a/file`, "x");
  Deno.writeTextFileSync(`${folder}/kept`, "x");
  Deno.symlinkSync(folder, `${folder}/tree/a/link`);
  removeTree(`${folder}/tree`);
  removeTree(`${folder}/tree`);
  assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["kept"]);
  removeTree(folder);
});

Deno.test("removeTree() stops at a live mount, of a folder or a file, and leaves what is in it", () => {
  const folder = Deno.makeTempDirSync();
  for (const path of ["tree/mounted", "precious"]) Deno.mkdirSync(`${folder}/${path}`, { recursive: true });
  Deno.writeTextFileSync(`${folder}/precious/data`, "x");
  mount(`${folder}/precious`, `${folder}/tree/mounted`, "", MS.BIND);
  try {
    assert.throws(() => removeTree(`${folder}/tree`), (error) => isErrno(error, "EXDEV"));
  } finally {
    umount(`${folder}/tree/mounted`, MNT.DETACH);
  }
  Deno.writeTextFileSync(`${folder}/tree/file`, "");
  mount(`${folder}/precious/data`, `${folder}/tree/file`, "", MS.BIND);
  try {
    assert.throws(() => removeTree(`${folder}/tree`), (error) => isErrno(error, "EBUSY"));
  } finally {
    umount(`${folder}/tree/file`, MNT.DETACH);
  }
  assert.equal(Deno.readTextFileSync(`${folder}/precious/data`), "x");
  removeTree(folder);
});

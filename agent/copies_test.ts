import assert from "node:assert/strict";
import { mount, umount } from "../sys/mount.ts";
import { removeCopies } from "./copies.ts";

Deno.test("a container's copies go with it, those of others and a share's files do not", () => {
  const base = Deno.makeTempDirSync({ prefix: "kata-copies-" });
  const folder = `${base}/shared/containers`;
  const names = () => Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
  const fill = () => {
    for (const name of ["c-0123456789abcdef-data", "c-1-0123456789abcdef-data", "c-short-data", "c"]) {
      Deno.mkdirSync(`${folder}/${name}/below`, { recursive: true });
    }
  };
  try {
    removeCopies(base, "c");
    Deno.mkdirSync(folder, { recursive: true });
    fill();
    removeCopies(base, "c");
    assert.deepEqual(names(), ["c", "c-1-0123456789abcdef-data", "c-short-data"]);
    mount("share", folder, "tmpfs", 0);
    try {
      fill();
      removeCopies(base, "c");
      assert.equal(names().length, 4);
    } finally {
      umount(folder);
    }
  } finally {
    Deno.removeSync(base, { recursive: true });
  }
});

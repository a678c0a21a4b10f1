import assert from "node:assert/strict";
import { exists, isEntry, isFile, isFolder } from "./exists.ts";

Deno.test("what a path leads to, and what only has a name", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kata-exists-test-" });
  try {
    await Deno.writeTextFile(`${folder}/file`, "");
    await Deno.symlink("file", `${folder}/good`);
    await Deno.symlink("nothing", `${folder}/dangling`);
    const looks = [exists, isFile, isFolder, isEntry];
    const seen = (path: string) => looks.filter((look) => look(path)).map(({ name }) => name);
    assert.deepEqual(seen(folder), ["exists", "isFolder", "isEntry"]);
    assert.deepEqual(seen(`${folder}/file`), ["exists", "isFile", "isEntry"]);
    assert.deepEqual(seen(`${folder}/good`), ["exists", "isFile", "isEntry"]);
    assert.deepEqual(seen(`${folder}/dangling`), ["isEntry"]);
    assert.deepEqual(seen(`${folder}/nothing`), []);
    assert.deepEqual(seen(`${folder}/file/below`), []);
    assert.deepEqual(seen(""), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

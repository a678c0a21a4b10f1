import assert from "node:assert/strict";
import { closeFd, O, openFd } from "./fd.ts";
import { FS_MAGIC, fstatfs, statfs } from "./statfs.ts";
import { run } from "./test_helpers.ts";

Deno.test("statfs tells what coreutils tell", async () => {
  // Sizes that do not change while others write: total, name length, type.
  const told = (await run("stat", ["-f", "-c", "%t %S %b %c %l", "/"])).trim();
  const { type, blockSize, blocks, files, nameLength } = statfs("/");
  assert.equal([type.toString(16), blockSize, blocks, files, nameLength].join(" "), told);
  const root = statfs("/");
  assert.ok(root.blocksAvailable <= root.blocksFree && root.blocksFree <= root.blocks);
  assert.ok(root.filesFree <= root.files);
});

Deno.test("fstatfs reports the file system of an open file", () => {
  const fd = openFd("/proc/version", O.RDONLY);
  assert.equal(fstatfs(fd).type, FS_MAGIC.proc);
  closeFd(fd);
  assert.equal(statfs("/sys").type, FS_MAGIC.sysfs);
  assert.throws(() => fstatfs(-1), { code: "EBADF" });
  assert.throws(() => statfs("/does/not/exist"), { message: 'cannot statfs "/does/not/exist": ENOENT' });
});

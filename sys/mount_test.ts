import assert from "node:assert/strict";
import { mount, umount } from "./mount.ts";
import { runModule } from "./test_helpers.ts";

Deno.test("mounts of every kind are made, changed and undone, in a mount namespace of their own", async () => {
  assert.equal(await runModule("mounts.ts", ["unshare", "--mount", "--propagation", "private"]), "");
});

Deno.test("errors name the target", () => {
  assert.throws(() => mount("none", "/does/not/exist", "tmpfs", 0), {
    message: 'cannot mount "/does/not/exist": ENOENT',
  });
  assert.throws(() => umount("/does/not/exist"), { message: 'cannot umount2 "/does/not/exist": ENOENT' });
});

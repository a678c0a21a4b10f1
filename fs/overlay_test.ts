import assert from "node:assert/strict";
import { commonFolder, fits, renameFolder } from "./overlay.ts";

const data = ["index=off", "lowerdir=/var/snapshots/12/fs:/var/snapshots/1/fs", "upperdir=/u"];

Deno.test("commonFolder() finds the deepest folder of all lower layers", () => {
  assert.equal(commonFolder(data), "/var/snapshots");
  assert.equal(commonFolder(["lowerdir=/a/b/c:/a/bc/d"]), "/a");
  assert.equal(commonFolder(["lowerdir=/a/b"]), "/a");
});

Deno.test("commonFolder() finds none where there is none", () => {
  assert.equal(commonFolder(["lowerdir=/a:/b"]), undefined);
  assert.equal(commonFolder(["size=1"]), undefined);
  assert.equal(commonFolder(["lowerdir=/x/a\\:b:/x/c"]), undefined); // a colon in a name
});

Deno.test("renameFolder() changes the lower layers only", () => {
  assert.deepEqual(renameFolder(data, "/var/snapshots", "/f"), [
    "index=off",
    "lowerdir=/f/12/fs:/f/1/fs",
    "upperdir=/u",
  ]);
});

Deno.test("fits() counts bytes, with the commas", () => {
  assert.equal(fits(["x".repeat(4095)]), true);
  assert.equal(fits(["x".repeat(4094), ""]), true);
  assert.equal(fits(["x".repeat(4094), "y"]), false);
  assert.equal(fits(["é".repeat(2048)]), false);
});

import assert from "node:assert/strict";
import { run } from "../tools/process.ts";
import { encodeErofs, type ErofsFile } from "./erofs.ts";
import { temporaryFolder } from "./testing/samples.ts";

const text = (content: string) => new TextEncoder().encode(content);

Deno.test("an image holds its files, whatever their number and size", async () => {
  await using folder = await temporaryFolder();
  const files: ErofsFile[] = [
    { name: "init", data: text("x".repeat(10_000)), mode: 0o755 },
    { name: "empty", data: text(""), mode: 0o644 },
    { name: "a block", data: text("y".repeat(4096)), mode: 0o600 },
    // sorted as bytes, and more names than a block of the folder has room for
    ...["-", ".hidden", "B", "a", "ab", "ä"].map((name) => ({ name, data: text(name), mode: 0o644 })),
    ...Array.from(
      { length: 300 },
      (_, i) => ({ name: `${i} is a long name`, data: text(`${i}`), mode: 0o644 }),
    ),
  ];
  await Deno.writeFile(`${folder.path}/image`, encodeErofs(files));
  const out = `${folder.path}/out`;
  await run(["fsck.erofs", `--extract=${out}`, `${folder.path}/image`]);
  assert.equal([...Deno.readDirSync(out)].length, files.length);
  for (const { name, data, mode } of files) {
    assert.deepEqual(await Deno.readFile(`${out}/${name}`), data, name);
    assert.equal(((await Deno.stat(`${out}/${name}`)).mode ?? 0) & 0o7777, mode, name);
  }
});

Deno.test("the same files make the same image, in whatever order they are given", () => {
  const files = ["b", "a", "c"].map((name) => ({ name, data: text(name), mode: 0o644 }));
  assert.deepEqual(encodeErofs(files), encodeErofs(files.toReversed()));
});

Deno.test("files that an image cannot hold are refused by name", () => {
  const file = (name: string) => ({ name, data: text(""), mode: 0o644 });
  for (const name of ["", "a/b", "a\0", "x".repeat(256)]) {
    assert.throws(() => encodeErofs([file(name)]), /is no name of a file in an image/);
  }
  assert.throws(() => encodeErofs([file("a"), file("a")]), new RangeError('"a" is in the image twice'));
});

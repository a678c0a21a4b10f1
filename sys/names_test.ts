import assert from "node:assert/strict";
import fc from "fast-check";
import { AT, closeFd, mkdirAt, O, openFd, readlinkAt, statAt, symlinkAt } from "./fd.ts";
import { readFolder } from "./folder.ts";
import { decodeName, encodeName } from "./names.ts";

Deno.test("every sequence of bytes is a name, and the name is those bytes", () => {
  const utf8 = fc.string({ unit: "grapheme" }).map((text) => new TextEncoder().encode(text));
  const pieces = fc.array(fc.oneof(fc.uint8Array({ maxLength: 6 }), utf8), { maxLength: 6 });
  fc.assert(fc.property(pieces, (list) => {
    const bytes = new Uint8Array(list.flatMap((piece) => [...piece]));
    assert.deepEqual(encodeName(decodeName(bytes)), bytes);
  }));
});

Deno.test("what is UTF-8 is read as text", () => {
  for (const text of ["", "a", "Főtanúsítvány", "\u{1f600}\udbff\udfff", "\ufffd", "\ufeffx"]) {
    const bytes = new TextEncoder().encode(text);
    assert.equal(decodeName(bytes), text);
    assert.deepEqual(encodeName(text), bytes);
  }
  assert.equal(decodeName(new Uint8Array([0x61, 0xff, 0x62])), "a\udcffb");
});

Deno.test("readFolder() finds everything in a folder, whatever it is called", async () => {
  const path = await Deno.makeTempDir({ prefix: "kata-names-" });
  const folder = openFd(path, O.RDONLY | O.DIRECTORY);
  try {
    const odd = decodeName(new Uint8Array([0x80, 0xc3, 0x28, 0xff]));
    mkdirAt(folder, odd, 0o755);
    symlinkAt(odd, folder, "link");
    Deno.writeTextFileSync(`${path}/é`, "");
    for (let i = 0; i < 3000; i++) Deno.writeTextFileSync(`${path}/file-${i}`, "");
    const found = readFolder(folder);
    assert.equal(found.length, 3003);
    assert.deepEqual(found.filter(({ isFolder }) => isFolder).map(({ name }) => name), [odd]);
    assert.ok(found.some(({ name }) => name === "é"));
    assert.equal(readlinkAt(folder, "link"), odd);
    assert.equal(statAt(folder, "link").ino, statAt(folder, odd, AT.SYMLINK_NOFOLLOW).ino);
    // From the beginning each time.
    assert.equal(readFolder(folder).length, 3003);
  } finally {
    closeFd(folder);
    await Deno.remove(path, { recursive: true });
  }
});

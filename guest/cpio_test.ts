import assert from "node:assert/strict";
import fc from "fast-check";
import { run } from "../tools/process.ts";
import { type CpioEntry, encodeCpio } from "./cpio.ts";
import { temporaryFolder } from "./testing/samples.ts";

/** A member, read back by the format's description and not by the writer's code. */
interface Member {
  path: string;
  fields: number[];
  data: Uint8Array;
}

function decode(archive: Uint8Array): Member[] {
  const members: Member[] = [];
  const text = (from: number, to: number): string => new TextDecoder().decode(archive.subarray(from, to));
  for (let at = 0;;) {
    assert.equal(at % 4, 0, "headers are aligned");
    assert.equal(text(at, at + 6), "070701");
    const fields = Array.from({ length: 13 }, (_, i) => parseInt(text(at + 6 + i * 8, at + 14 + i * 8), 16));
    const [size = 0, nameSize = 0] = [fields[6], fields[11]];
    const path = text(at + 110, at + 110 + nameSize - 1);
    const start = at + ((110 + nameSize + 3) & ~3);
    if (path === "TRAILER!!!") {
      assert.ok(archive.subarray(start).every((byte) => byte === 0), "only padding follows the trailer");
      return members;
    }
    members.push({ path, fields, data: archive.subarray(start, start + size) });
    at = start + ((size + 3) & ~3);
  }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const SAMPLE: CpioEntry[] = [
  { kind: "file", path: "init", data: bytes("#!"), mode: 0o755 },
  { kind: "symlink", path: "proc/self/exe", target: "/init" },
  { kind: "device", path: "dev/null", mode: 0o666, major: 1, minor: 3 },
  { kind: "directory", path: "tmp", mode: 0o1777 },
  { kind: "file", path: "a/b", data: bytes("x") },
  { kind: "file", path: "a-b", data: bytes("") },
];

Deno.test("an archive is what the format says, byte by byte", () => {
  const archive = encodeCpio([{ kind: "file", path: "f", data: bytes("abc"), mode: 0o600 }]);
  const number = (...fields: number[]): string =>
    fields.map((n) => n.toString(16).toUpperCase().padStart(8, "0")).join("");
  const expected = "070701" + number(1, 0o100600, 0, 0, 1, 0, 3, 0, 0, 0, 0, 2, 0) + "f\0" + "abc\0" +
    "070701" + number(0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 11, 0) + "TRAILER!!!\0" + "\0\0\0";
  assert.equal(new TextDecoder().decode(archive), expected.padEnd(512, "\0"));
});

Deno.test("entries are sorted, folders before what is in them, and missing folders are added", () => {
  const members = decode(encodeCpio(SAMPLE));
  assert.deepEqual(members.map(({ path }) => path), [
    "a",
    "a/b",
    "a-b",
    "dev",
    "dev/null",
    "init",
    "proc",
    "proc/self",
    "proc/self/exe",
    "tmp",
  ]);
  const modes = Object.fromEntries(members.map(({ path, fields }) => [path, fields[1]?.toString(8)]));
  assert.deepEqual(modes, {
    "a": "40755",
    "a/b": "100644",
    "a-b": "100644",
    "dev": "40755",
    "dev/null": "20666",
    "init": "100755",
    "proc": "40755",
    "proc/self": "40755",
    "proc/self/exe": "120777",
    "tmp": "41777",
  });
});

Deno.test("the order of entries makes no difference", () => {
  assert.deepEqual(encodeCpio(SAMPLE.toReversed()), encodeCpio(SAMPLE));
});

Deno.test("another program unpacks the same files", async () => {
  await using folder = await temporaryFolder();
  await Deno.writeFile(`${folder.path}/archive`, encodeCpio(SAMPLE));
  await Deno.mkdir(`${folder.path}/out`);
  await run(["sh", "-c", "cd out && busybox cpio -i < ../archive"], { cwd: folder.path });
  const out = `${folder.path}/out`;
  assert.equal(await Deno.readTextFile(`${out}/init`), "#!");
  assert.equal(await Deno.readTextFile(`${out}/a/b`), "x");
  assert.equal(await Deno.readTextFile(`${out}/a-b`), "");
  assert.equal(await Deno.readLink(`${out}/proc/self/exe`), "/init");
  assert.equal(((await Deno.stat(`${out}/tmp`)).mode ?? 0) & 0o7777, 0o1777);
  const device = await Deno.stat(`${out}/dev/null`);
  assert.equal(device.isCharDevice, true);
  assert.equal(device.rdev, (1 << 8) | 3);
});

Deno.test("whatever is packed comes back", () => {
  const name = fc.stringMatching(/^[a-zA-Z0-9._ äß-]{1,12}$/).filter((part) => !/^\.{1,2}$/.test(part));
  // last parts differ from folder names by their prefix, so that no path is a file and a folder
  const path = fc.tuple(fc.array(name, { maxLength: 3 }), name).map(([folders, file]) =>
    [...folders.map((part) => `d${part}`), `f${file}`].join("/")
  );
  fc.assert(fc.property(fc.dictionary(path, fc.uint8Array({ maxLength: 20 })), (files) => {
    const members = decode(
      encodeCpio(Object.entries(files).map(([path, data]) => ({ kind: "file", path, data }))),
    );
    const found = members.filter(({ fields }) => ((fields[1] ?? 0) & 0o170000) === 0o100000);
    assert.deepEqual(
      Object.fromEntries(found.map(({ path, data }) => [path, [...data]])),
      Object.fromEntries(Object.entries(files).map(([path, data]) => [path, [...data]])),
    );
    const inodes = members.map(({ fields }) => fields[0]);
    assert.deepEqual(inodes, inodes.map((_, i) => i + 1));
  }));
});

for (const path of ["/init", "a//b", "a/../b", "./a", "a/", ""]) {
  Deno.test(`"${path}" is no path inside an archive`, () => {
    const entry: CpioEntry = { kind: "file", path, data: bytes("") };
    assert.throws(() => encodeCpio([entry]), new RangeError(`"${path}" is no path inside an archive`));
  });
}

Deno.test("a path cannot be in an archive twice", () => {
  const entry: CpioEntry = { kind: "file", path: "a", data: bytes("") };
  assert.throws(() => encodeCpio([entry, entry]), new RangeError('"a" is in the archive twice'));
});

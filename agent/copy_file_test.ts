import assert from "node:assert/strict";
import { type CopyFileRequest, CopyFileRequestSchema } from "../rpc/gen/agent_pb.ts";
import { create, type Init } from "../rpc/message.ts";
import { AT, mknodAt, S } from "../sys/fd.ts";
import { copyFile } from "./copy_file.ts";

const encode = (text: string) => new TextEncoder().encode(text);

function folder(): { path: string } & Disposable {
  const path = Deno.makeTempDirSync({ prefix: "kata-copy-" });
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

function copy(base: string, init: Init<CopyFileRequest>): void {
  copyFile(create<CopyFileRequest>(CopyFileRequestSchema, init), base);
}

function modeOf(path: string): number {
  return (Deno.lstatSync(path).mode ?? 0) & 0o7777;
}

Deno.test("a file in pieces appears when the last one has come, with owner and mode", () => {
  using test = folder();
  const path = `${test.path}/a/b/file.txt`;
  const request = { path, fileSize: 6n, fileMode: S.IFREG | 0o4751, dirMode: 0o710, uid: 12, gid: 34 };
  copy(test.path, { ...request, data: encode("abc") });
  assert.throws(() => Deno.statSync(path), Deno.errors.NotFound);
  copy(test.path, { ...request, offset: 3n, data: encode("def") });
  assert.equal(Deno.readTextFileSync(path), "abcdef");
  const stat = Deno.statSync(path);
  assert.deepEqual([stat.uid, stat.gid, modeOf(path)], [12, 34, 0o4751]);
  assert.deepEqual([modeOf(`${test.path}/a`), modeOf(`${test.path}/a/b`)], [0o755, 0o710]);
  assert.deepEqual(Array.from(Deno.readDirSync(`${test.path}/a/b`), (entry) => entry.name), ["file.txt"]);
});

Deno.test("an empty file is one piece, and replaces whatever was there", () => {
  using test = folder();
  const path = `${test.path}/x`;
  Deno.mkdirSync(`${path}/full`, { recursive: true });
  Deno.writeTextFileSync(`${path}/full/file`, "");
  copy(test.path, { path, fileSize: 0n, fileMode: S.IFREG | 0o600 });
  assert.equal(Deno.readTextFileSync(path), "");
});

Deno.test("a piece at offset 0 begins anew", () => {
  using test = folder();
  const path = `${test.path}/x`;
  copy(test.path, {
    path,
    fileSize: 100n,
    fileMode: S.IFREG | 0o600,
    data: encode("long and never finished"),
  });
  copy(test.path, { path, fileSize: 5n, fileMode: S.IFREG | 0o600, data: encode("short") });
  assert.equal(Deno.readTextFileSync(path), "short");
});

Deno.test("folders and links are made, and made again", () => {
  using test = folder();
  const [made, link] = [`${test.path}/d`, `${test.path}/d/link`];
  copy(test.path, { path: made, fileMode: S.IFDIR | 0o1711, uid: 7, gid: 8 });
  copy(test.path, { path: link, fileMode: S.IFLNK | 0o777, uid: 9, gid: 10, data: encode("../elsewhere") });
  copy(test.path, { path: made, fileMode: S.IFDIR | 0o750, uid: 7, gid: 8 });
  assert.deepEqual([Deno.statSync(made).uid, modeOf(made)], [7, 0o750]);
  assert.equal(Deno.readLinkSync(link), "../elsewhere");
  assert.equal(Deno.lstatSync(link).gid, 10);
  copy(test.path, { path: link, fileMode: S.IFLNK, data: encode("other") });
  assert.equal(Deno.readLinkSync(link), "other");
  copy(test.path, { path: link, fileMode: S.IFDIR | 0o700 });
  assert.ok(Deno.lstatSync(link).isDirectory);
});

Deno.test("no link is followed, on the way or at the end", () => {
  using test = folder();
  using outside = folder();
  Deno.writeTextFileSync(`${outside.path}/file`, "untouched");
  Deno.symlinkSync(outside.path, `${test.path}/folder`);
  Deno.symlinkSync(`${outside.path}/file`, `${test.path}/file`);
  const request = { fileSize: 1n, fileMode: S.IFREG | 0o600, data: encode("x") };
  assert.throws(() => copy(test.path, { ...request, path: `${test.path}/folder/file` }), /ELOOP|ENOTDIR/);
  copy(test.path, { ...request, path: `${test.path}/file` });
  assert.equal(Deno.readTextFileSync(`${outside.path}/file`), "untouched");
  assert.ok(Deno.lstatSync(`${test.path}/file`).isFile);
  // Where the pieces are collected a link may wait as well.
  Deno.symlinkSync(`${outside.path}/file`, `${test.path}/next.kata-copy`);
  copy(test.path, { ...request, path: `${test.path}/next` });
  assert.ok(Deno.lstatSync(`${test.path}/next`).isFile);
  assert.equal(Deno.readTextFileSync(`${outside.path}/file`), "untouched");
});

Deno.test("paths elsewhere, sizes that make no sense and other kinds of files are refused", () => {
  using test = folder();
  const request = { fileSize: 1n, fileMode: S.IFREG | 0o600, data: encode("x") };
  for (
    const path of [
      "/etc/passwd",
      `${test.path}/../x`,
      `${test.path}x`,
      "",
      `${test.path}/a/../../b`,
      test.path,
    ]
  ) {
    assert.throws(
      () => copy(test.path, { ...request, path }),
      /must be a path below|is the folder itself/,
      path,
    );
  }
  const path = `${test.path}/x`;
  assert.throws(
    () => copy(test.path, { ...request, path, offset: 1n }),
    /1 bytes at 1 are not inside the 1 bytes/,
  );
  assert.throws(() => copy(test.path, { ...request, path, offset: -1n }), /1 bytes at -1 are not inside/);
  assert.throws(
    () => copy(test.path, { ...request, path, fileMode: S.IFCHR | 0o600 }),
    /must be a file, folder or link/,
  );
});

Deno.test("what a container has put where pieces are collected holds nothing up, and gets nothing", () => {
  using test = folder();
  const plant = `${test.path}/x.kata-copy`;
  const request = { path: `${test.path}/x`, fileSize: 2n, fileMode: S.IFREG | 0o600 };
  const pipe = () => mknodAt(AT.FDCWD, plant, S.IFIFO | 0o666);
  // nobody reads it: to open it would wait for ever
  pipe();
  copy(test.path, { ...request, data: encode("ab") });
  assert.equal(Deno.readTextFileSync(request.path), "ab");
  Deno.writeTextFileSync(`${test.path}/other`, "untouched");
  Deno.linkSync(`${test.path}/other`, plant);
  copy(test.path, { ...request, data: encode("c") });
  assert.equal(Deno.readTextFileSync(`${test.path}/other`), "untouched");
  Deno.removeSync(plant);
  pipe();
  assert.throws(() => copy(test.path, { ...request, offset: 1n, data: encode("d") }), /ENXIO/);
});

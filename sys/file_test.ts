import assert from "node:assert/strict";
import fc from "fast-check";
import { AT, closeFd, O, openFd, OwnedFd, pipe, S } from "./fd.ts";
import {
  fchmodAt,
  fchmodFd,
  fchownAt,
  majorOf,
  makeDev,
  minorOf,
  mkdirAt,
  mkfifo,
  mknodAt,
  renameAt,
  statAt,
  statFd,
  symlinkAt,
  unlinkAt,
} from "./file.ts";
import { run, tempDir } from "./test_helpers.ts";

Deno.test("files of all types are created and recognised", () => {
  using folder = tempDir();
  using parent = new OwnedFd(openFd(folder.path, O.PATH | O.DIRECTORY));
  mkdirAt(parent.fd, "folder", 0o750);
  mknodAt(parent.fd, "file", S.IFREG | 0o640);
  mknodAt(parent.fd, "null", S.IFCHR | 0o666, makeDev(1, 3));
  mkfifo(`${folder.path}/fifo`, 0o600);
  symlinkAt("file", parent.fd, "link");
  const type = (name: string, flags = 0) => statAt(parent.fd, name, flags).type;
  assert.equal(type("folder"), S.IFDIR);
  assert.equal(type("file"), S.IFREG);
  assert.equal(type("null"), S.IFCHR);
  assert.equal(type("fifo"), S.IFIFO);
  assert.equal(type("link"), S.IFREG);
  assert.equal(type("link", AT.SYMLINK_NOFOLLOW), S.IFLNK);
  assert.equal(statAt(parent.fd, "null").rdev, makeDev(1, 3));
  unlinkAt(parent.fd, "link");
  assert.throws(() => unlinkAt(parent.fd, "folder"), { code: "EISDIR" });
  unlinkAt(parent.fd, "folder", AT.REMOVEDIR);
  renameAt(parent.fd, "file", parent.fd, "fifo");
  assert.deepEqual([...Deno.readDirSync(folder.path)].map((entry) => entry.name).sort(), ["fifo", "null"]);
  assert.equal(type("fifo"), S.IFREG);
});

Deno.test("stat tells what coreutils tell", async () => {
  using folder = tempDir();
  const path = `${folder.path}/file`;
  Deno.writeTextFileSync(path, "12345");
  fchownAt(AT.FDCWD, path, 1234, 5678);
  fchmodAt(AT.FDCWD, path, 0o4751);
  Deno.linkSync(path, path + "2");
  using file = new OwnedFd(openFd(path, O.RDONLY));
  const told = (await run("stat", ["-c", "%u %g %i %h %s %a %Y %Hd %Ld", path])).trim();
  const stat = statFd(file.fd);
  const { uid, gid, ino, nlink, size, mode, mtime, dev } = stat;
  const mine = [uid, gid, ino, nlink, size, mode.toString(8), mtime, majorOf(dev), minorOf(dev)].join(" ");
  assert.equal(mine, told);
  assert.deepEqual([uid, gid, nlink, size, mode], [1234, 5678, 2, 5, 0o4751]);
  assert.deepEqual(statAt(AT.FDCWD, path), stat);
  fchmodFd(file.fd, 0o600);
  assert.equal(statFd(file.fd).mode, 0o600);
  fchownAt(file.fd, "", 1, -1, AT.EMPTY_PATH);
  assert.deepEqual([statFd(file.fd).uid, statFd(file.fd).gid], [1, 5678]);
});

Deno.test("statx() reports the mount of a file", () => {
  assert.notEqual(statAt(AT.FDCWD, "/proc").mountId, statAt(AT.FDCWD, "/").mountId);
});

Deno.test("a pipe is a FIFO", () => {
  const [reader, writer] = pipe();
  assert.equal(statFd(reader).type, S.IFIFO);
  assert.equal(statFd(reader).ino, statFd(writer).ino);
  closeFd(reader);
  closeFd(writer);
});

Deno.test("device numbers are split as they were made", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xfff }), fc.integer({ min: 0, max: 0xfffff }), (major, minor) => {
      const dev = makeDev(major, minor);
      assert.deepEqual([majorOf(dev), minorOf(dev)], [major, minor]);
      assert.ok(dev >= 0 && dev <= 0xffff_ffff);
    }),
  );
  assert.equal(makeDev(8, 1), 0x801);
  assert.equal(makeDev(259, 300), 0x11032c);
});

Deno.test("errors name the path", () => {
  assert.throws(() => statAt(AT.FDCWD, "/nope"), { message: 'cannot statx "/nope": ENOENT' });
  assert.throws(() => mkdirAt(AT.FDCWD, "/proc", 0o755), { message: 'cannot mkdirat "/proc": EEXIST' });
});

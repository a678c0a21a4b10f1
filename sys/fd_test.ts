import assert from "node:assert/strict";
import {
  AT,
  closeFd,
  dupFd,
  eventfd,
  flockFd,
  memfd,
  O,
  openAt,
  openat2,
  openFd,
  openFlags,
  OwnedFd,
  pipe,
  pipeSize,
  readAllFd,
  readFd,
  readlinkAt,
  RESOLVE,
  seekFd,
  setNonblock,
  setPipeSize,
  writeAllFd,
  writeFd,
} from "./fd.ts";
import { syscall } from "./syscall.ts";
import { decode, encode, randomBytes, tempDir } from "./test_helpers.ts";

const closesOnExec = (fd: number) => (syscall("fcntl", [fd, 1]) & 1) === 1;

Deno.test("a file is made, written, read, and closed", () => {
  using folder = tempDir();
  const path = `${folder.path}/file`;
  using file = new OwnedFd(openFd(path, O.RDWR | O.CREAT | O.EXCL, 0o600));
  assert.equal(writeFd(file.fd, encode("hello")), 5);
  assert.equal(seekFd(file.fd, 0, 0), 0);
  const buffer = new Uint8Array(10);
  assert.equal(readFd(file.fd, buffer), 5);
  assert.equal(readFd(file.fd, buffer), 0);
  assert.ok(closesOnExec(file.fd));
  assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
});

Deno.test("an error of open names the path", () => {
  assert.throws(() => openFd("/does/not/exist", O.RDONLY), {
    message: 'cannot openat "/does/not/exist": ENOENT',
  });
});

Deno.test("paths are relative to a folder's descriptor", () => {
  using folder = tempDir();
  Deno.mkdirSync(`${folder.path}/a`);
  Deno.writeTextFileSync(`${folder.path}/a/b`, "x");
  using parent = new OwnedFd(openFd(folder.path, O.PATH | O.DIRECTORY));
  using file = new OwnedFd(openAt(parent.fd, "a/b", O.RDONLY));
  assert.equal(decode(readAllFd(file.fd)), "x");
});

Deno.test("openat2 keeps a path inside its root", () => {
  using folder = tempDir();
  Deno.mkdirSync(`${folder.path}/root/etc`, { recursive: true });
  Deno.writeTextFileSync(`${folder.path}/root/etc/name`, "inside");
  Deno.symlinkSync("/etc/name", `${folder.path}/root/link`);
  Deno.symlinkSync("../../../../../../etc/name", `${folder.path}/root/up`);
  using root = new OwnedFd(openFd(`${folder.path}/root`, O.PATH | O.DIRECTORY));
  for (const name of ["link", "up", "/etc/name"]) {
    using file = new OwnedFd(openat2(root.fd, name, { flags: O.RDONLY, resolve: RESOLVE.IN_ROOT }));
    assert.equal(decode(readAllFd(file.fd)), "inside");
    assert.ok(closesOnExec(file.fd));
  }
  const flags = O.RDONLY;
  assert.throws(() => openat2(root.fd, "up", { flags, resolve: RESOLVE.BENEATH }), { code: "EXDEV" });
  assert.throws(() => openat2(root.fd, "link", { flags, resolve: RESOLVE.NO_SYMLINKS }), { code: "ELOOP" });
  using made = new OwnedFd(
    openat2(root.fd, "made", { flags: O.CREAT | O.WRONLY, mode: 0o640, resolve: RESOLVE.IN_ROOT }),
  );
  assert.ok(made.fd >= 0);
  assert.ok(Deno.statSync(`${folder.path}/root/made`).isFile);
});

Deno.test("closing what is not open is an error", () => {
  assert.throws(() => closeFd(1_000_000), { code: "EBADF" });
});

Deno.test("dup keeps the file open, from the number asked for on", () => {
  const [reader, writer] = pipe();
  const copy = dupFd(writer, 300);
  assert.ok(copy >= 300);
  assert.ok(closesOnExec(copy));
  closeFd(writer);
  writeFd(copy, encode("still"));
  closeFd(copy);
  assert.equal(decode(readAllFd(reader)), "still");
  closeFd(reader);
});

Deno.test("a pipe's ends are close-on-exec and blocking, unless changed", () => {
  const [reader, writer] = pipe();
  for (const fd of [reader, writer]) {
    assert.ok(closesOnExec(fd));
    assert.equal(openFlags(fd) & O.NONBLOCK, 0);
    setNonblock(fd, true);
    assert.equal(openFlags(fd) & O.NONBLOCK, O.NONBLOCK);
  }
  assert.throws(() => readFd(reader, new Uint8Array(1)), { code: "EAGAIN" });
  setNonblock(reader, false);
  assert.equal(openFlags(reader) & O.NONBLOCK, 0);
  closeFd(reader);
  closeFd(writer);
});

Deno.test("the size of a pipe is set", () => {
  const [reader, writer] = pipe();
  assert.equal(setPipeSize(writer, 5000), 8192);
  assert.equal(pipeSize(reader), 8192);
  closeFd(reader);
  closeFd(writer);
});

Deno.test("an eventfd counts", () => {
  using event = new OwnedFd(eventfd(3));
  const word = new BigUint64Array([4n]);
  writeFd(event.fd, new Uint8Array(word.buffer));
  readFd(event.fd, new Uint8Array(word.buffer));
  assert.equal(word[0], 7n);
  assert.throws(() => readFd(event.fd, new Uint8Array(8)), { code: "EAGAIN" });
});

Deno.test("files longer than any buffer are read whole", () => {
  using file = new OwnedFd(memfd("long"));
  const data = randomBytes(100_001);
  writeAllFd(file.fd, data);
  seekFd(file.fd, 0, 0);
  assert.deepEqual(readAllFd(file.fd), data);
});

Deno.test("a lock excludes others until it is dropped", () => {
  using folder = tempDir();
  const path = `${folder.path}/lock`;
  using first = new OwnedFd(openFd(path, O.RDWR | O.CREAT, 0o600));
  using second = new OwnedFd(openFd(path, O.RDWR));
  flockFd(first.fd, "exclusive");
  assert.throws(() => flockFd(second.fd, "shared"), { code: "EAGAIN" });
  flockFd(first.fd, "shared");
  flockFd(second.fd, "shared");
  flockFd(second.fd, "unlock");
  flockFd(first.fd, "exclusive");
});

Deno.test("an owned descriptor is closed once, or never if released", () => {
  const [reader, writer] = pipe();
  const owner = new OwnedFd(reader);
  assert.equal(owner.release(), reader);
  assert.equal(owner.fd, -1);
  owner.close();
  {
    using end = new OwnedFd(writer);
    assert.equal(end.fd, writer);
  }
  assert.equal(readFd(reader, new Uint8Array(1)), 0); // the writer is closed, the reader is not
  closeFd(reader);
});

Deno.test("a link is read", () => {
  using folder = tempDir();
  const target = "x".repeat(3000);
  Deno.symlinkSync(target, `${folder.path}/link`);
  assert.equal(readlinkAt(AT.FDCWD, `${folder.path}/link`), target);
  assert.throws(() => readlinkAt(AT.FDCWD, folder.path), { code: "EINVAL" });
});

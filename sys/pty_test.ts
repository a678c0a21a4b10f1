import assert from "node:assert/strict";
import { closeFd, O, openFd, readFd, writeFd } from "./fd.ts";
import { S } from "./abi/file.ts";
import { majorOf, statFd } from "./file.ts";
import { loopIdle } from "./poll.ts";
import { getWindowSize, isTerminal, makeRaw, openPty, setWindowSize } from "./pty.ts";
import { decode, encode, run } from "./test_helpers.ts";

async function readText(from: { read(into: Uint8Array): Promise<number> }): Promise<string> {
  const buffer = new Uint8Array(1000);
  return decode(buffer.subarray(0, await from.read(buffer)));
}

Deno.test("a line passes in both directions, with the terminal's manners", async () => {
  const { master, slave, slavePath } = openPty();
  assert.match(slavePath, /^\/dev\/pts\/\d+$/);
  assert.equal(majorOf(statFd(slave).rdev), 136);
  assert.equal(statFd(slave).type, S.IFCHR);
  writeFd(slave, encode("out\n"));
  assert.equal(await readText(master), "out\r\n");
  await master.write(encode("in\r"));
  assert.equal(await readText(master), "in\r\n"); // the echo
  const buffer = new Uint8Array(10);
  assert.equal(decode(buffer.subarray(0, readFd(slave, buffer))), "in\n");
  const other = openFd(slavePath, O.RDWR | O.NOCTTY);
  assert.equal(statFd(other).rdev, statFd(slave).rdev);
  closeFd(other);
  closeFd(slave);
  master.close();
});

Deno.test("the end comes when the slave is closed, after all output", async () => {
  const { master, slave } = openPty();
  const read = readText(master);
  writeFd(slave, encode("last words"));
  assert.equal(await read, "last words");
  const end = master.read(new Uint8Array(1));
  closeFd(slave);
  assert.equal(await end, 0);
  assert.equal(await master.read(new Uint8Array(1)), 0);
  await master.hungUp();
  master.close();
  await loopIdle();
});

Deno.test("a terminal that is opened again after everybody left speaks again", async () => {
  const { master, slave, slavePath } = openPty();
  closeFd(slave);
  assert.equal(await master.read(new Uint8Array(1)), 0);
  const again = openFd(slavePath, O.RDWR | O.NOCTTY);
  const read = readText(master);
  await new Promise((resolve) => setTimeout(resolve, 2));
  writeFd(again, encode("back"));
  assert.equal(await read, "back");
  closeFd(again);
  master.close();
  await loopIdle();
});

Deno.test("raw mode lets everything through, and is undone", async () => {
  const { master, slave } = openPty();
  const restore = makeRaw(slave);
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  writeFd(slave, all);
  const buffer = new Uint8Array(1000);
  let count = await master.read(buffer);
  assert.deepEqual(buffer.subarray(0, count), all);
  await master.write(all);
  count = readFd(slave, buffer);
  assert.deepEqual(buffer.subarray(0, count), all);
  restore();
  writeFd(slave, encode("x\n"));
  assert.equal(await readText(master), "x\r\n");
  closeFd(slave);
  master.close();
});

Deno.test("raw mode is what stty calls raw", async () => {
  const settings = async (path: string) => (await run("stty", ["-a", "-F", path])).replaceAll(/[;\s]+/g, " ");
  const mine = openPty();
  const theirs = openPty();
  makeRaw(mine.slave);
  await run("stty", ["-F", theirs.slavePath, "raw", "-echo", "-echonl", "-iexten", "cs8", "-parenb"]);
  const words = (text: string) => new Set(text.split(" "));
  const [a, b] = [words(await settings(mine.slavePath)), words(await settings(theirs.slavePath))];
  for (
    const flag of ["isig", "icanon", "echo", "echonl", "iexten", "opost", "icrnl", "inlcr", "igncr", "ixon"]
  ) {
    assert.ok(a.has("-" + flag), flag);
    assert.ok(b.has("-" + flag), flag);
  }
  for (const flag of ["-ignbrk", "-brkint", "-parmrk", "-istrip", "cs8", "-parenb"]) {
    assert.ok(a.has(flag), flag);
  }
  for (const pty of [mine, theirs]) {
    closeFd(pty.slave);
    pty.master.close();
  }
});

Deno.test("the window's size is set and read at both ends", async () => {
  const { master, slave, slavePath } = openPty();
  assert.deepEqual(getWindowSize(slave), { rows: 0, columns: 0 });
  setWindowSize(master.fd, { rows: 50, columns: 132 });
  assert.deepEqual(getWindowSize(slave), { rows: 50, columns: 132 });
  assert.equal((await run("stty", ["size", "-F", slavePath])).trim(), "50 132");
  setWindowSize(slave, { rows: 65535, columns: 1 });
  assert.deepEqual(getWindowSize(master.fd), { rows: 65535, columns: 1 });
  assert.ok(isTerminal(slave));
  closeFd(slave);
  master.close();
});

Deno.test("what is no terminal is refused", () => {
  const fd = openFd("/dev/null", O.RDWR);
  assert.ok(!isTerminal(fd));
  assert.throws(() => makeRaw(fd), { code: "ENOTTY" });
  assert.throws(() => setWindowSize(fd, { rows: 1, columns: 1 }), { code: "ENOTTY" });
  closeFd(fd);
});

Deno.test("another multiplexer and folder can be named", () => {
  const { master, slave, slavePath } = openPty({ ptmx: "/dev/pts/ptmx", slaveFolder: "/elsewhere" });
  assert.match(slavePath, /^\/elsewhere\/\d+$/);
  closeFd(slave);
  master.close();
  assert.throws(() => openPty({ ptmx: "/dev/null" }), { code: "ENOTTY" });
});

import assert from "node:assert/strict";
import { closeFd, O, openFd, openFlags, pipe, readFd, writeFd } from "../../sys/fd.ts";
import { fdIo } from "./fd.ts";
import { closeIo } from "./streams.ts";

Deno.test("pipes of the caller are read and written without making them non-blocking", async () => {
  const [inRead, inWrite] = pipe();
  const [outRead, outWrite] = pipe();
  const io = await fdIo({ stdin: inRead, stdout: outWrite }, false).open();
  writeFd(inWrite, new TextEncoder().encode("in"));
  const buffer = new Uint8Array(16);
  assert.equal(await io.stdin?.read(buffer), 2);
  await io.stdout?.write(new TextEncoder().encode("out"));
  assert.equal(readFd(outRead, buffer), 3);
  assert.equal(openFlags(inRead) & O.NONBLOCK, 0);
  assert.equal(openFlags(outWrite) & O.NONBLOCK, 0);
  closeFd(inWrite);
  assert.equal(await io.stdin?.read(buffer), 0);
  await closeIo(io);
  for (const fd of [inRead, outRead, outWrite]) closeFd(fd);
});

Deno.test("a plain file goes on from where the caller is in it", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, "onetwo");
    const fd = openFd(path, O.RDWR);
    readFd(fd, new Uint8Array(3));
    const io = await fdIo({ stdin: fd, stdout: fd }, false).open();
    const buffer = new Uint8Array(16);
    assert.equal(await io.stdin?.read(buffer), 3);
    assert.equal(new TextDecoder().decode(buffer.subarray(0, 3)), "two");
    await io.stdout?.write(new TextEncoder().encode("three"));
    await closeIo(io);
    closeFd(fd);
    assert.equal(await Deno.readTextFile(path), "onetwothree");
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("closing ends a read that waits", async () => {
  const [read, write] = pipe();
  const io = await fdIo({ stdin: read }, false).open();
  const waiting = io.stdin?.read(new Uint8Array(1));
  await new Promise((resolve) => setTimeout(resolve, 20));
  io.stdin?.close();
  assert.equal(await waiting, 0);
  closeFd(read);
  closeFd(write);
});

Deno.test("that nobody reads any more is told with the first write that nobody gets", async () => {
  const [outRead, outWrite] = pipe();
  let told = 0;
  const io = await fdIo({ stdout: outWrite }, false, () => told++).open();
  await io.stdout?.write(new Uint8Array([1]));
  assert.equal(told, 0);
  closeFd(outRead);
  await assert.rejects(async () => await io.stdout?.write(new Uint8Array([2])), { code: "EPIPE" });
  assert.equal(told, 1);
  await closeIo(io);
  closeFd(outWrite);
});

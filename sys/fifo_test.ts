import assert from "node:assert/strict";
import { loopTurns } from "./event_loop.ts";
import { closeFd, O, openFd, writeFd } from "./fd.ts";
import { openFifoReader, openFifoWriter } from "./fifo.ts";
import { mkfifo } from "./file.ts";
import { loopIdle } from "./poll.ts";
import { decode, encode, tempDir } from "./test_helpers.ts";

const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

function fifo() {
  const folder = tempDir();
  const path = `${folder.path}/fifo`;
  mkfifo(path, 0o600);
  return { path, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

Deno.test("a reader waits for its first writer, and ends with the last", async () => {
  using file = fifo();
  using reader = openFifoReader(file.path);
  const buffer = new Uint8Array(100);
  let count: number | undefined;
  const first = reader.read(buffer).then((n) => count = n);
  await settle();
  assert.equal(count, undefined, "it ended before anybody wrote");
  const writer = openFd(file.path, O.WRONLY | O.NONBLOCK);
  await settle();
  assert.equal(count, undefined);
  writeFd(writer, encode("one"));
  assert.equal(await first, 3);
  assert.equal(decode(buffer.subarray(0, 3)), "one");
  const second = reader.read(buffer);
  writeFd(writer, encode("two"));
  closeFd(writer);
  assert.equal(await second, 3);
  assert.equal(await reader.read(buffer), 0);
  assert.equal(await reader.read(buffer), 0);
  await loopIdle();
});

Deno.test("a writer that comes and goes without a word is an end too", async () => {
  using file = fifo();
  using reader = openFifoReader(file.path);
  const read = reader.read(new Uint8Array(1));
  await settle();
  closeFd(openFd(file.path, O.WRONLY | O.NONBLOCK));
  assert.equal(await read, 0);
  await loopIdle();
});

Deno.test("what a writer left behind is read before the end", async () => {
  using file = fifo();
  using reader = openFifoReader(file.path);
  const writer = openFd(file.path, O.WRONLY | O.NONBLOCK);
  writeFd(writer, encode("left"));
  closeFd(writer);
  const buffer = new Uint8Array(2);
  assert.equal(await reader.read(buffer), 2);
  assert.equal(await reader.read(buffer), 2);
  assert.equal(await reader.read(buffer), 0);
});

Deno.test("waiting for the first writer does not keep the loop turning", async () => {
  using file = fifo();
  const reader = openFifoReader(file.path);
  const read = reader.read(new Uint8Array(1));
  await settle();
  const before = loopTurns();
  for (let i = 0; i < 5; i++) await settle();
  assert.equal(loopTurns(), before);
  reader.close();
  await assert.rejects(read, { code: "EBADF", subject: file.path });
  await loopIdle();
});

Deno.test("a writer needs no reader, and survives readers that go and come back", async () => {
  using file = fifo();
  using writer = openFifoWriter(file.path);
  await writer.write(encode("a"));
  const first = openFifoReader(file.path);
  const buffer = new Uint8Array(10);
  assert.equal(await first.read(buffer), 1);
  first.close();
  await writer.write(encode("b"));
  using second = openFifoReader(file.path);
  await writer.write(encode("c"));
  assert.equal(await second.read(buffer), 2);
  assert.equal(decode(buffer.subarray(0, 2)), "bc");
  writer.close();
  assert.equal(await second.read(buffer), 0);
});

Deno.test("a full FIFO holds the writer back until somebody reads", async () => {
  using file = fifo();
  using writer = openFifoWriter(file.path);
  const data = new Uint8Array(1_000_000).map((_, i) => i);
  let written = false;
  const write = writer.write(data).then(() => {
    written = true;
    writer.close();
  });
  await settle();
  assert.equal(written, false);
  using reader = openFifoReader(file.path);
  const received = new Uint8Array(data.length + 1);
  let length = 0;
  for (let count = -1; count !== 0; length += count) count = await reader.read(received.subarray(length));
  await write;
  assert.deepEqual(received.subarray(0, length), data);
  await loopIdle();
});

Deno.test("errors name the path", () => {
  assert.throws(() => openFifoReader("/does/not/exist"), {
    message: 'cannot openat "/does/not/exist": ENOENT',
  });
});

import assert from "node:assert/strict";
import { closeFd, pipe, setPipeSize, writeFd } from "../sys/fd.ts";
import { isErrno } from "../sys/errors.ts";
import { AsyncFd } from "../sys/poll.ts";
import { openPty } from "../sys/pty.ts";
import { StreamReader } from "./stream_reader.ts";
import { StreamWriter } from "./stream_writer.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array | undefined) => bytes && new TextDecoder().decode(bytes);

function readerAndPipe(): { reader: StreamReader; write: number } {
  const [read, write] = pipe();
  return { reader: new StreamReader(new AsyncFd(read)), write };
}

Deno.test("a reader gets what is there, at most what it asked for, and the end only after everything", async () => {
  const { reader, write } = readerAndPipe();
  using _ = reader;
  writeFd(write, encode("hello"));
  closeFd(write);
  assert.equal(decode(await reader.read(2)), "he");
  assert.equal(decode(await reader.read(100)), "llo");
  assert.equal(reader.ended, false);
  assert.equal(await reader.read(100), undefined);
  assert.equal(await reader.read(100), undefined);
  assert.equal(reader.ended, true);
});

Deno.test("a reader that asks for nothing gets at least one byte, one that asks for too much gets less", async () => {
  const { reader, write } = readerAndPipe();
  using _ = reader;
  writeFd(write, encode("ab"));
  assert.equal(decode(await reader.read(0)), "a");
  assert.equal(decode(await reader.read(0xffff_ffff)), "b");
  closeFd(write);
});

Deno.test("several readers wait at once and are served in the order in which they came", async () => {
  const { reader, write } = readerAndPipe();
  using _ = reader;
  const reads = [reader.read(1), reader.read(2), reader.read(3), reader.read(4)];
  writeFd(write, encode("122"));
  assert.equal(decode(await reads[0]), "1");
  assert.equal(decode(await reads[1]), "22");
  writeFd(write, encode("3"));
  closeFd(write);
  assert.deepEqual((await Promise.all(reads)).map(decode), ["1", "22", "3", undefined]);
});

Deno.test("a reader that comes when the last one has just been served is served too", async () => {
  const { reader, write } = readerAndPipe();
  using _ = reader;
  const first = reader.read(1).then((data) => [decode(data), reader.read(1).then(decode)] as const);
  setTimeout(() => writeFd(write, encode("1")));
  const [one, second] = await first;
  setTimeout(() => writeFd(write, encode("2")));
  assert.deepEqual([one, await second], ["1", "2"]);
  closeFd(write);
});

Deno.test("a reader that goes away takes no bytes with it", async () => {
  const { reader, write } = readerAndPipe();
  using _ = reader;
  const gone = new AbortController();
  const reads = [reader.read(10, gone.signal), reader.read(10)];
  gone.abort(new Error("gone"));
  await assert.rejects(async () => await reads[0], /gone/);
  writeFd(write, encode("kept"));
  assert.equal(decode(await reads[1]), "kept");
  closeFd(write);
});

Deno.test("closing ends all readers", async () => {
  const { reader, write } = readerAndPipe();
  const reads = [reader.read(1), reader.read(1)];
  reader[Symbol.dispose]();
  assert.deepEqual(await Promise.all(reads), [undefined, undefined]);
  closeFd(write);
});

Deno.test("nothing is read from the process before somebody asks", async () => {
  const { reader, write } = readerAndPipe();
  using _ = reader;
  using writer = new AsyncFd(write);
  setPipeSize(write, 4096);
  assert.equal(decode(await (writeFd(write, encode("x")), reader.read(1))), "x");
  writeFd(write, new Uint8Array(4096));
  // The pipe is full: the next byte does not fit until somebody reads.
  assert.throws(() => writeFd(write, encode("y")), (error) => isErrno(error, "EAGAIN"));
  assert.equal((await reader.read(8192))?.length, 4096);
  writeFd(write, encode("y"));
  assert.equal(decode(await reader.read(1)), "y");
  writer.close();
});

Deno.test("a terminal that nobody holds any more is at its end, after its output", async () => {
  const { master, slave } = openPty();
  using reader = new StreamReader(master);
  writeFd(slave, encode("bye"));
  closeFd(slave);
  assert.equal(decode(await reader.read(100)), "bye");
  assert.equal(await reader.read(100), undefined);
});

Deno.test("the end of input comes after what is still being written", async () => {
  const [read, write] = pipe();
  using writer = new StreamWriter(new AsyncFd(write), true);
  using reader = new StreamReader(new AsyncFd(read));
  const size = 300_000;
  const writes = [writer.write(new Uint8Array(size)), writer.write(encode("last"))];
  writer.end();
  assert.equal(writer.ended, true);
  let text = "";
  for (let data = await reader.read(65536); data; data = await reader.read(65536)) text += decode(data);
  await Promise.all(writes);
  assert.equal(text.length, size + 4);
  assert.ok(text.endsWith("last"));
});

Deno.test("what is being written fails when the reader is gone, or the writer is closed", async () => {
  for (const close of ["reader", "writer"] as const) {
    const [read, write] = pipe();
    using writer = new StreamWriter(new AsyncFd(write), true);
    const written = writer.write(new Uint8Array(300_000));
    if (close === "reader") closeFd(read);
    else writer[Symbol.dispose]();
    await assert.rejects(written, (error) => isErrno(error, close === "reader" ? "EPIPE" : "EBADF"));
    if (close === "writer") closeFd(read);
  }
});

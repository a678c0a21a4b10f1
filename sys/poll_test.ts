import assert from "node:assert/strict";
import {
  closeFd,
  dupFd,
  eventfd,
  memfd,
  O,
  openFd,
  pipe,
  readFd,
  seekFd,
  setNonblock,
  writeFd,
} from "./fd.ts";
import { AsyncFd, loopIdle, POLL, pollNow } from "./poll.ts";
import { decode, encode, randomBytes } from "./test_helpers.ts";

/** A pipe of two AsyncFds that are closed at the end, when also the event loop is quiet. */
function asyncPipe() {
  const [r, w] = pipe();
  const reader = new AsyncFd(r, "reader");
  const writer = new AsyncFd(w, "writer");
  return {
    reader,
    writer,
    async [Symbol.asyncDispose]() {
      reader.close();
      writer.close();
      await loopIdle();
    },
  };
}

async function readText(from: AsyncFd, size = 100): Promise<string> {
  const buffer = new Uint8Array(size);
  return decode(buffer.subarray(0, await from.read(buffer)));
}

/** Lets everything happen that is about to, and then some. */
async function settle() {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 1));
}

Deno.test("what is there is read at once, what is not is waited for", async () => {
  await using ends = asyncPipe();
  await ends.writer.write(encode("now"));
  assert.equal(await readText(ends.reader), "now");
  const later = readText(ends.reader);
  await settle();
  await ends.writer.write(encode("later"));
  assert.equal(await later, "later");
});

Deno.test("the end of a stream reads as 0, again and again", async () => {
  await using ends = asyncPipe();
  const first = ends.reader.read(new Uint8Array(1));
  await settle();
  ends.writer.close();
  assert.equal(await first, 0);
  assert.equal(await ends.reader.read(new Uint8Array(1)), 0);
});

Deno.test("nothing is read into nothing", async () => {
  await using ends = asyncPipe();
  assert.equal(await ends.reader.read(new Uint8Array()), 0);
});

Deno.test("reads queue in order", async () => {
  await using ends = asyncPipe();
  const texts = ["a", "b", "c"].map(() => readText(ends.reader, 1));
  await settle();
  await ends.writer.write(encode("123"));
  assert.deepEqual(await Promise.all(texts), ["1", "2", "3"]);
});

Deno.test("writes larger than the pipe wait for the reader, and do not mix", async () => {
  await using ends = asyncPipe();
  const blocks = [1, 2, 3, 4].map((fill) => new Uint8Array(1_000_003).fill(fill));
  let written = 0;
  const writes = Promise.all(blocks.map(async (block) => {
    await ends.writer.write(block);
    written++;
  }));
  await settle();
  assert.equal(written, 0);
  const buffer = new Uint8Array(70_000);
  for (const block of blocks) {
    for (let left = block.length; left > 0;) {
      const count = await ends.reader.read(buffer.subarray(0, left));
      assert.ok(buffer.subarray(0, count).every((byte) => byte === block[0]));
      left -= count;
    }
  }
  await writes;
});

Deno.test("many mebibytes arrive as they were sent, whatever the pieces", async () => {
  await using ends = asyncPipe();
  const data = randomBytes(8 * 1024 * 1024);
  const received = new Uint8Array(data.length);
  const receive = async () => {
    for (let at = 0, size = 1; at < data.length; size = (size * 7 + 3) % 200_000 + 1) {
      at += await ends.reader.read(received.subarray(at, at + size));
    }
  };
  const send = async () => {
    for (let at = 0, size = 1; at < data.length; at += size, size = (size * 5 + 1) % 300_000 + 1) {
      await ends.writer.write(data.subarray(at, at + size));
    }
  };
  await Promise.all([receive(), send()]);
  assert.deepEqual(received, data);
});

Deno.test("reading and writing one descriptor at the same time do not hinder each other", async () => {
  await using event = asyncEvent();
  const got = event.fd.read(new Uint8Array(8));
  await settle();
  const word = new Uint8Array(8);
  word[0] = 1;
  await event.fd.write(word);
  assert.equal(await got, 8);
});

function asyncEvent() {
  const fd = new AsyncFd(eventfd(), "event");
  return {
    fd,
    async [Symbol.asyncDispose]() {
      fd.close();
      await loopIdle();
    },
  };
}

Deno.test("closing ends what is pending with EBADF, and what is asked later", async () => {
  const [r, feeder] = pipe();
  const [drain, w] = pipe();
  const reader = new AsyncFd(r, "the reader");
  const writer = new AsyncFd(w, "the writer");
  const reads = [1, 2, 3].map(() => reader.read(new Uint8Array(1)));
  const readable = reader.readable();
  const writes = [1, 2].map(() => writer.write(new Uint8Array(1_000_000)));
  const gone = writer.hungUp();
  const all = Promise.allSettled([...reads, readable, ...writes, gone]);
  await settle();
  for (const end of [reader, writer, reader]) end.close();
  for (const result of await all) {
    assert.equal(result.status, "rejected");
    assert.equal(result.reason.code, "EBADF");
    assert.match(result.reason.message, /"the (reader|writer)"/);
  }
  assert.equal(reader.fd, -1);
  await assert.rejects(reader.read(new Uint8Array(1)), { code: "EBADF" });
  await assert.rejects(writer.write(new Uint8Array(1)), { code: "EBADF" });
  await assert.rejects(reader.readable(), { code: "EBADF" });
  closeFd(feeder);
  closeFd(drain);
  await loopIdle();
});

Deno.test("a descriptor closed and opened anew under its number does not get the old one's events", async () => {
  for (let i = 0; i < 200; i++) {
    const [r, w] = pipe();
    const reader = new AsyncFd(r, "old");
    const read = reader.read(new Uint8Array(1));
    read.catch(() => {});
    writeFd(w, encode("x")); // the event may be on its way already
    reader.close();
    closeFd(w);
    await using next = asyncPipe();
    const waiting = readText(next.reader);
    if (i % 10 === 0) await settle();
    await next.writer.write(encode("new"));
    assert.equal(await waiting, "new");
    // Either it was read before the close, or it was not.
    await read.then((count) => assert.equal(count, 1), (error) => assert.equal(error.code, "EBADF"));
  }
});

Deno.test("a released descriptor is the caller's, non-blocking and out of the loop", async () => {
  const [r, w] = pipe();
  const reader = new AsyncFd(r);
  const read = reader.read(new Uint8Array(1));
  const rejected = assert.rejects(read, { code: "EBADF" });
  assert.equal(reader.release(), r);
  await rejected;
  assert.equal(reader.release(), -1);
  assert.throws(() => readFd(r, new Uint8Array(1)), { code: "EAGAIN" });
  // It can be taken in again.
  const again = new AsyncFd(r);
  const second = readText(again);
  writeFd(w, encode("again"));
  assert.equal(await second, "again");
  again.close();
  closeFd(w);
  await loopIdle();
});

Deno.test("readable and writable resolve when a call would not wait", async () => {
  await using ends = asyncPipe();
  await ends.writer.writable();
  let readable = false;
  const wait = ends.reader.readable().then(() => readable = true);
  await settle();
  assert.equal(readable, false);
  await ends.writer.write(encode("x"));
  await wait;
  await ends.reader.readable(); // still: nothing was read
  const filled = ends.writer.write(new Uint8Array(65_536)).catch(() => {});
  await settle();
  let writable = false;
  const room = ends.writer.writable().then(() => writable = true);
  await settle();
  assert.equal(writable, false);
  while (!writable) await ends.reader.read(new Uint8Array(65_536));
  await room;
  await filled;
});

Deno.test("a hang-up is reported even while data is left to read", async () => {
  await using ends = asyncPipe();
  await ends.writer.write(encode("left"));
  let gone = false;
  const wait = ends.reader.hungUp().then(() => gone = true);
  await settle();
  assert.equal(gone, false);
  ends.writer.close();
  await wait;
  assert.equal(await readText(ends.reader), "left");
  assert.equal(await ends.reader.read(new Uint8Array(1)), 0);
});

Deno.test("a writer without readers gets EPIPE, at once and while it waits", async () => {
  await using ends = asyncPipe();
  const write = ends.writer.write(new Uint8Array(1_000_000));
  const failed = assert.rejects(write, { syscall: "write", code: "EPIPE", subject: "writer" });
  await settle();
  ends.reader.close();
  await failed;
  await assert.rejects(ends.writer.write(encode("x")), { code: "EPIPE" });
  await ends.writer.hungUp();
});

Deno.test("a failed write does not hold up the ones behind it", async () => {
  await using ends = asyncPipe();
  const all = Promise.allSettled([1, 2, 3].map(() => ends.writer.write(new Uint8Array(1_000_000))));
  await settle();
  ends.reader.close();
  for (const result of await all) assert.equal(result.status, "rejected");
});

Deno.test("files that epoll refuses are always ready", async () => {
  const file = new AsyncFd(memfd("regular"));
  await file.readable();
  await file.write(encode("text"));
  seekFd(file.fd, 0, 0);
  assert.equal(await readText(file), "text");
  assert.equal(await readText(file), "");
  file.close();
  const nothing = new AsyncFd(openFd("/dev/null", O.RDWR));
  await nothing.write(randomBytes(1000));
  assert.equal(await nothing.read(new Uint8Array(1)), 0);
  nothing.close();
});

Deno.test("a copy between descriptors that are always ready leaves others their turn", async () => {
  const zero = new AsyncFd(openFd("/dev/zero", O.RDONLY));
  const nothing = new AsyncFd(openFd("/dev/null", O.WRONLY));
  await using ends = asyncPipe();
  let done = false;
  const others = (async () => {
    const text = readText(ends.reader);
    await new Promise((resolve) => setTimeout(resolve, 1));
    await ends.writer.write(encode("turn"));
    assert.equal(await text, "turn");
    done = true;
  })();
  const buffer = new Uint8Array(10);
  let rounds = 0;
  for (; !done && rounds < 5_000_000; rounds++) {
    await zero.read(buffer);
    await nothing.write(buffer);
  }
  assert.ok(done, `the others had no turn in ${rounds} rounds`);
  await others;
  zero.close();
  nothing.close();
});

Deno.test("two descriptors of one open file both get its events", async () => {
  const [r, w] = pipe();
  const [first, second] = [new AsyncFd(r), new AsyncFd(dupFd(r))];
  const texts = [readText(first, 1), readText(second, 1)];
  await settle();
  writeFd(w, encode("ab"));
  assert.deepEqual((await Promise.all(texts)).sort(), ["a", "b"]);
  first.close();
  second.close();
  closeFd(w);
  await loopIdle();
});

Deno.test("pollNow tells what is true now", () => {
  const [r, w] = pipe();
  setNonblock(r, true);
  assert.equal(pollNow(r, POLL.IN), 0);
  assert.equal(pollNow(w, POLL.OUT), POLL.OUT);
  writeFd(w, encode("x"));
  assert.equal(pollNow(r, POLL.IN), POLL.IN);
  closeFd(w);
  assert.equal(pollNow(r, POLL.IN), POLL.IN | POLL.HUP);
  closeFd(r);
  assert.equal(pollNow(1_000_000, POLL.IN), POLL.NVAL);
});

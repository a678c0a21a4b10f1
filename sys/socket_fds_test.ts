import assert from "node:assert/strict";
import { closeFd, pipe, readFd, writeFd } from "./fd.ts";
import { statFd } from "./file.ts";
import { AsyncFd, loopIdle } from "./poll.ts";
import { receiveWithFds, SCM_MAX_FD, sendWithFds, socketPair } from "./socket.ts";
import { syscall } from "./syscall.ts";
import { decode, encode } from "./test_helpers.ts";

function asyncPair() {
  const [a, b] = socketPair().map((fd) => new AsyncFd(fd)) as [AsyncFd, AsyncFd];
  return {
    a,
    b,
    async [Symbol.asyncDispose]() {
      a.close();
      b.close();
      await loopIdle();
    },
  };
}

Deno.test("descriptors arrive with their bytes, as new numbers for the same files", async () => {
  await using pair = asyncPair();
  const [r, w] = pipe();
  await sendWithFds(pair.a, encode("two"), [r, w]);
  const buffer = new Uint8Array(10);
  const { bytes, fds } = await receiveWithFds(pair.b, buffer);
  assert.equal(decode(buffer.subarray(0, bytes)), "two");
  assert.equal(fds.length, 2);
  const [r2, w2] = fds as [number, number];
  assert.ok(r2 !== r && w2 !== w);
  assert.equal(statFd(r2).ino, statFd(r).ino);
  for (const fd of fds) assert.equal(syscall("fcntl", [fd, 1]), 1, "it is not close-on-exec");
  closeFd(r);
  writeFd(w2, encode("x"));
  assert.equal(readFd(r2, buffer), 1);
  for (const fd of [w, r2, w2]) closeFd(fd);
});

Deno.test("a message is waited for; bytes alone come without descriptors; the end is 0", async () => {
  await using pair = asyncPair();
  const buffer = new Uint8Array(10);
  const received = receiveWithFds(pair.b, buffer);
  await new Promise((resolve) => setTimeout(resolve, 2));
  await pair.a.write(encode("plain"));
  assert.deepEqual(await received, { bytes: 5, fds: [] });
  await sendWithFds(pair.a, encode("none"), []);
  assert.deepEqual(await receiveWithFds(pair.b, buffer), { bytes: 4, fds: [] });
  pair.a.close();
  assert.deepEqual(await receiveWithFds(pair.b, buffer), { bytes: 0, fds: [] });
});

Deno.test("the most descriptors that the kernel takes pass in one message, and no more", async () => {
  await using pair = asyncPair();
  const [r, w] = pipe();
  const many = Array<number>(SCM_MAX_FD).fill(r);
  await sendWithFds(pair.a, encode("x"), many);
  const { fds } = await receiveWithFds(pair.b, new Uint8Array(1));
  assert.equal(fds.length, SCM_MAX_FD);
  assert.equal(new Set(fds).size, SCM_MAX_FD);
  fds.forEach(closeFd);
  await assert.rejects(sendWithFds(pair.a, encode("x"), [...many, r]), RangeError);
  await assert.rejects(sendWithFds(pair.a, new Uint8Array(), [r]), RangeError);
  closeFd(r);
  closeFd(w);
});

Deno.test("more bytes than fit at once still arrive, the descriptors with the first of them", async () => {
  await using pair = asyncPair();
  const [r, w] = pipe();
  const data = new Uint8Array(3_000_000).map((_, i) => i * 7);
  const sent = sendWithFds(pair.a, data, [r]);
  const received = new Uint8Array(data.length);
  const first = await receiveWithFds(pair.b, received);
  assert.equal(first.fds.length, 1);
  for (let at = first.bytes; at < data.length;) at += await pair.b.read(received.subarray(at));
  await sent;
  assert.deepEqual(received, data);
  for (const fd of [r, w, ...first.fds]) closeFd(fd);
});

Deno.test("closed sockets and descriptors that are none are errors", async () => {
  await using pair = asyncPair();
  await assert.rejects(sendWithFds(pair.a, encode("x"), [1_000_000]), { syscall: "sendmsg", code: "EBADF" });
  const received = receiveWithFds(pair.b, new Uint8Array(1));
  await new Promise((resolve) => setTimeout(resolve, 2));
  pair.b.close();
  await assert.rejects(received, { code: "EBADF" });
  await assert.rejects(sendWithFds(pair.a, encode("x"), []), { code: "EPIPE" });
});

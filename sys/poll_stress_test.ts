import assert from "node:assert/strict";
import { loopTurns } from "./event_loop.ts";
import { closeFd, pipe, writeFd } from "./fd.ts";
import { AsyncFd, loopIdle } from "./poll.ts";
import { openPty } from "./pty.ts";
import { encode, runModule } from "./test_helpers.ts";

function startWorker(name: string, message: unknown): { done: Promise<void>; stop(): void } {
  const worker = new Worker(new URL(`./testdata/${name}`, import.meta.url), { type: "module" });
  const done = new Promise<void>((resolve, reject) => {
    worker.onmessage = () => resolve();
    worker.onerror = (event) => reject(new Error(event.message));
  });
  worker.postMessage(message);
  return { done, stop: () => worker.terminate() };
}

Deno.test("a thousand pipes, written by another thread at any moment: every byte wakes its reader", async () => {
  const rounds = 40;
  const pipes = Array.from({ length: 1000 }, () => pipe());
  const worker = startWorker("write_worker.ts", { fds: pipes.map(([, w]) => w), rounds });
  await Promise.all(pipes.map(async ([r], index) => {
    using reader = new AsyncFd(r, `pipe ${index}`);
    const buffer = new Uint8Array(1 + index % 3);
    let next = 0;
    for (;;) {
      const count = await reader.read(buffer);
      if (count === 0) break;
      for (const round of buffer.subarray(0, count)) assert.equal(round, next++);
    }
    assert.equal(next, rounds);
  }));
  await worker.done;
  worker.stop();
  await loopIdle();
});

Deno.test("ten thousand round trips between two threads lose no wake-up", async () => {
  const [fromMain, toWorker] = pipe();
  const [fromWorker, toMain] = pipe();
  const worker = startWorker("echo_worker.ts", { from: fromMain, to: toMain });
  const writer = new AsyncFd(toWorker, "to the worker");
  const reader = new AsyncFd(fromWorker, "from the worker");
  const byte = new Uint8Array(1);
  for (let i = 0; i < 10_000; i++) {
    await writer.write(new Uint8Array([i & 0xff]));
    // Both ways of waiting.
    if (i % 3 === 0) await reader.readable();
    assert.equal(await reader.read(byte), 1);
    assert.equal(byte[0], i & 0xff);
  }
  writer.close();
  await worker.done;
  assert.equal(await reader.read(byte), 0);
  reader.close();
  worker.stop();
  await loopIdle();
});

Deno.test("what is hung up, or ready with nobody waiting for it, does not keep the loop turning", async () => {
  const { master, slave } = openPty();
  closeFd(slave);
  assert.equal(await master.read(new Uint8Array(1)), 0);
  // The queue of the terminal is filled: nobody will ever read it.
  await assert.rejects(master.write(new Uint8Array(1_000_000).fill(65)), { code: "EIO" });
  await master.hungUp();
  const [full, feeder] = pipe();
  const unread = new AsyncFd(full);
  const registered = unread.readable();
  writeFd(feeder, encode("x"));
  await registered;
  const [quiet, quietFeeder] = pipe();
  const waiting = new AsyncFd(quiet);
  const pending = waiting.readable(); // keeps an epoll_wait under way
  await new Promise((resolve) => setTimeout(resolve, 20));
  const before = loopTurns();
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setTimeout(resolve, 2));
  assert.equal(loopTurns() - before, 0);
  writeFd(quietFeeder, encode("x"));
  await pending;
  for (const end of [master, unread, waiting]) end.close();
  for (const fd of [feeder, quietFeeder]) closeFd(fd);
  await loopIdle();
});

Deno.test("a program in which nobody waits any more ends by itself", async () => {
  assert.equal(await runModule("idle.ts"), "no longer waiting\n");
});

Deno.test("everything that is opened can be closed: no descriptor is left", async () => {
  assert.equal(await runModule("descriptors.ts"), "");
});

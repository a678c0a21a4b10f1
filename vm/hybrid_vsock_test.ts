import assert from "node:assert/strict";
import type { AsyncFd } from "../sys/poll.ts";
import { listenUnix } from "../sys/socket.ts";
import { connectHybrid } from "./hybrid_vsock.ts";

/** Serves one connection with `answer`, after reading the request. */
async function served<T>(
  answer: (stream: AsyncFd, request: string) => Promise<void>,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const folder = await Deno.makeTempDir();
  using listener = listenUnix(`${folder}/v.sock`);
  const serving = (async () => {
    using stream = await listener.accept();
    const buffer = new Uint8Array(100);
    await answer(stream, new TextDecoder().decode(buffer.subarray(0, await stream.read(buffer))));
  })();
  try {
    return await use(`${folder}/v.sock`);
  } finally {
    await serving;
    await Deno.remove(folder, { recursive: true });
  }
}

const write = (stream: AsyncFd, text: string) => stream.write(new TextEncoder().encode(text));

Deno.test("connectHybrid() names the port, and leaves to the stream what follows the answer", async () => {
  await served(async (stream, request) => {
    assert.equal(request, "CONNECT 1024\n");
    await write(stream, "OK 1073741824\nhello");
    await stream.hungUp();
  }, async (path) => {
    const stream = await connectHybrid(path, 1024);
    const buffer = new Uint8Array(100);
    assert.equal(new TextDecoder().decode(buffer.subarray(0, await stream.read(buffer))), "hello");
    stream.close();
  });
});

Deno.test("connectHybrid() fails when nobody listens on the port", async () => {
  await served(() => Promise.resolve(), async (path) => {
    await assert.rejects(connectHybrid(path, 7), /nobody listens on port 7 of the guest: ".*" answered ""/);
  });
  await served((stream) => write(stream, "x".repeat(100)), async (path) => {
    await assert.rejects(connectHybrid(path, 7), /nobody listens on port 7/);
  });
  await assert.rejects(
    connectHybrid("/nonexistent/v.sock", 7),
    /cannot connect "\/nonexistent\/v.sock": ENOENT/,
  );
});

Deno.test("connectHybrid() can be given up while the other side is silent", async () => {
  const giveUp = new AbortController();
  await served((stream) => {
    giveUp.abort(new Error("enough"));
    return stream.hungUp();
  }, async (path) => {
    await assert.rejects(connectHybrid(path, 1024, giveUp.signal), /^Error: enough$/);
  });
  await assert.rejects(connectHybrid("/nonexistent", 1024, AbortSignal.abort(new Error("before"))), /before/);
});

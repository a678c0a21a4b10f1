import assert from "node:assert/strict";
import { streamPair } from "./stream.ts";

async function readAll(stream: { read(into: Uint8Array): Promise<number> }, size = 1000): Promise<number[]> {
  const bytes: number[] = [];
  const buffer = new Uint8Array(size);
  for (let count = await stream.read(buffer); count > 0; count = await stream.read(buffer)) {
    bytes.push(...buffer.subarray(0, count));
  }
  return bytes;
}

Deno.test("bytes arrive in order, both ways, whatever the sizes of writes and reads", async () => {
  const [near, far] = streamPair();
  await near.write(Uint8Array.of(1, 2, 3));
  await near.write(Uint8Array.of());
  await near.write(Uint8Array.of(4));
  await far.write(Uint8Array.of(9));
  near.close();
  assert.deepEqual(await readAll(far, 2), [1, 2, 3, 4]);
});

Deno.test("a writer waits for the reader, and later writes wait behind it", async () => {
  const [near, far] = streamPair(4);
  const order: string[] = [];
  const writes = [
    near.write(Uint8Array.of(1, 2, 3, 4, 5, 6)).then(() => order.push("first")),
    near.write(Uint8Array.of(7)).then(() => order.push("second")),
  ];
  const buffer = new Uint8Array(4);
  assert.equal(await far.read(buffer), 4);
  assert.deepEqual(order, []);
  const rest = readAll(far);
  await Promise.all(writes);
  near.close();
  assert.deepEqual(await rest, [5, 6, 7]);
  assert.deepEqual(order, ["first", "second"]);
});

Deno.test("closing ends the peer's reads and fails the peer's writes and the own ones", async () => {
  const [near, far] = streamPair(1);
  const stuck = assert.rejects(far.write(Uint8Array.of(1, 2)), /the other end is closed/);
  near.close();
  await stuck;
  await assert.rejects(near.read(new Uint8Array(1)), /cannot read: the stream is closed/);
  assert.equal(await far.read(new Uint8Array(1)), 0);
  await assert.rejects(near.write(Uint8Array.of(1)), /cannot write: the stream is closed/);
  near.close();
});

Deno.test("closing fails the own read that waits", async () => {
  const [near] = streamPair();
  const waiting = assert.rejects(near.read(new Uint8Array(1)), /cannot read: the stream is closed/);
  near.close();
  await waiting;
});

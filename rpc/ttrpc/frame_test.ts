import fc from "fast-check";
import assert from "node:assert/strict";
import {
  encodeFrame,
  Flag,
  type Frame,
  FrameReader,
  FrameType,
  MAX_DATA_BYTES,
  TruncatedFrame,
} from "./frame.ts";
import { streamOf } from "./test_peer.ts";

async function readAll(pieces: Iterable<Uint8Array>): Promise<Frame[]> {
  const reader = new FrameReader(streamOf(pieces));
  const frames: Frame[] = [];
  for (let frame = await reader.next(); frame; frame = await reader.next()) frames.push(frame);
  return frames;
}

/** Cuts bytes at the given places. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end));
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const anyFrame = fc.record({
  streamId: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  type: fc.integer({ min: 0, max: 255 }),
  flags: fc.integer({ min: 0, max: 255 }),
  data: fc.uint8Array({ maxLength: 300 }),
});

Deno.test("a frame is ten bytes of header in network order, then its data", () => {
  const frame = encodeFrame(
    { streamId: 0x01020304, type: FrameType.Data, flags: Flag.RemoteClosed | Flag.NoData },
    Uint8Array.of(0xaa),
    Uint8Array.of(0xbb, 0xcc),
  );
  assert.equal(frame.toHex(), "000000030102030403" + "05" + "aabbcc");
});

Deno.test("frames survive being cut at any byte", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyFrame, { maxLength: 8 }), fc.array(fc.nat()), async (frames, places) => {
      const bytes = join(frames.map((frame) => encodeFrame(frame, frame.data)));
      const want = frames.map((frame) => ({ ...frame, length: frame.data.length }));
      assert.deepEqual(await readAll(cut(bytes, places)), want);
    }),
  );
});

Deno.test("frames of any size come whole, one byte at a time and all at once", async () => {
  for (const size of [0, 1, 65_525, 65_526, 65_527, 65_536, 131_072, 200_001]) {
    const data = new Uint8Array(size).map((_, i) => i * 7);
    const bytes = join([
      encodeFrame({ streamId: 1, type: 2, flags: 0 }, data),
      encodeFrame({ streamId: 3, type: 2, flags: 0 }),
    ]);
    const byBytes = Array.from({ length: bytes.length }, (_, i) => bytes.subarray(i, i + 1));
    for (const pieces of [[bytes], byBytes, cut(bytes, [10, 70_000]), cut(bytes, [7, 65_535, 65_536])]) {
      const [first, second, ...more] = await readAll(pieces);
      assert.deepEqual(first?.data, data);
      assert.equal(second?.streamId, 3);
      assert.deepEqual(more, []);
    }
  }
});

Deno.test("the data of a frame is its own memory", async () => {
  const [first, second] = await readAll([
    join([1, 2].map((n) => encodeFrame({ streamId: n, type: 1, flags: 0 }, Uint8Array.of(n)))),
  ]);
  second?.data?.fill(9);
  assert.deepEqual(first?.data, Uint8Array.of(1));
});

Deno.test("the largest frame is taken, a longer one is dropped and the next one read", async () => {
  const header = { streamId: 5, type: FrameType.Request, flags: 0 };
  const largest = encodeFrame(header, new Uint8Array(MAX_DATA_BYTES));
  const longer = encodeFrame(header, new Uint8Array(MAX_DATA_BYTES + 1));
  const frames = await readAll([largest, longer, encodeFrame({ ...header, streamId: 7 }, Uint8Array.of(1))]);
  assert.deepEqual(
    frames.map(({ streamId, data, length }) => [streamId, data?.length, length]),
    [[5, MAX_DATA_BYTES, MAX_DATA_BYTES], [5, undefined, MAX_DATA_BYTES + 1], [7, 1, 1]],
  );
});

Deno.test("an end between frames is an end, inside one it is an error that says how far it came", async () => {
  const frame = encodeFrame({ streamId: 1, type: 1, flags: 0 }, new Uint8Array(5));
  for (let length = 1; length < frame.length; length++) {
    await assert.rejects(readAll([frame, frame.subarray(0, length)]), TruncatedFrame);
  }
  await assert.rejects(readAll([frame.subarray(0, 4)]), {
    message: "connection ended after 4 of 10 bytes of a frame's header",
  });
  await assert.rejects(readAll([frame.subarray(0, 12)]), {
    message: "connection ended after 2 of 5 bytes of a frame's data",
  });
  const huge = Uint8Array.fromHex("ffffffff000000010100" + "00");
  await assert.rejects(readAll([huge]), {
    message: "connection ended after 1 of 4294967295 bytes of a frame's data",
  });
  assert.deepEqual(await readAll([]), []);
});

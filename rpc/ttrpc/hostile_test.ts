/** Whatever bytes a peer sends: no crash, no hang, and the next connection is served. */

import fc from "fast-check";
import assert from "node:assert/strict";
import { ConnectionClosed, RpcError } from "../errors.ts";
import { Streaming } from "../gen/streaming_pb.ts";
import { streamPair } from "../stream.ts";
import { TtrpcClient } from "./client.ts";
import { encodeFrame } from "./frame.ts";
import { requestFrame } from "./messages.ts";
import { TtrpcServer } from "./server.ts";
import { echoService, Peer, withPeer } from "./test_peer.ts";
import { implement, serviceClient } from "./typed.ts";

const NOTHING = new Uint8Array();

/** Frames with few ids, types and flags, so that they hit each other; then any bytes. */
const anyBytes = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.record({
      streamId: fc.integer({ min: 0, max: 9 }),
      type: fc.integer({ min: 0, max: 4 }),
      flags: fc.integer({ min: 0, max: 7 }),
      data: fc.uint8Array({ maxLength: 20 }),
    }).map((frame) => encodeFrame(frame, frame.data)),
    fc.record({
      id: fc.integer({ min: 0, max: 9 }),
      flags: fc.integer({ min: 0, max: 7 }),
      service: fc.constantFrom("test.Echo", "containerd.services.streaming.v1.Streaming", ""),
      method: fc.constantFrom("Echo", "Stream", ""),
      payload: fc.uint8Array({ maxLength: 20 }),
    }).map(({ id, flags, service, method, payload }) =>
      requestFrame(id, flags, { service, method }, payload)
    ),
  ),
  { maxLength: 12 },
);

const stream = implement(Streaming, {
  async *stream(messages) {
    yield* messages;
  },
});

Deno.test("the server survives any bytes", async () => {
  const server = new TtrpcServer([echoService(), stream]);
  await fc.assert(
    fc.asyncProperty(anyBytes, async (pieces) => {
      const { stream, peer } = withPeer();
      const served = server.serve(stream);
      for (const piece of pieces) await peer.bytes(piece);
      peer.close();
      await served;
    }),
    { numRuns: 300 },
  );
  const { stream: last, peer } = withPeer();
  const served = server.serve(last);
  await peer.bytes(requestFrame(1, 0, { service: "test.Echo", method: "Echo" }, NOTHING));
  assert.equal((await peer.next()).streamId, 1);
  peer.close();
  await served;
});

Deno.test("the client survives any bytes: each call gets an outcome", async () => {
  await fc.assert(
    fc.asyncProperty(anyBytes, async (pieces) => {
      const [near, far] = streamPair();
      const client = new TtrpcClient(near);
      const peer = new Peer(far);
      const bidi = serviceClient(Streaming, client).stream();
      const outcomes = Promise.allSettled([
        client.call("s", "m", NOTHING),
        Array.fromAsync(bidi),
        client.call("s", "m", NOTHING),
        client.stream({ service: "s", method: "m", kind: "client-stream" }).response,
      ]);
      for (const piece of pieces) await peer.bytes(piece);
      peer.close();
      for (const outcome of await outcomes) {
        if (outcome.status === "fulfilled") continue;
        assert.ok(
          outcome.reason instanceof RpcError || outcome.reason instanceof ConnectionClosed,
          outcome.reason,
        );
      }
      await client.closed;
    }),
    { numRuns: 300 },
  );
});

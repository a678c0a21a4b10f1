import assert from "node:assert/strict";
import { Code, RpcError } from "../errors.ts";
import { FrameType } from "./frame.ts";
import { decodeResponse, requestFrame } from "./messages.ts";
import { type CallContext, TtrpcServer } from "./server.ts";
import { echoService, type Peer, withPeer } from "./test_peer.ts";

async function call(peer: Peer, id: number, method: string, payload = new Uint8Array([id])): Promise<void> {
  await peer.bytes(requestFrame(id, 0, { service: "test.Echo", method }, payload));
}

async function answer(peer: Peer): Promise<[id: number, payload: number | undefined]> {
  const { streamId, type, data } = await peer.next();
  assert.equal(type, FrameType.Response);
  return [streamId, decodeResponse(data ?? new Uint8Array())[0]];
}

/** A server with a method that answers at once, and one that waits for the end of its caller. */
function serve(options: { clientsFollow?: boolean }) {
  const given: number[] = [];
  const wait = (request: Uint8Array, { signal }: CallContext): Promise<Uint8Array> =>
    new Promise((_, reject) =>
      signal.addEventListener("abort", () => {
        given.push(request[0] ?? 0);
        reject(signal.reason);
      })
    );
  const server = new TtrpcServer([
    echoService({
      Echo: { kind: "unary", run: (request) => Promise.resolve(request) },
      Wait: { kind: "unary", run: wait },
    }),
  ]);
  const { stream, peer } = withPeer();
  return { peer, given, served: server.serve(stream, options) };
}

Deno.test("where clients follow each other, the first id begins a new one and ends the calls of the one before", async () => {
  const { peer, given, served } = serve({ clientsFollow: true });
  await call(peer, 1, "Echo");
  assert.deepEqual(await answer(peer), [1, 1]);
  await call(peer, 3, "Wait");
  await call(peer, 5, "Wait");
  await call(peer, 1, "Echo", new Uint8Array([9]));
  assert.deepEqual(await answer(peer), [1, 9]);
  assert.deepEqual(given, [3, 5]);
  await call(peer, 3, "Echo");
  assert.deepEqual(await answer(peer), [3, 3]);
  peer.close();
  await served;
});

Deno.test("elsewhere an id that was used is refused", async () => {
  const { peer, given, served } = serve({});
  await call(peer, 1, "Wait");
  await call(peer, 3, "Echo");
  assert.deepEqual(await answer(peer), [3, 3]);
  await call(peer, 1, "Echo");
  await assert.rejects(
    answer(peer),
    (error) => error instanceof RpcError && error.code === Code.InvalidArgument,
  );
  // Only the refused call is over; the end of the connection would give it up again.
  assert.deepEqual(given, [1]);
  peer.close();
  await served;
});

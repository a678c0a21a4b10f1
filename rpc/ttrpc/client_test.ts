import assert from "node:assert/strict";
import { Code, ConnectionClosed, RpcError } from "../errors.ts";
import { TtrpcClient } from "./client.ts";
import { Flag, type Frame, FrameType, MAX_DATA_BYTES } from "./frame.ts";
import { decodeRequest, errorFrame, metadataOf, responseFrame } from "./messages.ts";
import { type Peer, withPeer } from "./test_peer.ts";

const NOTHING = new Uint8Array();
const PAYLOAD = Uint8Array.of(1, 2, 3);

/** Runs `test` with a client and the server's end of its connection. */
async function connected(test: (client: TtrpcClient, peer: Peer) => Promise<void>): Promise<void> {
  const { stream, peer } = withPeer();
  const client = new TtrpcClient(stream);
  try {
    await test(client, peer);
  } finally {
    client.close();
    await client.closed;
  }
}

function requestOf(frame: Frame) {
  assert.equal(frame.type, FrameType.Request);
  return decodeRequest(frame.data ?? NOTHING);
}

Deno.test("stream ids are odd and rise in the order of the calls; answers may come in any order", async () => {
  await connected(async (client, peer) => {
    const calls = ["A", "B", "C"].map((method) => client.call("s", method, NOTHING));
    for (const [id, method] of [[1, "A"], [3, "B"], [5, "C"]]) {
      const frame = await peer.next();
      assert.deepEqual([frame.streamId, frame.flags, requestOf(frame).method], [id, 0, method]);
    }
    for (const id of [5, 1, 3]) await peer.bytes(responseFrame(id, Uint8Array.of(id)));
    assert.deepEqual(await Promise.all(calls), [1, 3, 5].map((id) => Uint8Array.of(id)));
  });
});

Deno.test("a request carries service, method, payload, time limit and metadata", async () => {
  await connected(async (client, peer) => {
    const call = client.call("pkg.Service", "Do", PAYLOAD, {
      timeoutMs: 5000,
      metadata: { "Key": ["a", "b"] },
    });
    const frame = await peer.next();
    const request = requestOf(frame);
    assert.deepEqual([request.service, request.method, request.payload], ["pkg.Service", "Do", PAYLOAD]);
    assert.equal(request.timeoutNano, 5_000_000_000n);
    assert.deepEqual(metadataOf(request).get("key"), ["a", "b"]);
    await peer.bytes(responseFrame(1, NOTHING));
    assert.deepEqual(await call, NOTHING);
  });
});

Deno.test("an error answer is thrown with its code, message and details", async () => {
  await connected(async (client, peer) => {
    const call = client.call("s", "m", NOTHING);
    const details = [{ typeUrl: "t", value: PAYLOAD }];
    await peer.bytes(errorFrame(1, new RpcError(Code.NotFound, "gone: not found", { details })));
    await assert.rejects(call, {
      name: "RpcError",
      code: Code.NotFound,
      message: "gone: not found",
      details,
    });
  });
});

Deno.test("a call whose time is over fails here, and its late answer is swallowed", async () => {
  await connected(async (client, peer) => {
    await assert.rejects(client.call("s", "m", NOTHING, { timeoutMs: 5 }), {
      code: Code.DeadlineExceeded,
      message: "no answer to s/m in 5 ms",
    });
    await assert.rejects(client.call("s", "m", NOTHING, { timeoutMs: 0 }), {
      code: Code.DeadlineExceeded,
      message: "no time left to call s/m",
    });
    const second = client.call("s", "n", NOTHING);
    await peer.bytes(responseFrame(1, PAYLOAD));
    await peer.bytes(responseFrame(3, NOTHING));
    assert.deepEqual(await second, NOTHING);
    assert.equal(requestOf(await peer.next()).method, "m");
    assert.equal(requestOf(await peer.next()).method, "n", "a call without time was not sent");
  });
});

Deno.test("a time limit longer than a timer can be does not fire at once", async () => {
  await connected(async (client, peer) => {
    const call = client.call("s", "m", NOTHING, { timeoutMs: 2 ** 40 });
    await peer.next();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await peer.bytes(responseFrame(1, PAYLOAD));
    assert.deepEqual(await call, PAYLOAD);
  });
});

Deno.test("an aborted signal cancels the call here, before or after it was sent", async () => {
  await connected(async (client, peer) => {
    const abort = new AbortController();
    const call = client.call("s", "m", NOTHING, { signal: abort.signal });
    await peer.next();
    abort.abort();
    await assert.rejects(call, { code: Code.Canceled, message: "s/m was cancelled" });
    await assert.rejects(client.call("s", "m", NOTHING, { signal: abort.signal }), { code: Code.Canceled });
    const next = client.call("s", "n", NOTHING);
    const frame = await peer.next();
    assert.deepEqual([frame.streamId, requestOf(frame).method], [3, "n"]);
    await peer.bytes(responseFrame(3, NOTHING));
    await next;
  });
});

Deno.test("a request that is too long is refused here and uses no id", async () => {
  await connected(async (client, peer) => {
    await assert.rejects(client.call("s", "m", new Uint8Array(MAX_DATA_BYTES)), {
      code: Code.ResourceExhausted,
    });
    const call = client.call("s", "m", NOTHING);
    assert.equal((await peer.next()).streamId, 1);
    await peer.bytes(responseFrame(1, NOTHING));
    await call;
  });
});

Deno.test("an answer that is too long fails that call and no other", async () => {
  await connected(async (client, peer) => {
    const [first, second] = [client.call("s", "m", NOTHING), client.call("s", "m", NOTHING)];
    const sent = peer.frame(
      { streamId: 1, type: FrameType.Response, flags: 0 },
      new Uint8Array(MAX_DATA_BYTES + 1),
    );
    await assert.rejects(first, {
      code: Code.ResourceExhausted,
      message: "frame of 4194305 bytes from the server exceeds 4194304",
    });
    await sent;
    await peer.bytes(responseFrame(3, PAYLOAD));
    assert.deepEqual(await second, PAYLOAD);
  });
});

Deno.test("frames that fit no call are ignored; broken and misplaced ones fail their call only", async () => {
  await connected(async (client, peer) => {
    const [broken, streamed, good] = ["a", "b", "c"].map((method) => client.call("s", method, NOTHING));
    assert.ok(broken && streamed && good);
    await peer.bytes(responseFrame(2, PAYLOAD));
    await peer.bytes(responseFrame(99, PAYLOAD));
    await peer.frame({ streamId: 5, type: FrameType.Request, flags: 0 }, PAYLOAD);
    await peer.frame({ streamId: 5, type: 200, flags: 0 }, PAYLOAD);
    const rejected = [
      assert.rejects(broken, { code: Code.Internal, message: "cannot decode the response" }),
      assert.rejects(streamed, { code: Code.Internal }),
    ];
    await peer.frame({ streamId: 1, type: FrameType.Response, flags: 0 }, Uint8Array.of(0x12, 0x09));
    await peer.frame({ streamId: 3, type: FrameType.Data, flags: 0 }, PAYLOAD);
    await Promise.all(rejected);
    await peer.bytes(responseFrame(5, PAYLOAD));
    assert.deepEqual(await good, PAYLOAD);
  });
});

Deno.test("a lost connection fails pending and later calls with ConnectionClosed", async () => {
  await connected(async (client, peer) => {
    const calls = [client.call("s", "m", NOTHING), client.call("s", "m", NOTHING, { timeoutMs: 60_000 })];
    const rejected = calls.map((call) =>
      assert.rejects(call, { name: "ConnectionClosed", message: "ttrpc: closed" })
    );
    await peer.next();
    peer.close();
    await Promise.all(rejected);
    assert.equal(await client.closed, undefined, "an end between frames is orderly");
    await assert.rejects(client.call("s", "m", NOTHING), ConnectionClosed);
  });
});

Deno.test("a connection that ends inside a frame has an error, and calls name it as their cause", async () => {
  await connected(async (client, peer) => {
    const call = client.call("s", "m", NOTHING);
    const rejected = assert.rejects(call, (error: Error) => (error.cause as Error).name === "TruncatedFrame");
    await peer.bytes(Uint8Array.of(0, 0));
    peer.close();
    await rejected;
    assert.equal((await client.closed)?.name, "TruncatedFrame");
  });
});

Deno.test("close() fails what is pending, and the server sees the end", async () => {
  await connected(async (client, peer) => {
    const rejected = assert.rejects(client.call("s", "m", NOTHING), ConnectionClosed);
    await peer.next();
    client.close();
    client.close();
    await rejected;
    assert.equal(await client.closed, undefined);
    assert.ok(await peer.ended());
  });
});

Deno.test("a write that fails ends the connection", async () => {
  const failure = new Error("write: EPIPE");
  const reading = Promise.withResolvers<number>();
  const client = new TtrpcClient({
    read: () => reading.promise,
    write: () => Promise.reject(failure),
    close: () => reading.resolve(0),
  });
  await assert.rejects(
    client.call("s", "m", NOTHING),
    (error: Error) => error instanceof ConnectionClosed && error.cause === failure,
  );
  assert.equal(await client.closed, failure);
});

Deno.test("server streaming: one request, messages, and the end", async () => {
  await connected(async (client, peer) => {
    const stream = client.stream({ service: "s", method: "m", kind: "server-stream" }, PAYLOAD);
    const frame = await peer.next();
    assert.deepEqual([frame.flags, requestOf(frame).payload], [Flag.RemoteClosed, PAYLOAD]);
    const data = { streamId: 1, type: FrameType.Data, flags: 0 };
    await peer.frame(data, Uint8Array.of(1));
    await peer.frame(data);
    await peer.frame({ ...data, flags: Flag.RemoteClosed | Flag.NoData });
    assert.deepEqual(await Array.fromAsync(stream), [Uint8Array.of(1), NOTHING]);
    assert.deepEqual(await stream.response, NOTHING);
  });
});

Deno.test("server streaming: an error comes after the messages before it", async () => {
  await connected(async (client, peer) => {
    const stream = client.stream({ service: "s", method: "m", kind: "server-stream" });
    await peer.frame({ streamId: 1, type: FrameType.Data, flags: 0 }, PAYLOAD);
    await peer.bytes(errorFrame(1, new RpcError(Code.Aborted, "no more")));
    const received: Uint8Array[] = [];
    await assert.rejects(async () => {
      for await (const message of stream) received.push(message);
    }, { code: Code.Aborted, message: "no more" });
    assert.deepEqual(received, [PAYLOAD]);
  });
});

Deno.test("a final message may carry the end with it", async () => {
  await connected(async (client, peer) => {
    const stream = client.stream({ service: "s", method: "m", kind: "server-stream" });
    await peer.frame({ streamId: 1, type: FrameType.Data, flags: Flag.RemoteClosed }, PAYLOAD);
    assert.deepEqual(await Array.fromAsync(stream), [PAYLOAD]);
  });
});

Deno.test("client streaming: messages, the end in a frame of its own, one answer", async () => {
  await connected(async (client, peer) => {
    const stream = client.stream({ service: "s", method: "m", kind: "client-stream" });
    const start = await peer.next();
    assert.deepEqual([start.flags, requestOf(start).payload.length], [Flag.RemoteOpen, 0]);
    await stream.send(PAYLOAD);
    await stream.send(NOTHING);
    await stream.closeSend();
    await stream.closeSend();
    const frames = [await peer.next(), await peer.next(), await peer.next()];
    assert.deepEqual(frames.map(({ streamId, type, flags, length }) => [streamId, type, flags, length]), [
      [1, FrameType.Data, 0, 3],
      [1, FrameType.Data, 0, 0],
      [1, FrameType.Data, Flag.RemoteClosed | Flag.NoData, 0],
    ]);
    await assert.rejects(stream.send(PAYLOAD), /this half of the stream is closed/);
    await peer.bytes(responseFrame(1, PAYLOAD));
    assert.deepEqual(await stream.response, PAYLOAD);
    assert.throws(() => stream[Symbol.asyncIterator](), /the server sends no messages/);
  });
});

Deno.test("streams end with the connection: what came is delivered, then the error", async () => {
  await connected(async (client, peer) => {
    const stream = client.stream({ service: "s", method: "m", kind: "bidi" });
    await peer.frame({ streamId: 1, type: FrameType.Data, flags: 0 }, PAYLOAD);
    peer.close();
    await client.closed;
    const messages = stream[Symbol.asyncIterator]();
    assert.deepEqual(await messages.next(), { done: false, value: PAYLOAD });
    await assert.rejects(messages.next(), ConnectionClosed);
    assert.deepEqual(await messages.next(), { done: true, value: undefined });
    await stream.send(PAYLOAD); // dropped: the outcome is known already
  });
});

Deno.test("a cancelled stream fails here, and what still comes for it is dropped", async () => {
  await connected(async (client, peer) => {
    const stream = client.stream({ service: "s", method: "m", kind: "bidi" });
    stream.cancel();
    await assert.rejects(Array.fromAsync(stream), { code: Code.Canceled });
    await peer.frame({ streamId: 1, type: FrameType.Data, flags: 0 }, PAYLOAD);
    const call = client.call("s", "m", NOTHING);
    await peer.bytes(responseFrame(3, PAYLOAD));
    assert.deepEqual(await call, PAYLOAD);
  });
});

Deno.test("a stream that is not read fails alone; other calls go on", async () => {
  await connected(async (client, peer) => {
    const stream = client.stream({ service: "s", method: "m", kind: "server-stream" });
    const call = client.call("s", "m", NOTHING);
    for (let i = 0; i < 70; i++) await peer.frame({ streamId: 1, type: FrameType.Data, flags: 0 }, PAYLOAD);
    await peer.bytes(responseFrame(3, PAYLOAD));
    assert.deepEqual(await call, PAYLOAD);
    await assert.rejects(Array.fromAsync(stream), {
      code: Code.ResourceExhausted,
      message: "messages of the stream were not read in time",
    });
  });
});

Deno.test("a reader that leaves early holds nothing up", async () => {
  await connected(async (client, peer) => {
    const stream = client.stream({ service: "s", method: "m", kind: "server-stream" });
    const data = { streamId: 1, type: FrameType.Data, flags: 0 };
    await peer.frame(data, PAYLOAD);
    for await (const _ of stream) break;
    for (let i = 0; i < 200; i++) await peer.frame(data, PAYLOAD);
    const call = client.call("s", "m", NOTHING);
    await peer.bytes(responseFrame(3, PAYLOAD));
    assert.deepEqual(await call, PAYLOAD);
  });
});

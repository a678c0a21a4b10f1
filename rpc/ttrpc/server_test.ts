import assert from "node:assert/strict";
import { Code, RpcError } from "../errors.ts";
import { toBinary } from "../message.ts";
import { RequestSchema } from "../gen/ttrpc_pb.ts";
import { Flag, FrameType, MAX_DATA_BYTES } from "./frame.ts";
import { decodeResponse, requestFrame } from "./messages.ts";
import { type CallContext, type MethodDefinition, type ServerOptions, TtrpcServer } from "./server.ts";
import { echoService, type Peer, withPeer } from "./test_peer.ts";

const NOTHING = new Uint8Array();
const request = (id: number) => ({ streamId: id, type: FrameType.Request, flags: 0 });

interface Setup {
  server: TtrpcServer;
  peer: Peer;
  served: Promise<void>;
}

/** Runs `test` against a server, then closes the connection and waits for the server's end of it. */
async function serving(
  methods: Readonly<Record<string, MethodDefinition>>,
  test: (setup: Setup) => Promise<void>,
  options?: ServerOptions,
): Promise<void> {
  const server = new TtrpcServer([echoService(methods)], options);
  const { stream, peer } = withPeer();
  const served = server.serve(stream);
  try {
    await test({ server, peer, served });
  } finally {
    peer.close();
    await served;
  }
}

/** A unary method. */
function unary(run: (request: Uint8Array, context: CallContext) => Promise<Uint8Array>): MethodDefinition {
  return { kind: "unary", run };
}

async function call(peer: Peer, id: number, method = "Echo", payload: Uint8Array = NOTHING): Promise<void> {
  await peer.bytes(requestFrame(id, 0, { service: "test.Echo", method }, payload));
}

/** The next answer: its stream, and its payload or error. */
async function answer(
  peer: Peer,
): Promise<{ id: number; payload?: Uint8Array; code?: number; message?: string }> {
  const { streamId: id, type, flags, data } = await peer.next();
  assert.equal(type, FrameType.Response);
  assert.equal(flags, 0);
  try {
    return { id, payload: decodeResponse(data ?? NOTHING) };
  } catch (error) {
    assert.ok(error instanceof RpcError);
    return { id, code: error.code, message: error.message };
  }
}

Deno.test("answers carry the request's id and payload", async () => {
  await serving({}, async ({ peer }) => {
    await call(peer, 1, "Echo", Uint8Array.of(1, 2));
    assert.deepEqual(await answer(peer), { id: 1, payload: Uint8Array.of(1, 2) });
    await call(peer, 9);
    const frame = await peer.next();
    assert.deepEqual(
      [frame.streamId, frame.length, frame.flags],
      [9, 0, 0],
      "empty success is an empty frame",
    );
  });
});

Deno.test("a handler that runs on does not hold up other calls", async () => {
  const go = Promise.withResolvers<Uint8Array>();
  await serving({ Wait: unary(() => go.promise) }, async ({ peer }) => {
    await call(peer, 1, "Wait");
    for (let id = 3; id < 103; id += 2) await call(peer, id);
    for (let id = 3; id < 103; id += 2) assert.equal((await answer(peer)).id, id);
    go.resolve(Uint8Array.of(7));
    assert.deepEqual(await answer(peer), { id: 1, payload: Uint8Array.of(7) });
  });
});

Deno.test("unknown services and methods are UNIMPLEMENTED", async () => {
  await serving({}, async ({ peer }) => {
    await peer.bytes(requestFrame(1, 0, { service: "containerd.task.v3.Task", method: "Create" }, NOTHING));
    assert.deepEqual(await answer(peer), {
      id: 1,
      code: Code.Unimplemented,
      message: "service containerd.task.v3.Task",
    });
    await call(peer, 3, "toString");
    assert.deepEqual(await answer(peer), {
      id: 3,
      code: Code.Unimplemented,
      message: "method toString of test.Echo",
    });
  });
});

Deno.test("errors of handlers keep their code, others become UNKNOWN, crashes INTERNAL", async () => {
  const reported: unknown[] = [];
  const methods = {
    NotFound: unary(() => Promise.reject(new RpcError(Code.NotFound, "no such id: not found"))),
    Plain: unary(() => Promise.reject(new Error("cannot do that"))),
    Text: unary(() => Promise.reject("odd")),
    Crash: unary(() => Promise.reject(new TypeError("x is not a function"))),
    Throws: unary(() => {
      throw new Error("at once");
    }),
    Nothing: unary(() => Promise.resolve(undefined as unknown as Uint8Array)),
  };
  await serving(methods, async ({ peer }) => {
    const outcome = async (id: number, method: string) => {
      await call(peer, id, method);
      const { code, message } = await answer(peer);
      return [code, message];
    };
    assert.deepEqual(await outcome(1, "NotFound"), [Code.NotFound, "no such id: not found"]);
    assert.deepEqual(await outcome(3, "Plain"), [Code.Unknown, "cannot do that"]);
    assert.deepEqual(await outcome(5, "Text"), [Code.Unknown, "odd"]);
    assert.deepEqual(await outcome(7, "Crash"), [Code.Internal, "x is not a function"]);
    assert.deepEqual(await outcome(9, "Throws"), [Code.Unknown, "at once"]);
    assert.deepEqual(await outcome(11, "Nothing"), [
      Code.Unknown,
      "the handler gave neither a result nor an error",
    ]);
  }, { onError: (error) => reported.push(error) });
  assert.equal(reported.length, 1, "crashes are reported, other errors are the caller's");
});

Deno.test("even, reused and falling stream ids are refused, and the connection lives", async () => {
  await serving({}, async ({ peer }) => {
    await call(peer, 2);
    assert.deepEqual(await answer(peer), {
      id: 2,
      code: Code.InvalidArgument,
      message: "stream id 2 of a request must be odd",
    });
    await call(peer, 0);
    assert.equal((await answer(peer)).code, Code.InvalidArgument);
    await call(peer, 5);
    assert.equal((await answer(peer)).code, undefined);
    for (const id of [5, 3]) {
      await call(peer, id);
      assert.deepEqual(await answer(peer), {
        id,
        code: Code.InvalidArgument,
        message: `stream id ${id} cannot be used again: ids must increase`,
      });
    }
    await call(peer, 2 ** 32 - 1);
    assert.deepEqual(await answer(peer), { id: 2 ** 32 - 1, payload: NOTHING });
  });
});

Deno.test("the id of a running call cannot be used again either: that call is over, and answered once", async () => {
  const go = Promise.withResolvers<Uint8Array>();
  await serving({ Wait: unary(() => go.promise) }, async ({ peer }) => {
    await call(peer, 1, "Wait");
    await call(peer, 1, "Echo");
    assert.equal((await answer(peer)).code, Code.InvalidArgument);
    go.resolve(NOTHING);
    await call(peer, 3);
    assert.equal((await answer(peer)).id, 3);
  });
});

Deno.test("a request that does not decode is INVALID_ARGUMENT", async () => {
  await serving({}, async ({ peer }) => {
    await peer.frame(request(1), Uint8Array.of(0x0a, 0x05));
    const { id, code, message } = await answer(peer);
    assert.deepEqual([id, code], [1, Code.InvalidArgument]);
    assert.match(message ?? "", /^cannot decode the request: /);
  });
});

Deno.test("frames that are no requests are ignored", async () => {
  await serving({}, async ({ peer }) => {
    for (const type of [FrameType.Response, 0, 4, 255]) {
      await peer.frame({ streamId: 1, type, flags: 0xff }, Uint8Array.of(1, 2, 3));
    }
    await peer.frame({ streamId: 1, type: 77, flags: 0 }, new Uint8Array(MAX_DATA_BYTES + 1));
    await peer.frame(
      { ...request(1), flags: 0xf0 },
      toBinary(RequestSchema, { service: "test.Echo", method: "Echo" }),
    );
    assert.deepEqual(await answer(peer), { id: 1, payload: NOTHING });
  });
});

Deno.test("a request longer than a frame may be is RESOURCE_EXHAUSTED, and the connection lives", async () => {
  await serving({}, async ({ peer }) => {
    await peer.frame(request(1), new Uint8Array(MAX_DATA_BYTES + 1));
    assert.deepEqual(await answer(peer), {
      id: 1,
      code: Code.ResourceExhausted,
      message: "frame of 4194305 bytes exceeds 4194304",
    });
    await call(peer, 3);
    assert.equal((await answer(peer)).id, 3);
  });
});

Deno.test("an answer longer than a frame may be is replaced by an error", async () => {
  await serving({ Big: unary(() => Promise.resolve(new Uint8Array(MAX_DATA_BYTES))) }, async ({ peer }) => {
    await call(peer, 1, "Big");
    assert.equal((await answer(peer)).code, Code.ResourceExhausted);
  });
});

Deno.test("stream data for a call without stream ends the call; for no call it is refused", async () => {
  const aborted = Promise.withResolvers<unknown>();
  const wait = unary((_, { signal }) => {
    signal.addEventListener("abort", () => aborted.resolve(signal.reason));
    return new Promise(() => {});
  });
  await serving({ Wait: wait }, async ({ peer }) => {
    await call(peer, 1, "Wait");
    const data = { streamId: 1, type: FrameType.Data, flags: 0 };
    await peer.frame(data);
    assert.deepEqual(await answer(peer), {
      id: 1,
      code: Code.InvalidArgument,
      message: "stream data for stream 1, which takes none",
    });
    assert.ok(await aborted.promise instanceof RpcError);
    await peer.frame(data);
    assert.deepEqual(await answer(peer), {
      id: 1,
      code: Code.InvalidArgument,
      message: "stream 1 is not active",
    });
  });
});

Deno.test("a method without stream refuses a request that opens one", async () => {
  await serving({}, async ({ peer }) => {
    await peer.bytes(requestFrame(1, Flag.RemoteOpen, { service: "test.Echo", method: "Echo" }, NOTHING));
    assert.equal((await answer(peer)).code, Code.InvalidArgument);
  });
});

Deno.test("handlers see metadata by lower-case key, and the time that is left", async () => {
  const seen: CallContext[] = [];
  const look = unary((_, context) => {
    seen.push(context);
    return Promise.resolve(NOTHING);
  });
  await serving({ Look: look }, async ({ peer }) => {
    const metadata = [{ key: "Trace-Parent", value: "a" }, { key: "trace-parent", value: "b" }];
    const data = toBinary(RequestSchema, {
      service: "test.Echo",
      method: "Look",
      timeoutNano: 60_000_000_001n,
      metadata,
    });
    await peer.frame(request(1), data);
    await answer(peer);
    await call(peer, 3, "Look");
    await answer(peer);
  });
  assert.deepEqual(seen[0]?.metadata.get("trace-parent"), ["a", "b"]);
  assert.equal(seen[0]?.timeoutMs, 60_001);
  assert.equal(seen[1]?.timeoutMs, undefined);
  assert.equal(seen[1]?.metadata.size, 0);
});

Deno.test("a passed deadline is answered at once, the handler is aborted, and its late result dropped", async () => {
  const late = Promise.withResolvers<Uint8Array>();
  const reasons: unknown[] = [];
  let started = 0;
  const slow = unary((_, { signal }) => {
    started++;
    signal.addEventListener("abort", () => reasons.push(signal.reason));
    return late.promise;
  });
  await serving({ Slow: slow }, async ({ peer }) => {
    const timed = (id: number, timeoutMs: number) =>
      peer.bytes(requestFrame(id, 0, { service: "test.Echo", method: "Slow", timeoutMs }, NOTHING));
    const expired = { code: Code.DeadlineExceeded, message: "the deadline has passed" };
    await timed(1, 20);
    assert.deepEqual(await answer(peer), { id: 1, ...expired });
    await timed(3, -5);
    assert.deepEqual(await answer(peer), { id: 3, ...expired });
    late.resolve(NOTHING);
    await call(peer, 5);
    assert.equal((await answer(peer)).id, 5, "nothing more was sent for the first two");
  });
  assert.equal(started, 1, "a call whose time is over is not started");
  assert.equal((reasons[0] as RpcError).code, Code.DeadlineExceeded);
});

Deno.test("when the connection ends, running handlers are aborted", async () => {
  const ended = Promise.withResolvers<unknown>();
  const started = Promise.withResolvers<void>();
  const wait = unary((_, { signal }) => {
    signal.addEventListener("abort", () => ended.resolve(signal.reason));
    started.resolve();
    return new Promise(() => {});
  });
  await serving({ Wait: wait }, async ({ peer, served }) => {
    await call(peer, 1, "Wait");
    await started.promise;
    peer.close();
    assert.equal((await ended.promise as Error).message, "ttrpc: closed");
    await served;
  });
});

Deno.test("a connection that ends inside a frame is reported, and ends", async () => {
  const reported: unknown[] = [];
  await serving({}, async ({ peer, served }) => {
    await peer.bytes(Uint8Array.of(0, 0, 0, 5, 0, 0));
    peer.close();
    await served;
  }, { onError: (error) => reported.push(error) });
  assert.deepEqual(reported.map(String), [
    "TruncatedFrame: connection ended after 6 of 10 bytes of a frame's header",
  ]);
});

Deno.test("shutdown closes idle connections at once and refuses new ones", async () => {
  await serving({}, async ({ server, peer, served }) => {
    await call(peer, 1);
    await answer(peer);
    await server.shutdown();
    await served;
    assert.ok(await peer.ended());
    const second = withPeer();
    await server.serve(second.stream);
    assert.ok(await second.peer.ended());
  });
});

Deno.test("shutdown lets running calls finish, and refuses new ones", async () => {
  const go = Promise.withResolvers<Uint8Array>();
  await serving({ Wait: unary(() => go.promise) }, async ({ server, peer }) => {
    await call(peer, 1, "Wait");
    await call(peer, 3);
    await answer(peer);
    const down = server.shutdown();
    await call(peer, 5);
    assert.deepEqual(await answer(peer), {
      id: 5,
      code: Code.Unavailable,
      message: "the server is shutting down",
    });
    go.resolve(Uint8Array.of(1));
    assert.deepEqual(await answer(peer), { id: 1, payload: Uint8Array.of(1) });
    await down;
    assert.ok(await peer.ended());
  });
});

Deno.test("shutdown does not wait longer than its grace", async () => {
  await serving({ Wait: unary(() => new Promise(() => {})) }, async ({ server, peer }) => {
    await call(peer, 1, "Wait");
    await call(peer, 3);
    await answer(peer);
    await server.shutdown(10);
    assert.ok(await peer.ended());
  });
});

Deno.test("a handler may start the shutdown; its answer still gets out", async () => {
  const down: Promise<void>[] = [];
  const server = new TtrpcServer([
    echoService({
      Stop: unary(() => {
        down.push(server.shutdown());
        return Promise.resolve(Uint8Array.of(9));
      }),
    }),
  ]);
  const { stream, peer } = withPeer();
  const served = server.serve(stream);
  await call(peer, 1, "Stop");
  assert.deepEqual(await answer(peer), { id: 1, payload: Uint8Array.of(9) });
  assert.ok(await peer.ended());
  await Promise.all([...down, served]);
});

Deno.test("a client that does not read is not read from either, once much is waiting for it", async () => {
  let calls = 0;
  const big = unary(() => {
    calls++;
    return Promise.resolve(new Uint8Array(MAX_DATA_BYTES / 2));
  });
  await serving({ Big: big }, async ({ peer }) => {
    const sent = (async () => {
      // far more than the stream between them holds
      for (let id = 1; id < 2 * 5000; id += 2) await call(peer, id, "Big");
    })();
    sent.catch(() => {});
    while (calls < 9) await new Promise((resolve) => setTimeout(resolve, 1));
    const before = calls;
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.ok(calls < 5000, `${calls} answers of 2 MiB are held`);
    assert.equal(calls, before);
    peer.close();
    await assert.rejects(sent);
  });
});

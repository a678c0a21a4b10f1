/** Client and server together: typed calls, streams of all kinds, real sockets. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { AsyncFd } from "../../sys/poll.ts";
import { connectUnix, listenUnix, socketPair } from "../../sys/socket.ts";
import { Code, ConnectionClosed, RpcError } from "../errors.ts";
import { type Any, AnySchema } from "../gen/google/protobuf/any_pb.ts";
import { Health, HealthCheckResponse_ServingStatus } from "../gen/health_pb.ts";
import { Streaming } from "../gen/streaming_pb.ts";
import { StateRequestSchema, Task } from "../gen/task_pb.ts";
import { service, streaming } from "../service.ts";
import { type ByteStream, streamPair } from "../stream.ts";
import { TtrpcClient } from "./client.ts";
import { type ServiceDefinition, TtrpcServer } from "./server.ts";
import { implement, serviceClient } from "./typed.ts";

const Kinds = service("test.Kinds", {
  count: streaming("Count", "server-stream", AnySchema, AnySchema),
  collect: streaming("Collect", "client-stream", AnySchema, AnySchema),
});

const health = implement(Health, {
  check: ({ service }) => {
    if (service === "gone") throw new RpcError(Code.NotFound, "gone: not found");
    return { status: HealthCheckResponse_ServingStatus.SERVING };
  },
});

const kinds = implement(Kinds, {
  async *count({ typeUrl }) {
    for (let i = 0; i < Number(typeUrl); i++) yield { typeUrl: String(i) };
    if (typeUrl === "3") throw new RpcError(Code.OutOfRange, "three is too many");
  },
  async collect(messages) {
    const all = await Array.fromAsync(messages);
    return { typeUrl: all.map((message) => message.typeUrl).join() };
  },
});

const echo = implement(Streaming, {
  async *stream(messages) {
    for await (const message of messages) yield { ...message, typeUrl: `${message.typeUrl}!` };
  },
});

/** Runs `test` with a client of the given services over a pair of streams. */
async function connected(
  services: readonly ServiceDefinition[],
  [near, far]: readonly [ByteStream, ByteStream],
  test: (client: TtrpcClient) => Promise<void>,
): Promise<void> {
  const served = new TtrpcServer(services).serve(far);
  using client = new TtrpcClient(near);
  await test(client);
  client.close();
  await served;
}

Deno.test("typed calls take part of a message and give a whole one", async () => {
  await connected([health], streamPair(), async (client) => {
    const calls = serviceClient(Health, client);
    assert.deepEqual(await calls.check({}), { status: HealthCheckResponse_ServingStatus.SERVING });
    await assert.rejects(calls.check({ service: "gone" }), {
      code: Code.NotFound,
      message: "gone: not found",
    });
    await assert.rejects(calls.version({}), {
      code: Code.Unimplemented,
      message: "method Version of grpc.Health",
    });
  });
});

Deno.test("one implementation serves a service under two names", async () => {
  const handlers = { state: ({ id }: { id: string }) => ({ id, pid: 7 }) };
  const services = [
    implement(Task, handlers),
    implement(Task, handlers, { name: "containerd.task.v3.Task" }),
  ];
  await connected(services, streamPair(), async (client) => {
    const v2 = await serviceClient(Task, client).state({ id: "a" });
    const v3 = await serviceClient(Task, client, { name: "containerd.task.v3.Task" }).state({ id: "a" });
    assert.equal(v2.pid, 7);
    assert.deepEqual(v2, v3);
  });
});

Deno.test("a payload that does not decode is INTERNAL on both sides", async () => {
  const raw: ServiceDefinition = {
    name: "grpc.Health",
    methods: new Map([["Check", { kind: "unary", run: () => Promise.resolve(Uint8Array.of(0x08)) }]]),
  };
  await connected([implement(Task, { state: () => ({}) }), raw], streamPair(), async (client) => {
    await assert.rejects(
      client.call("containerd.task.v2.Task", "State", Uint8Array.of(0x0a)),
      (error: RpcError) => {
        assert.equal(error.code, Code.Internal);
        assert.match(error.message, new RegExp(`^cannot decode ${StateRequestSchema.typeName}: `));
        return true;
      },
    );
    await assert.rejects(serviceClient(Health, client).check({}), { code: Code.Internal });
  });
});

Deno.test("a handler that gives no message is UNKNOWN", async () => {
  const nothing = implement(Health, { check: () => undefined as unknown as Record<string, never> });
  await connected([nothing], streamPair(), async (client) => {
    await assert.rejects(serviceClient(Health, client).check({}), { code: Code.Unknown });
  });
});

Deno.test("server streaming, with and without an error at its end", async () => {
  await connected([kinds], streamPair(), async (client) => {
    const calls = serviceClient(Kinds, client);
    const urls = async (messages: AsyncIterable<Any>, into: string[]) => {
      for await (const { typeUrl } of messages) into.push(typeUrl);
    };
    const received: string[] = [];
    await urls(calls.count({ typeUrl: "2" }), received);
    await urls(calls.count({ typeUrl: "0" }), received);
    assert.deepEqual(received, ["0", "1"]);
    await assert.rejects(urls(calls.count({ typeUrl: "3" }), received), { code: Code.OutOfRange });
    assert.deepEqual(received, ["0", "1", "0", "1", "2"]);
  });
});

Deno.test("client streaming", async () => {
  await connected([kinds], streamPair(), async (client) => {
    const stream = serviceClient(Kinds, client).collect();
    for (const typeUrl of ["a", "", "c"]) await stream.send({ typeUrl });
    await stream.closeSend();
    assert.equal((await stream.response()).typeUrl, "a,,c");
  });
});

Deno.test("bidirectional streaming, message by message, with empty ones", async () => {
  await connected([echo], streamPair(), async (client) => {
    const stream = serviceClient(Streaming, client).stream();
    const answers = stream[Symbol.asyncIterator]();
    for (let i = 0; i < 300; i++) {
      await stream.send({ typeUrl: String(i) });
      assert.equal((await answers.next()).value?.typeUrl, `${i}!`);
    }
    await stream.send({});
    await stream.closeSend();
    assert.equal((await answers.next()).value?.typeUrl, "!");
    assert.equal((await answers.next()).done, true);
  });
});

Deno.test("a handler that stops reading its stream does not stop the connection", async () => {
  const first = implement(Streaming, {
    async *stream(messages) {
      for await (const message of messages) {
        yield message;
        return;
      }
    },
  });
  await connected([first, health], streamPair(), async (client) => {
    const stream = serviceClient(Streaming, client).stream();
    for (let i = 0; i < 200; i++) await stream.send({ typeUrl: String(i) });
    assert.deepEqual((await Array.fromAsync(stream)).map(({ typeUrl }) => typeUrl), ["0"]);
    await serviceClient(Health, client).check({});
  });
});

Deno.test("messages that a handler does not take fail its stream, and no other", async () => {
  const deaf = implement(Streaming, {
    // deno-lint-ignore require-yield
    async *stream(_, { signal }) {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    },
  });
  await connected([deaf, health], streamPair(), async (client) => {
    const stream = serviceClient(Streaming, client).stream();
    for (let i = 0; i < 70; i++) await stream.send({ typeUrl: String(i) });
    await serviceClient(Health, client).check({});
    await assert.rejects(Array.fromAsync(stream), {
      code: Code.ResourceExhausted,
      message: "messages of stream 1 were not taken in time",
    });
  });
});

Deno.test("a deadline ends a stream", async () => {
  const silent = implement(Streaming, {
    // deno-lint-ignore require-yield
    async *stream(messages) {
      for await (const _ of messages);
    },
  });
  await connected([silent], streamPair(), async (client) => {
    const stream = serviceClient(Streaming, client).stream({ timeoutMs: 5 });
    await assert.rejects(Array.fromAsync(stream), { code: Code.DeadlineExceeded });
  });
});

Deno.test("over a socket: many calls at once, large and small, arrive unmixed", async () => {
  const [near, far] = socketPair();
  await connected([echo, health], [new AsyncFd(near), new AsyncFd(far)], async (client) => {
    const round = async (size: number) => {
      const value = new Uint8Array(size).map((_, i) => i * 31 + size);
      const stream = serviceClient(Streaming, client).stream();
      await stream.send({ value });
      await stream.closeSend();
      const [answer, ...more] = await Array.fromAsync(stream);
      assert.deepEqual(answer?.value, value);
      assert.deepEqual(more, []);
    };
    await Promise.all([0, 1, 100, 65_536, 1_000_000, 4_000_000, 17, 300_000].map(round));
  });
});

Deno.test("over a unix socket: calls, the server's end, the client's end", async () => {
  const dir = await Deno.makeTempDir();
  const path = join(dir, "socket");
  const server = new TtrpcServer([health]);
  using listener = listenUnix(path, { mode: 0o600 });
  try {
    for (const end of ["server", "client"]) {
      const [near, far] = await Promise.all([connectUnix(path), listener.accept()]);
      const served = server.serve(far);
      using client = new TtrpcClient(near);
      const calls = serviceClient(Health, client);
      await Promise.all(Array.from({ length: 50 }, () => calls.check({})));
      if (end === "server") far.close();
      else client.close();
      assert.equal(await client.closed, undefined);
      await served;
      await assert.rejects(calls.check({}), ConnectionClosed);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

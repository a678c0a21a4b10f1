import assert from "node:assert/strict";
import { Thrift } from "thriftrw";
import { Durations } from "../../rpc/metrics_text.ts";
import { createSandbox } from "../create_sandbox.ts";
import { noIo } from "../io/streams.ts";
import type { Log } from "../log/log.ts";
import { silentLog } from "../log/log.ts";
import { FakeHost, testConfig, testSpec } from "../testing/fake_host.ts";
import { encodeBatch } from "./jaeger.ts";
import { Tracer } from "./tracer.ts";

/** What a collector of Jaeger reads. */
const IDL = `
struct Tag { 1: required string key; 2: required i32 vType; 3: optional string vStr; 5: optional bool vBool }
struct Span {
  1: required i64 (js.type = "Long") traceIdLow
  2: required i64 (js.type = "Long") traceIdHigh
  3: required i64 (js.type = "Long") spanId
  4: required i64 (js.type = "Long") parentSpanId
  5: required string operationName
  7: required i32 flags
  8: required i64 (js.type = "Long") startTime
  9: required i64 (js.type = "Long") duration
  10: optional list<Tag> tags
}
struct Process { 1: required string serviceName; 2: optional list<Tag> tags }
struct Batch { 1: required Process process; 2: required list<Span> spans }
`;

interface Tag {
  readonly key: string;
  readonly vType: number;
  readonly vStr: string | null;
  readonly vBool: boolean | null;
}

interface Received {
  readonly process: { readonly serviceName: string; readonly tags: readonly Tag[] | null };
  readonly spans: readonly {
    readonly traceIdLow: { toString(): string };
    readonly traceIdHigh: { toString(): string };
    readonly spanId: { toString(): string };
    readonly parentSpanId: { toString(): string };
    readonly operationName: string;
    readonly startTime: { toString(): string };
    readonly duration: { toString(): string };
    readonly tags: readonly Tag[] | null;
  }[];
}

/** Decodes with a library that knows nothing of ours. */
function decode(body: Uint8Array): Received {
  return new Thrift({ source: IDL }).models.Batch.fromBuffer(Buffer.from(body));
}

/** A collector, and what it was sent. */
class Collector implements AsyncDisposable {
  readonly batches: Received[] = [];
  readonly headers: Headers[] = [];
  /** what it does before it answers */
  answer: () => Promise<Response> | Response = () => new Response(null, { status: 202 });
  readonly #server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    this.headers.push(request.headers);
    this.batches.push(decode(new Uint8Array(await request.arrayBuffer())));
    return await this.answer();
  });

  get endpoint(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/api/traces`;
  }

  /** All spans by their names, with the names of what they are parts of. */
  get tree(): Record<string, string> {
    const spans = this.batches.flatMap(({ spans }) => spans);
    const names = new Map(spans.map((span) => [span.spanId.toString(), span.operationName]));
    return Object.fromEntries(
      spans.map((span) => [span.operationName, names.get(span.parentSpanId.toString()) ?? ""]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

function warnings(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  return { lines, log: { ...silentLog, write: (level, text) => void lines.push(`${level}: ${text}`) } };
}

const WHO = { user: "", password: "", sandbox: "s1", log: silentLog, gatherMs: 1 } as const;

Deno.test("a batch is what a reader of Thrift finds in it, whatever the names", () => {
  const spans = [
    { name: "größe", id: 1n, parent: 0n, startUs: 1.7e15, durationUs: 12.6, error: "it\nfails" },
    { name: "", id: 2n ** 64n - 1n, parent: 1n, startUs: 0, durationUs: -1 },
  ];
  const traceId = { high: 2n ** 63n, low: 7n };
  const { process, spans: found } = decode(
    encodeBatch({ service: "kata", tags: { a: "b" }, traceId, spans }),
  );
  assert.equal(process.serviceName, "kata");
  assert.deepEqual(process.tags?.map(({ key, vType, vStr }) => [key, vType, vStr]), [["a", 0, "b"]]);
  const plain = found.map((span) => [
    span.operationName,
    ...[span.traceIdHigh, span.traceIdLow, span.spanId, span.parentSpanId, span.startTime, span.duration].map(
      String,
    ),
    ...(span.tags ?? []).map(({ key, vType, vStr, vBool }) => [key, vType, vStr ?? vBool]),
  ]);
  const trace = [String(-(2n ** 63n)), "7"];
  assert.deepEqual(plain, [
    ["größe", ...trace, "1", "0", "1700000000000000", "13", ["error", 2, true], [
      "error.message",
      0,
      "it\nfails",
    ]],
    ["", ...trace, "-1", "1", "0", "0"],
  ]);
});

Deno.test("a sandbox's trace has what was asked of it, in it what it asked of the agent, and whose it is", async () => {
  await using collector = new Collector();
  await using host = new FakeHost();
  const config = testConfig();
  Object.assign(config.runtime, {
    enable_tracing: true,
    jaeger_endpoint: collector.endpoint,
    jaeger_user: "üser",
    jaeger_password: "pass:word",
  });
  const taskDurations = new Durations();
  const { paths } = host;
  const order = { id: "s1", spec: testSpec(), config, log: silentLog, host, paths, taskDurations };
  await using sandbox = await createSandbox(order);
  const bundle = { id: "s1", bundle: host.bundle, spec: testSpec(), rootfs: [], io: noIo() };
  const container = await taskDurations.measure("create", () => sandbox.createContainer(bundle));
  await assert.rejects(taskDurations.measure("pause", () => Promise.reject(new Error("not now"))));
  await container.delete();
  await sandbox[Symbol.asyncDispose]();
  const { tree } = collector;
  const expected = {
    sandbox: "",
    reserve: "sandbox",
    network: "sandbox",
    boot: "sandbox",
    introduce: "sandbox",
    "grpc.CreateSandboxRequest": "introduce",
    create: "sandbox",
    "grpc.CreateContainerRequest": "create",
    pause: "sandbox",
    "grpc.RemoveContainerRequest": "sandbox",
  };
  for (const [name, parent] of Object.entries(expected)) assert.equal(tree[name], parent, name);
  assert.ok("grpc.DestroySandboxRequest" in tree, "the end is a part of it");
  const spans = collector.batches.flatMap((batch) => batch.spans);
  assert.equal(new Set(spans.map((span) => span.traceIdLow.toString())).size, 1);
  const failed = spans.filter(({ tags }) => tags?.some(({ key }) => key === "error"));
  const own = failed.map((span) => span.operationName).filter((name) => !name.startsWith("grpc."));
  assert.deepEqual(own, ["pause"], "calls of the agent end with the guest");
  const now = Date.now() * 1000;
  assert.ok(
    spans.every(({ startTime }) => Math.abs(Number(startTime) - now) < 600e6),
    "microseconds since 1970",
  );
  for (const { process } of collector.batches) {
    assert.equal(process.serviceName, "kata");
    assert.equal(process.tags?.find(({ key }) => key === "sandbox")?.vStr, "s1");
  }
  const login = new TextEncoder().encode("üser:pass:word").toBase64();
  assert.equal(collector.headers[0]?.get("authorization"), `Basic ${login}`);
  assert.equal(collector.headers[0]?.get("content-type"), "application/vnd.apache.thrift.binary");
});

Deno.test("a collector that refuses, or is not there, is told once; what is traced does not notice", async () => {
  await using collector = new Collector();
  collector.answer = () => new Response("no", { status: 401, statusText: "Unauthorized" });
  for (const endpoint of [collector.endpoint, "http://127.0.0.1:1/x"]) {
    const { log, lines } = warnings();
    const tracer = await Tracer.open({ ...WHO, endpoint, log });
    assert.equal(await tracer.around("a", () => 1), 1);
    await assert.rejects(tracer.around("b", () => Promise.reject(new Error("own"))), { message: "own" });
    await tracer[Symbol.asyncDispose]();
    assert.equal(await tracer.around("late", () => 2), 2);
    await tracer[Symbol.asyncDispose]();
    assert.equal(lines.length, 1, lines.join("\n"));
    assert.ok(lines[0]?.startsWith(`warning: cannot send traces to "${endpoint}": `), lines[0]);
  }
  assert.equal(collector.headers[0]?.get("authorization"), null);
});

Deno.test("of a flood of spans a collector gets so many, and who reads the log is told of the rest", async () => {
  await using collector = new Collector();
  const { log, lines } = warnings();
  const { endpoint } = collector;
  const tracer = await Tracer.open({ ...WHO, endpoint, log, gatherMs: 600_000, lastMs: 600_000 });
  for (let i = 0; i < 3000; i++) await tracer.around("x", () => i);
  await tracer[Symbol.asyncDispose]();
  assert.deepEqual(lines, [`warning: 952 spans were not sent to "${endpoint}"`]);
  assert.equal(
    collector.batches.flatMap(({ spans }) => spans).length,
    2049,
    "and the one that all are parts of",
  );
});

Deno.test("a collector that hangs is not waited for", async () => {
  await using collector = new Collector();
  const held = Promise.withResolvers<void>();
  collector.answer = () => held.promise.then(() => new Response());
  const { log, lines } = warnings();
  const { endpoint } = collector;
  const tracer = await Tracer.open({ ...WHO, endpoint, log, lastMs: 1 });
  await tracer[Symbol.asyncDispose]();
  held.resolve();
  assert.equal(lines[0], `warning: traces are lost: "${endpoint}" is slow`);
});

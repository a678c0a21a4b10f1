import assert from "node:assert/strict";
import { AgentService } from "../rpc/gen/agent_pb.ts";
import type { Status } from "../rpc/gen/google/rpc/status_pb.ts";
import { ResponseSchema } from "../rpc/gen/ttrpc_pb.ts";
import { type Init, toBinary } from "../rpc/message.ts";
import { type ByteStream, streamPair } from "../rpc/stream.ts";
import { encodeFrame, FrameReader, FrameType } from "../rpc/ttrpc/frame.ts";
import { decodeRequest } from "../rpc/ttrpc/messages.ts";
import { delay } from "../sys/timer.ts";
import { createSandbox } from "./create_sandbox.ts";
import { noIo } from "./io/streams.ts";
import { silentLog } from "./log/log.ts";
import { FakeHost, testConfig, testSpec } from "./testing/fake_host.ts";
import { within } from "./timing.ts";

/** Numbers that look random and are the same each time (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** An agent that answers each request somehow, and says things that it was not asked. */
async function misbehave(stream: ByteStream, random: () => number): Promise<void> {
  const pick = (most: number) => Math.floor(random() * most);
  const bytes = (length: number) => Uint8Array.from({ length }, () => pick(256));
  const reader = new FrameReader(stream);
  const send = (streamId: number, data: Uint8Array, type: number = FrameType.Response) =>
    stream.write(encodeFrame({ streamId, type, flags: pick(8) }, data)).catch(() => {});
  const success = (payload = new Uint8Array()) => toBinary(ResponseSchema, { payload });
  for (;;) {
    const frame = await reader.next();
    if (frame?.data === undefined) return;
    const { service, method } = decodeRequest(frame.data);
    const isNeeded = service !== AgentService.typeName ||
      ["CreateSandbox", "CreateContainer"].includes(method);
    const status: Init<Status> = { code: pick(40) - 20, message: `\x1b[2J${method}`, details: [] };
    const answers: readonly (() => Promise<void>)[] = [
      () => send(frame.streamId, success()),
      () => send(frame.streamId, success(bytes(pick(40)))),
      () => send(frame.streamId, bytes(pick(40))),
      () => send(frame.streamId, toBinary(ResponseSchema, { status })),
      () => send(frame.streamId, success(bytes(3)), pick(256)),
      () => send(pick(2 ** 32), bytes(pick(10))),
      () => send(frame.streamId, success(new Uint8Array(300_000).map((_, at) => at % 2 === 0 ? 0x12 : 0))),
    ];
    // what never gets an answer is waited for until its limit, so only what has none is left without
    const isEndless = /^(Wait|ReadStd|GetOOM)/.test(method);
    const answer = isNeeded ? answers[0] : answers[pick(isEndless ? answers.length : 4)];
    for (let i = pick(3); i > 0; i--) await send(pick(100), bytes(pick(20)), pick(5));
    await answer?.();
    // the same task would leave no turn to anybody else
    await delay(0);
  }
}

Deno.test("whatever a guest answers, its sandbox ends, and nothing of it is left", async () => {
  for (let seed = 1; seed <= 8; seed++) {
    await using host = new FakeHost();
    const random = numbers(seed);
    const agents: Promise<void>[] = [];
    host.guest.connect = () => {
      const [ours, theirs] = streamPair();
      agents.push(misbehave(theirs, random).catch(() => {}).finally(() => theirs.close()));
      return ours;
    };
    const options = {
      id: "s1",
      spec: testSpec(),
      config: testConfig(),
      log: silentLog,
      host,
      paths: host.paths,
    };
    const sandbox = await createSandbox(options);
    const made = { id: "s1", bundle: host.bundle, spec: testSpec(), rootfs: [], io: noIo() };
    const container = await sandbox.createContainer(made);
    const quietly = async (action: () => Promise<unknown>) => void await action().catch(() => {});
    await quietly(() => container.start());
    await quietly(() => container.stats());
    await quietly(() => container.pause());
    await quietly(() => container.resume());
    await quietly(async () => {
      const exec = container.exec({ id: "e1", process: testSpec().process, io: noIo() });
      await exec.start();
    });
    await quietly(() => container.update({ memory: { limit: 1e9 } }));
    await quietly(() => container.init.signal(9, true));
    assert.ok(await within(sandbox[Symbol.asyncDispose](), 30_000), `it does not end (seed ${seed})`);
    assert.equal(container.init.state.kind, "stopped");
    assert.deepEqual(host.left(), []);
    await Promise.all(agents);
  }
});

import assert from "node:assert/strict";
import { AgentService } from "../../rpc/gen/agent_pb.ts";
import { streamPair } from "../../rpc/stream.ts";
import { TtrpcServer } from "../../rpc/ttrpc/server.ts";
import { implement } from "../../rpc/ttrpc/typed.ts";
import { delay } from "../../sys/timer.ts";
import { within } from "../timing.ts";
import { AgentClient } from "./agent_client.ts";
import { MemoryWatch } from "./memory_watch.ts";

Deno.test("a guest that reports want of memory without end is asked seldom, and each container waits once", async () => {
  const [host, guest] = streamPair();
  let asked = 0;
  const getOOMEvent = () => ({ containerId: `c${asked++ % 3}` });
  const served = new TtrpcServer([implement(AgentService, { getOOMEvent })]).serve(guest);
  const client = new AgentClient(host);
  const watch = new MemoryWatch(client, (id) => id !== "c2");
  await watch.struck("c0");
  // a peer that answers at once gives hundreds of answers in this time
  await delay(500);
  assert.ok(asked <= 34, `it was asked ${asked} times`);
  client.close();
  await served;
  const told: string[] = [];
  for await (const id of watch.events()) told.push(id);
  assert.deepEqual(told, ["c0", "c1"]);
});

Deno.test("want of memory of a container that has gone is not that of a later one with its id", async () => {
  const [host, guest] = streamPair();
  const over = Promise.withResolvers<void>();
  let asked = 0;
  const getOOMEvent = async () => {
    if (asked++ > 0) await over.promise;
    return { containerId: "c0" };
  };
  const served = new TtrpcServer([implement(AgentService, { getOOMEvent })]).serve(guest);
  const client = new AgentClient(host);
  const watch = new MemoryWatch(client, () => true);
  await watch.struck("c0");
  assert.equal(await within(watch.struck("c0"), 0), true);
  watch.forget("c0");
  assert.equal(await within(watch.struck("c0"), 0), false);
  over.resolve();
  client.close();
  await served;
});

import assert from "node:assert/strict";
import { IPFamily } from "../rpc/gen/types_pb.ts";
import { testLink } from "./testing/links.ts";
import { ToldNetwork } from "./told.ts";

const address = (text: string) => ({ family: IPFamily.v4, address: text, mask: "24" });
const route = (dest: string, gateway: string) => ({ dest, gateway, device: "eth0", family: IPFamily.v4 });

Deno.test("a removal is pending until the guest has got it", async () => {
  const told = new ToldNetwork();
  const eth0 = testLink();
  const gone: unknown[] = [];
  const tell = (them: unknown[]) => {
    gone.push(them);
    return Promise.resolve();
  };
  await told.addresses(eth0, [address("10.0.0.2"), address("10.0.0.3")], tell);
  const deaf = new Error("deaf");
  await assert.rejects(told.addresses(eth0, [address("10.0.0.3")], () => Promise.reject(deaf)), deaf);
  await told.addresses(eth0, [address("10.0.0.3")], tell);
  await told.addresses(eth0, [], tell);
  told.forget(eth0);
  await told.addresses(eth0, [address("10.0.0.4")], tell);
  assert.deepEqual(gone, [[], [address("10.0.0.2")], [address("10.0.0.3")], []]);
});

Deno.test("a route to the same destination replaces the other; without changes nothing is sent", async () => {
  const told = new ToldNetwork();
  const calls: unknown[] = [];
  const tell = (now: unknown[], gone: unknown[]) => {
    calls.push([now.length, gone]);
    return Promise.resolve();
  };
  await told.routes([], tell);
  await told.routes([route("", "10.0.0.1"), route("10.7.0.0/16", "10.0.0.1")], tell);
  await told.routes([route("", "10.0.0.9")], tell);
  await told.routes([], tell);
  await told.routes([], tell);
  assert.deepEqual(calls, [
    [2, []],
    [1, [route("10.7.0.0/16", "10.0.0.1")]],
    [0, [route("", "10.0.0.9")]],
  ]);
});

Deno.test("a neighbour that has another hardware address is not gone", async () => {
  const told = new ToldNetwork();
  const neighbour = (lladdr: string) => ({ toIPAddress: address("10.0.0.9"), device: "eth0", lladdr });
  const calls: unknown[] = [];
  const tell = (now: unknown[], gone: unknown[]) => {
    calls.push([now.length, gone.length]);
    return Promise.resolve();
  };
  for (const now of [[neighbour("02:00:00:00:00:01")], [neighbour("02:00:00:00:00:02")], []]) {
    await told.neighbours(now, tell);
  }
  assert.deepEqual(calls, [[1, 0], [1, 0], [0, 1]]);
});

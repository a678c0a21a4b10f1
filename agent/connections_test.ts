import assert from "node:assert/strict";
import { AsyncFd } from "../sys/poll.ts";
import { socketPair, type VsockAddress } from "../sys/socket.ts";
import { HostConnections } from "./connections.ts";

Deno.test("only the host's connections are accepted; others are closed, and told", async () => {
  using held = new DisposableStack();
  const peers: (VsockAddress | Error)[] = [
    { cid: 1, port: 7 }, // a process of this guest
    { cid: 2, port: 1025 },
    { cid: 3, port: 1025 }, // this guest by its own id, or another machine
    new Error("it has gone"),
    { cid: 0, port: 1 }, // the hypervisor
    { cid: 2, port: 9 },
  ];
  const connections = peers.map((peer) => {
    const [theirs, ours] = socketPair().map((fd) => held.use(new AsyncFd(fd)));
    return { peer, theirs: theirs ?? assert.fail(), ours: ours ?? assert.fail() };
  });
  const waiting = [...connections];
  const refused: string[] = [];
  let isClosed = false;
  const listener = {
    accept: () => Promise.resolve(waiting.shift()?.ours ?? assert.fail("nobody else connects")),
    close: () => void (isClosed = true),
  };
  const peerOf = (connection: AsyncFd) => {
    const { peer } = connections.find(({ ours }) => ours === connection) ?? assert.fail();
    if (peer instanceof Error) throw peer;
    return peer;
  };
  const accepted = new HostConnections(listener, (peer) => void refused.push(peer), peerOf);
  assert.equal(await accepted.accept(), connections[1]?.ours);
  assert.equal(await accepted.accept(), connections[5]?.ours);
  assert.deepEqual(refused, ["vsock 1:7", "vsock 3:1025", "Error: it has gone", "vsock 0:1"]);
  assert.deepEqual(connections.map(({ ours }) => ours.fd >= 0), [false, true, false, false, false, true]);
  accepted.close();
  assert.ok(isClosed);
});

import assert from "node:assert/strict";
import { Code } from "../rpc/errors.ts";
import { loopIdle } from "../sys/poll.ts";
import { TestNamespace } from "../sys/test_helpers.ts";
import { parseDan } from "./dan.ts";
import { DanNetwork } from "./dan_network.ts";

const MAC = "02:00:00:00:00:01";

/** Opens what a description has. */
function open(space: TestNamespace, devices: readonly object[], log: string[] = []): Promise<DanNetwork> {
  const dan = parseDan(JSON.stringify({ netns: space.path, devices }));
  return DanNetwork.open({ dan, vhost: true, onLog: (line) => log.push(line) });
}

const tap = (name: string, change: object = {}) => ({
  name,
  device: { type: "host-tap", tap_name: name, ...change },
});

Deno.test("a file describes taps and sockets, which are used and left as they are", async () => {
  using space = new TestNamespace();
  await space.ip("tuntap add tap0 mode tap", "tuntap add tap1 mode tap multi_queue");
  const log: string[] = [];
  const served = {
    name: "eth2",
    guest_mac: MAC,
    device: { type: "vhost-user", path: "/run/x.sock", queue_num: 2 },
  };
  const described = [tap("tap0", { queue_num: 2, queue_size: 512 }), tap("tap1", { queue_num: 2 }), served];
  {
    using network = await open(space, described, log);
    assert.deepEqual(log, ['tap "tap0" has one queue, and not 2']);
    const [one, two, three] = network.endpoints.map(({ nic }) => nic);
    assert(one?.backend.kind === "tap" && two?.backend.kind === "tap");
    assert.deepEqual([one.id, one.queueSize, one.backend.fds.length], ["net0", 512, 1]);
    assert.deepEqual([two.id, two.queueSize, two.backend.fds.length], ["net1", undefined, 2]);
    assert.match(one.mac, /^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/, "one of its own");
    assert.equal(network.endpoints[0]?.pod.link.address, one.mac);
    assert.deepEqual([three?.id, three?.mac, three?.backend], [
      "net2",
      MAC,
      { kind: "vhost-user", socketPath: "/run/x.sock", queues: 2 },
    ]);
    const [link] = await space.json("ip link show tap0");
    assert((link?.flags as string[]).includes("LOWER_UP"), "it is open");
    network.handOver();
  }
  const names = (await space.json("ip link")).map(({ ifname }) => ifname);
  assert.deepEqual(names, ["lo", "tap0", "tap1"]);
  await loopIdle();
});

Deno.test("a tap that cannot be used is named, and none is made", async () => {
  using space = new TestNamespace();
  await space.ip("link add br0 type bridge", "tuntap add tun0 mode tun", "tuntap add tap0 mode tap");
  using held = await open(space, [tap("tap0")]);
  assert.equal(held.endpoints.length, 1);
  const cases: [string, RegExp][] = [
    ["gone0", /it does not exist$/],
    ["br0", /it is of kind "bridge", and no tap$/],
    ["tun0", /it is of kind "tun", and no tap$/],
    ["tap0", /EBUSY/],
  ];
  for (const [name, why] of cases) {
    await assert.rejects(open(space, [tap(name)]), (error: Error & { code?: number }) => {
      assert.equal(error.code, Code.FailedPrecondition);
      assert(error.message.startsWith(`tap "${name}" of network namespace "${space.path}" cannot be used: `));
      assert.match(error.message, why);
      return true;
    });
  }
  const dan = parseDan(JSON.stringify({ netns: "/run/netns/gone", devices: [tap("tap0")] }));
  await assert.rejects(
    DanNetwork.open({ dan, vhost: false, onLog: () => {} }),
    /"\/run\/netns\/gone" cannot be used: .*ENOENT/,
  );
  await loopIdle();
});

Deno.test("a link whose device comes with a container is there as long as the device is", async () => {
  using space = new TestNamespace();
  const address = "0000:3b:00.0";
  const vfio = { name: "eth1", guest_mac: MAC, device: { type: "vfio", pci_device_id: address } };
  using network = await open(space, [vfio]);
  assert.deepEqual([network.endpoints, network.links], [[], []]);
  assert.deepEqual(network.came(new Map([["0000:05:00.0", "02/01"]])), []);
  const [[pod, path] = []] = network.came(new Map([[address, "03/00"], ["0000:05:00.0", "02/01"]]));
  assert.deepEqual([pod?.link.name, path], ["eth1", "03/00"]);
  assert.deepEqual(network.links, [pod]);
  assert.equal(network.went(address), pod);
  assert.equal(network.went(address), undefined);
  assert.deepEqual(network.links, []);
  await loopIdle();
});

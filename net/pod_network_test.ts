import assert from "node:assert/strict";
import { dupFd } from "../sys/fd.ts";
import { AsyncFd, loopIdle } from "../sys/poll.ts";
import type { Endpoint } from "./nic.ts";
import type { PodNetwork } from "./pod_network.ts";
import { undoNetwork } from "./saved.ts";
import { TestSpaces } from "./testing/spaces.ts";

const MAC = "02:00:00:00:00:11";
/** Of a header of virtio, in front of each frame. */
const VNET_HEADER = 10;
/** For experiments; nobody answers it. */
const PROTOCOL = 0x88b5;

/** Looks at the namespace and joins what is there. */
async function joinAll(network: PodNetwork): Promise<Endpoint[]> {
  for (const pod of (await network.look()).added) await network.join(pod);
  return network.endpoints;
}

/** The first queue of an endpoint's device, as a virtual machine has it. */
function queueOf({ nic }: Endpoint): AsyncFd {
  assert(nic.backend.kind === "tap");
  return new AsyncFd(dupFd(nic.backend.fds[0] ?? -1), "queue");
}

/** A frame comes from outside, and one from the virtual machine arrives there. */
async function assertPasses(spaces: TestSpaces, endpoint: Endpoint, address: string): Promise<void> {
  const queue = queueOf(endpoint);
  const { name } = endpoint.pod.link;
  await spaces.outside.ip(`neighbour replace ${address} lladdr ${MAC} dev ${name}-out nud permanent`);
  const ping = spaces.outside.run("busybox", "ping", "-c", "1", "-W", "1", address).catch(() => "");
  const frame = new Uint8Array(2048);
  for (;;) {
    const view = new DataView(frame.buffer, VNET_HEADER);
    await queue.read(frame);
    // an echo request over IPv4 for the virtual machine; others speak as well
    if (view.getUint16(12) === 0x0800 && view.getUint8(23) === 1) break;
  }
  const target = Array.from(frame.subarray(VNET_HEADER, VNET_HEADER + 6), (byte) => byte.toString(16));
  assert.equal(target.map((byte) => byte.padStart(2, "0")).join(":"), MAC);
  await ping;
  const count = async () => {
    const [link] = await spaces.outside.json(`ip -s link show ${name}-out`);
    return (link?.stats64 as { rx: { packets: number } }).rx.packets;
  };
  const before = await count();
  const out = new Uint8Array(VNET_HEADER + 64);
  out.fill(0xff, VNET_HEADER, VNET_HEADER + 6);
  out.set([2, 0, 0, 0, 0, 0x11], VNET_HEADER + 6);
  new DataView(out.buffer).setUint16(VNET_HEADER + 12, PROTOCOL);
  for (let i = 0; i < 3; i++) await queue.write(out);
  for (const start = Date.now(); await count() < before + 3;) assert(Date.now() < start + 10_000);
  queue.close();
}

for (const model of ["tcfilter", "macvtap"] as const) {
  Deno.test(`frames pass a link that is joined by ${model}, and then all is as it was`, async () => {
    using spaces = new TestSpaces();
    await spaces.veth("eth0", MAC, "10.9.0.2/24", "fd09::2/64");
    await spaces.outside.ip("address add 10.9.0.1/24 dev eth0-out");
    await spaces.pod.ip(
      "link set eth0 mtu 1400",
      "route add default via 10.9.0.1",
      "route add 10.10.0.0/16 dev eth0",
    );
    const before = await spaces.state();
    {
      await using network = spaces.network({ model, limits: { rx: 50_000_000, tx: 25_000_000 } });
      const [endpoint, ...others] = await joinAll(network);
      assert(endpoint !== undefined && others.length === 0);
      assert.deepEqual([endpoint.number, endpoint.nic.id, endpoint.nic.mac], [0, "net0", MAC]);
      assert.deepEqual(endpoint.pod.routes.map(({ destination }) => destination), [
        undefined,
        "10.10.0.0/16",
      ]);
      const [tap] = await spaces.pod.json("ip link show tap0_kata");
      assert.equal(tap?.mtu, 1400);
      // what it has made is no news
      assert.deepEqual(await network.look(), { added: [], removed: [], changed: [] });
      await assertPasses(spaces, endpoint, "10.9.0.2");
      assert.equal(spaces.saved?.plans.length, 1);
    }
    assert.deepEqual(await spaces.state(), before);
    assert.deepEqual(spaces.saved?.plans, []);
    await loopIdle();
  });

  Deno.test(`what a dead owner has done with ${model} is undone from its saved state, as often as asked`, async () => {
    using spaces = new TestSpaces();
    await spaces.veth("eth0", MAC, "10.9.0.2/24");
    await spaces.pod.ip("route add default via 10.9.0.1");
    const before = await spaces.state();
    const network = spaces.network({ model, limits: { rx: 1_000_000, tx: 1_000_000 } });
    await joinAll(network);
    network.handOver();
    assert.notDeepEqual(await spaces.state(), before);
    const { saved } = spaces;
    assert(saved !== undefined);
    await undoNetwork(JSON.parse(JSON.stringify(saved)));
    assert.deepEqual(await spaces.state(), before);
    await undoNetwork(saved);
    // another namespace under the same path is not touched
    await undoNetwork({ ...saved, inode: saved.inode + 1 });
    await undoNetwork({ ...saved, path: "/run/netns/gone" });
    assert.deepEqual(await spaces.state(), before);
    await network[Symbol.asyncDispose]();
    await loopIdle();
  });
}

Deno.test("frames pass links on top of other links, whatever the model", async () => {
  using spaces = new TestSpaces();
  await spaces.veth("under", "02:00:00:00:00:99");
  await spaces.pod.ip(
    `link add link under name eth0 address ${MAC} type macvlan mode bridge`,
    "link set eth0 addrgenmode none",
    "address add 10.9.0.2/24 dev eth0",
    "link set eth0 up",
  );
  await spaces.outside.ip(
    "link set under-out down",
    "link set under-out name eth0-out",
    "link set eth0-out up",
    "address add 10.9.0.1/24 dev eth0-out",
  );
  const before = await spaces.state();
  {
    await using network = spaces.network({ model: "macvtap" });
    const [endpoint, ...others] = await joinAll(network);
    assert(endpoint !== undefined && others.length === 0);
    assert.deepEqual(spaces.saved?.plans.map(({ how }) => how), ["tcfilter"]);
    await assertPasses(spaces, endpoint, "10.9.0.2");
  }
  assert.deepEqual(await spaces.state(), before);
  await loopIdle();
});

Deno.test("several links are joined in the order of their names, each with the queues that are asked for", async () => {
  using spaces = new TestSpaces();
  await spaces.veth("net1", "02:00:00:00:00:21", "10.8.0.2/24");
  await spaces.veth("eth0", MAC, "10.9.0.2/24");
  await spaces.veth("bare", "02:00:00:00:00:31");
  await spaces.pod.ip("link set bare down");
  await using network = spaces.network({ queues: 2 });
  const endpoints = await joinAll(network);
  assert.deepEqual(endpoints.map(({ nic, pod }) => [nic.id, pod.link.name]), [["net0", "eth0"], [
    "net1",
    "net1",
  ]]);
  for (const { nic } of endpoints) assert(nic.backend.kind === "tap" && nic.backend.fds.length === 2);
  await network[Symbol.asyncDispose]();
  await loopIdle();
});

Deno.test("what cannot be saved at the end does not keep links from being given back", async () => {
  using spaces = new TestSpaces();
  await spaces.veth("eth0", MAC, "10.9.0.2/24");
  await spaces.veth("eth1", "02:00:00:00:00:12", "10.9.1.2/24");
  const before = await spaces.state();
  let isFull = false;
  const save = () => isFull ? Promise.reject(new Error("no space left")) : Promise.resolve();
  const network = spaces.network({ save });
  assert.equal((await joinAll(network)).length, 2);
  isFull = true;
  await assert.rejects(network[Symbol.asyncDispose]());
  assert.deepEqual(await spaces.state(), before);
});

Deno.test("links that come, change and go are noticed", async () => {
  using spaces = new TestSpaces();
  await spaces.veth("eth0", MAC, "10.9.0.2/24");
  await using network = spaces.network();
  await joinAll(network);
  await spaces.pod.ip(
    "address add 10.9.0.3/24 dev eth0",
    "neighbour add 10.9.0.7 lladdr 02:00:00:00:00:77 dev eth0 nud permanent",
  );
  await spaces.veth("eth1", "02:00:00:00:00:12", "10.8.0.2/24");
  const { added, changed, removed } = await network.look();
  assert.deepEqual(added.map(({ link }) => link.name), ["eth1"]);
  assert.equal(changed.length, 1);
  // the kernel may add one of its own at any time
  const addresses = changed[0]?.pod.addresses.map(({ address }) => address).filter((text) =>
    !text.includes(":")
  );
  assert.deepEqual(addresses, ["10.9.0.2", "10.9.0.3"]);
  assert.deepEqual(changed[0]?.pod.neighbours.map(({ address }) => address), ["10.9.0.7"]);
  assert.deepEqual(removed, []);
  await spaces.pod.ip("link set eth0 mtu 9000");
  for (const endpoint of (await network.look()).changed) await network.adapt(endpoint);
  assert.deepEqual((await spaces.pod.json("ip link show tap0_kata")).map(({ mtu }) => mtu), [9000]);
  const [pod] = added;
  assert(pod !== undefined);
  const second = await network.join(pod);
  assert.equal(second.nic.id, "net1");
  await spaces.pod.ip("link delete eth1");
  const gone = (await network.look()).removed;
  assert.deepEqual(gone, [second]);
  for (const endpoint of gone) await network.part(endpoint);
  assert.deepEqual(spaces.saved?.plans.map(({ link }) => link), ["eth0"]);
  assert.deepEqual((await spaces.pod.json("ip link")).map(({ ifname }) => ifname).sort(), [
    "eth0",
    "lo",
    "tap0_kata",
  ]);
  await network[Symbol.asyncDispose]();
  await loopIdle();
});

Deno.test("a tap without a program behind it becomes the virtual machine's own", async () => {
  using spaces = new TestSpaces();
  await spaces.pod.ip(
    "tuntap add tap0 mode tap vnet_hdr",
    "address add 10.9.0.2/24 dev tap0",
    "link set tap0 up",
  );
  const before = await spaces.state();
  {
    await using network = spaces.network();
    const [endpoint] = await joinAll(network);
    assert(endpoint?.nic.backend.kind === "tap");
    assert.equal(endpoint.nic.backend.fds.length, 1);
    assert.match(await spaces.pod.run("ip", "link", "show", "tap0"), /LOWER_UP/);
    // with somebody else at its other end, packets take a way round
    await using other = spaces.network();
    const [second] = await joinAll(other);
    assert.equal(second?.nic.id, "net0");
    assert.match(await spaces.pod.run("tc", "filter", "show", "dev", "tap0", "ingress"), /device tap0_kata/);
  }
  // the kernel gives a tap that is in use an address of its own
  const stable = (lines: string[]) => lines.filter((line) => !/fe80|LOWER_UP|NO-CARRIER/.test(line));
  assert.deepEqual(stable(await spaces.state()), stable(before));
  await loopIdle();
});

Deno.test("what cannot be joined is refused by name, and nothing of it stays", async (t) => {
  const cases: Record<string, [setUp: string[], message: RegExp]> = {
    "a bridge": [
      ["link add br0 type bridge", "address add 10.9.0.2/24 dev br0"],
      /^link "br0" of network namespace ".*" cannot be joined to a virtual machine: it is of kind "bridge", and must be one of veth, macvlan, ipvlan, vlan, tap, macvtap$/,
    ],
    "a tun device": [
      ["tuntap add tun0 mode tun", "address add 10.9.0.2/24 dev tun0"],
      /^link "tun0" .* it is a tun device, which has no Ethernet frames$/,
    ],
    "the same address twice": [
      [
        "link add v0 type veth peer name v1",
        "address add 10.9.0.2/24 dev v0",
        "address add 10.9.0.2/16 dev v1",
      ],
      /^links "v\d" and "v\d" of network namespace ".*" have the same address "10\.9\.0\.2\/\d+"$/,
    ],
    "the same hardware address twice": [
      [
        `link add v0 address ${MAC} type veth peer name v1 address ${MAC}`,
        "address add 10.9.0.2/24 dev v0",
        "address add 10.9.0.3/24 dev v1",
      ],
      /^links "v\d" and "v\d" of .* have the same hardware address "02:00:00:00:00:11"$/,
    ],
    "a route over two links": [
      [
        "link add v0 type veth peer name v1",
        "address add 10.9.0.2/24 dev v0",
        "address add 10.8.0.2/24 dev v1",
        "link set v0 up",
        "link set v1 up",
        "route add 10.7.0.0/16 nexthop via 10.9.0.1 nexthop via 10.8.0.1",
      ],
      /^route "10\.7\.0\.0\/16" of .* has no single next hop: it must go over one link$/,
    ],
  };
  for (const [name, [setUp, message]] of Object.entries(cases)) {
    await t.step(name, async () => {
      using spaces = new TestSpaces();
      await spaces.pod.ip(...setUp);
      const before = await spaces.state();
      await using network = spaces.network();
      await assert.rejects(joinAll(network), { message });
      await network[Symbol.asyncDispose]();
      assert.deepEqual(await spaces.state(), before);
    });
  }
  await t.step("traffic control of somebody else", async () => {
    using spaces = new TestSpaces();
    await spaces.veth("eth0", MAC, "10.9.0.2/24");
    await spaces.pod.run("tc", "qdisc", "add", "dev", "eth0", "ingress");
    const before = await spaces.state();
    await using network = spaces.network();
    const message =
      /^link "eth0" of .* has traffic control of its own: it must not have a queue of kind "ingress"$/;
    await assert.rejects(joinAll(network), { message });
    await network[Symbol.asyncDispose]();
    assert.deepEqual(await spaces.state(), before);
  });
  await t.step("a link that vanishes meanwhile", async () => {
    using spaces = new TestSpaces();
    await spaces.veth("eth0", MAC, "10.9.0.2/24");
    await using network = spaces.network();
    const { added: [pod] } = await network.look();
    assert(pod !== undefined);
    await spaces.pod.ip("link delete eth0");
    await assert.rejects(network.join(pod), {
      message: /^cannot join link "eth0" of network namespace .*ENODEV/,
    });
    assert.deepEqual((await spaces.pod.json("ip link")).map(({ ifname }) => ifname), ["lo"]);
    await network[Symbol.asyncDispose]();
  });
  await loopIdle();
});

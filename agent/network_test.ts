import assert from "node:assert/strict";
import { ARPNeighborSchema, InterfaceSchema, IPFamily, RouteSchema } from "../rpc/gen/types_pb.ts";
import type { ARPNeighbor, Interface, Route } from "../rpc/gen/types_pb.ts";
import { create, type Init } from "../rpc/message.ts";
import { O, openFd, OwnedFd } from "../sys/fd.ts";
import { CLONE, setns, unshare } from "../sys/host.ts";
import { Rtnetlink } from "../sys/netlink/rtnetlink.ts";
import { GuestNetwork } from "./network.ts";
import { parseNetworkStats } from "./network_stats.ts";

/** A network namespace with two links; it is gone when its descriptor is closed. */
async function namespace(): Promise<OwnedFd> {
  using before = new OwnedFd(openFd("/proc/thread-self/ns/net", O.RDONLY));
  unshare(CLONE.NEWNET);
  const inside = new OwnedFd(openFd("/proc/thread-self/ns/net", O.RDONLY));
  setns(before.fd, CLONE.NEWNET);
  using rtnetlink = new Rtnetlink(inside.fd);
  await rtnetlink.addLink({ name: "first", kind: "bridge", address: "02:00:00:00:00:01" });
  await rtnetlink.addLink({ name: "eth0", kind: "bridge", address: "02:00:00:00:00:02" });
  return inside;
}

const link = (init: Init<Interface>) => create<Interface>(InterfaceSchema, init);
const route = (init: Init<Route>) => create<Route>(RouteSchema, init);
const neighbour = (init: Init<ARPNeighbor>) => create<ARPNeighbor>(ARPNeighborSchema, init);

const WANTED = link({
  name: "eth0",
  hwAddr: "02:00:00:00:00:01",
  mtu: 1400n,
  IPAddresses: [{ family: IPFamily.v4, address: "10.1.2.3", mask: "24" }],
});

Deno.test("a link gets its name from whoever has it, with addresses and settings, as often as it is asked", async () => {
  using inside = await namespace();
  const network = new GuestNetwork(0, inside.fd);
  await network.updateInterface(WANTED);
  await network.updateInterface(WANTED);
  const links = new Map((await network.listInterfaces()).map((entry) => [entry.name, entry]));
  const eth0 = links.get("eth0");
  assert.equal(eth0?.hwAddr, "02:00:00:00:00:01");
  assert.equal(eth0?.mtu, 1400n);
  assert.ok(eth0?.IPAddresses.some((address) => address.address === "10.1.2.3" && address.mask === "24"));
  assert.equal(eth0?.IPAddresses.find((address) => address.address === "10.1.2.3")?.family, IPFamily.v4);
  assert.equal(links.get("first")?.hwAddr, "02:00:00:00:00:02");
  assert.equal(links.get("lo")?.mtu, 65536n);
});

Deno.test("routes are set whatever their order, can be set again, and are listed", async () => {
  using inside = await namespace();
  const network = new GuestNetwork(0, inside.fd);
  await network.updateInterface(WANTED);
  const routes = [
    route({ dest: "", gateway: "10.9.9.1", device: "eth0" }),
    route({ dest: "10.9.9.1/32", device: "eth0", scope: 253, source: "10.1.2.3/0", mtu: 1300 }),
  ];
  await network.updateRoutes(routes);
  const listed = await network.updateRoutes(routes);
  assert.deepEqual(listed, await network.listRoutes());
  const byDestination = new Map(listed.map((entry) => [entry.dest, entry]));
  assert.equal(byDestination.get("0.0.0.0/0")?.gateway, "10.9.9.1");
  const { device, scope, source, mtu, family } = byDestination.get("10.9.9.1/32") ?? route({});
  assert.deepEqual({ device, scope, source, mtu, family }, {
    device: "eth0",
    scope: 253,
    source: "10.1.2.3",
    mtu: 1300,
    family: IPFamily.v4,
  });
});

Deno.test("IPv6 addresses can be used at once, and asking again takes nothing away", async () => {
  using inside = await namespace();
  const network = new GuestNetwork(0, inside.fd);
  const wanted = link({
    ...WANTED,
    IPAddresses: [
      { family: IPFamily.v6, address: "fd00::3", mask: "64" },
      { family: IPFamily.v6, address: "fe80::ff:fe00:1", mask: "64" },
    ],
  });
  const routes = [route({ gateway: "fd00::1", device: "eth0", family: IPFamily.v6 })];
  for (let round = 0; round < 2; round++) {
    await network.updateInterface(wanted);
    const told = round === 0 ? await network.updateRoutes(routes) : await network.listRoutes();
    assert.ok(told.some(({ dest, gateway }) => dest === "::/0" && gateway === "fd00::1"), `round ${round}`);
    using rtnetlink = new Rtnetlink(inside.fd);
    const index = (await rtnetlink.findLink("eth0"))?.index;
    const addresses = (await rtnetlink.addresses()).filter((address) => address.link === index);
    assert.deepEqual(addresses.map(({ address }) => address).sort(), ["fd00::3", "fe80::ff:fe00:1"]);
    const TENTATIVE = 0x40;
    assert.ok(addresses.every(({ flags }) => (flags & TENTATIVE) === 0));
  }
});

Deno.test("a gateway on the link is taken whatever the addresses say; one that cannot be reached is named", async () => {
  using inside = await namespace();
  const network = new GuestNetwork(0, inside.fd);
  await network.updateInterface(WANTED);
  const onlink = route({ dest: "198.51.100.0/24", gateway: "192.0.2.1", device: "eth0", flags: 4 });
  const listed = await network.updateRoutes([onlink]);
  assert.equal(listed.find(({ dest }) => dest === "198.51.100.0/24")?.gateway, "192.0.2.1");
  await assert.rejects(network.updateRoutes([route({ gateway: "192.0.2.9", device: "eth0" })]), {
    message: /^cannot set route "default" via "192\.0\.2\.9" on interface "eth0": ENETUNREACH \(.+\)$/,
  });
});

Deno.test("a link that is being plugged in is waited for, within its time", async () => {
  using inside = await namespace();
  const late = link({ ...WANTED, name: "eth5", hwAddr: "02:00:00:00:00:05", devicePath: "02/01" });
  const network = new GuestNetwork(60_000, inside.fd);
  const updated = network.updateInterface(late);
  using rtnetlink = new Rtnetlink(inside.fd);
  await rtnetlink.addLink({ name: "some", kind: "bridge" });
  await rtnetlink.addLink({ name: "new", kind: "bridge", address: "02:00:00:00:00:05" });
  await updated;
  assert.ok(await rtnetlink.findLink("eth5"));
  const hasty = new GuestNetwork(20, inside.fd);
  await assert.rejects(hasty.updateInterface(link({ ...late, hwAddr: "02:00:00:00:00:06" })), {
    message: 'no link has the hardware address "02:00:00:00:00:06" of interface "eth5"',
  });
});

Deno.test("what is gone is removed, and nothing else: addresses, routes and neighbours that others have made stay", async () => {
  using inside = await namespace();
  const network = new GuestNetwork(0, inside.fd);
  const ip = (address: string, mask = "24") => ({
    family: address.includes(":") ? IPFamily.v6 : IPFamily.v4,
    address,
    mask,
  });
  const [first, second, six] = [ip("10.1.2.3"), ip("10.1.2.4"), ip("fd00::3", "64")];
  await network.updateInterface(link({ ...WANTED, IPAddresses: [first, second, six] }));
  const routes = [
    route({ gateway: "10.1.2.1", device: "eth0" }),
    route({ dest: "10.7.0.0/16", gateway: "10.1.2.1", device: "eth0", mtu: 1300 }),
    route({ dest: "10.8.0.0/16", device: "eth0", scope: 253 }),
    route({ dest: "fd07::/64", gateway: "fd00::1", device: "eth0", family: IPFamily.v6 }),
  ];
  await network.updateRoutes(routes);
  const neighbours = ["10.1.2.8", "10.1.2.9"].map((address) =>
    neighbour({ toIPAddress: { address }, device: "eth0", lladdr: "02:00:00:00:00:09" })
  );
  await network.addNeighbours(neighbours);
  using rtnetlink = new Rtnetlink(inside.fd);
  const index = (await rtnetlink.findLink("eth0"))?.index ?? 0;
  const addresses = async () =>
    (await rtnetlink.addresses()).filter((one) => one.link === index && !one.address.startsWith("fe80"))
      .map(({ address }) => address).sort();
  const destinations = async () =>
    (await network.listRoutes()).map(({ dest, gateway }) => `${dest} ${gateway}`)
      .filter((text) => !/^10\.1\.2|^fd00|^fe80/.test(text)).sort();
  await rtnetlink.addAddress({ link: index, address: "10.66.0.1", prefixLength: 16 });
  await rtnetlink.addRoute({ destination: "10.67.0.0/16", gateway: "10.66.0.2", link: index });

  for (let round = 0; round < 2; round++) {
    // the kernel removes all addresses of a network with the first one
    await network.updateInterface(link({ ...WANTED, IPAddresses: [second] }), [first, six]);
    assert.deepEqual(await addresses(), ["10.1.2.4", "10.66.0.1"], `round ${round}`);
  }
  const [, seven] = routes;
  await network.updateRoutes([route({ gateway: "10.1.2.9", device: "eth0" })], routes.slice(1));
  assert.deepEqual(await destinations(), ["0.0.0.0/0 10.1.2.9", "10.66.0.0/16 ", "10.67.0.0/16 10.66.0.2"]);
  // what has gone already, with its link or otherwise, and what is another route by now
  const other = route({ dest: "10.67.0.0/16", gateway: "10.66.0.9", device: "eth0" });
  await network.updateRoutes([], [...routes.slice(1), other, route({ ...seven, device: "eth9" })]);
  assert.equal((await destinations()).length, 3);

  await network.addNeighbours(neighbours.slice(0, 1), neighbours.slice(1));
  await network.addNeighbours([], neighbours.slice(1));
  const left = (await rtnetlink.neighbours()).filter(({ state }) => (state & 0x80) !== 0);
  assert.deepEqual(left.map(({ address }) => address), ["10.1.2.8"]);
});

Deno.test("neighbours are permanent unless something else is said", async () => {
  using inside = await namespace();
  const network = new GuestNetwork(0, inside.fd);
  await network.updateInterface(WANTED);
  const wanted = neighbour({
    toIPAddress: { address: "10.1.2.9" },
    device: "eth0",
    lladdr: "02:00:00:00:00:09",
  });
  await network.addNeighbours([wanted]);
  await network.addNeighbours([wanted]);
  using rtnetlink = new Rtnetlink(inside.fd);
  const found = (await rtnetlink.neighbours()).find((entry) => entry.address === "10.1.2.9");
  assert.deepEqual([found?.hardwareAddress, found?.state], ["02:00:00:00:00:09", 0x80]);
});

Deno.test("what does not exist or is no address is refused with a sentence, and later requests go on", async () => {
  using inside = await namespace();
  const network = new GuestNetwork(0, inside.fd);
  const refused: readonly (readonly [Promise<unknown>, RegExp])[] = [
    [
      network.updateInterface(link({ name: "eth9", hwAddr: "02:00:00:00:00:99" })),
      /no link has the hardware address/,
    ],
    [network.updateInterface(link({ name: "eth9" })), /no link has the hardware address ""/],
    [network.updateRoutes([route({ dest: "10.0.0.0/8", device: "eth9" })]), /there is no interface "eth9"/],
    [
      network.updateRoutes([route({ dest: "10.0.0.0/99", device: "eth0" })]),
      /not an IP prefix: "10\.0\.0\.0\/99"/,
    ],
    [network.addNeighbours([neighbour({ device: "eth0", lladdr: "x" })]), /has no IP address/],
    [
      network.addNeighbours([
        neighbour({ device: "eth0", lladdr: "x", toIPAddress: { address: "10.0.0.1" } }),
      ]),
      /not a hardware address: "x"/,
    ],
  ];
  for (const [promise, message] of refused) await assert.rejects(promise, message);
  await network.updateInterface(WANTED);
});

Deno.test("counters of interfaces are read, those of the loopback are not", () => {
  const text = [
    "Inter-|   Receive                                                |  Transmit",
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed",
    "    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0",
    "  eth0:18446744073709551615 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
    "",
  ].join("\n");
  assert.deepEqual(parseNetworkStats(text), [{
    name: "eth0",
    rxBytes: 18446744073709551615n,
    rxPackets: 2n,
    rxErrors: 3n,
    rxDropped: 4n,
    txBytes: 9n,
    txPackets: 10n,
    txErrors: 11n,
    txDropped: 12n,
  }]);
});

import assert from "node:assert/strict";
import { IPFamily } from "../rpc/gen/types_pb.ts";
import { AF } from "../sys/netlink/address.ts";
import { IFF } from "../sys/netlink/link.ts";
import { guestInterface, guestNeighbours, guestRoutes } from "./guest_view.ts";
import { testLink } from "./testing/links.ts";

Deno.test("an interface has the link's name, hardware address, size, addresses, and whether it asks for others'", () => {
  const pod = testLink({ flags: IFF.UP | IFF.NOARP, mtu: 1400 }, { addresses: ["10.0.0.2", "fd00::2"] });
  assert.deepEqual(guestInterface(pod, "02/01"), {
    device: "eth0",
    name: "eth0",
    IPAddresses: [
      { family: IPFamily.v4, address: "10.0.0.2", mask: "24" },
      { family: IPFamily.v6, address: "fd00::2", mask: "24" },
    ],
    mtu: 1400n,
    hwAddr: "02:00:00:00:00:01",
    devicePath: "02/01",
    type: "veth",
    rawFlags: IFF.NOARP,
  });
});

Deno.test("of several routes to a place the best one is told, where the kernel has it; flags of the moment are not", () => {
  const DEAD_AND_ONLINK = 1 | 4;
  const eth0 = testLink({}, {
    routes: [
      { gateway: "10.0.0.1", priority: 100 },
      { destination: "192.0.2.1/32", scope: 253, source: "10.0.0.2", mtu: 1300 },
      { family: AF.INET6, gateway: "fd00::1", priority: 1024 },
    ],
  });
  const eth1 = testLink({ name: "eth1", index: 3 }, {
    routes: [
      { destination: "10.9.0.1/32", scope: 253 },
      { gateway: "10.9.0.1", flags: DEAD_AND_ONLINK },
      { family: AF.INET6, gateway: "fd09::1", priority: 2048 },
    ],
  });
  const told = guestRoutes([eth0, eth1]).map(({ dest, gateway, device, source, flags, mtu, family }) =>
    [dest || "default", gateway, device, source, flags, mtu, family].join(" ")
  );
  assert.deepEqual(told, [
    `192.0.2.1/32  eth0 10.0.0.2 0 1300 ${IPFamily.v4}`,
    `default fd00::1 eth0  0 0 ${IPFamily.v6}`,
    `10.9.0.1/32  eth1  0 0 ${IPFamily.v4}`,
    `default 10.9.0.1 eth1  4 0 ${IPFamily.v4}`,
  ]);
});

Deno.test("neighbours keep their state and flags", () => {
  const neighbour = { link: 2, family: AF.INET6, address: "fd00::9", hardwareAddress: "02:00:00:00:00:09" };
  const pod = testLink({}, { neighbours: [{ ...neighbour, state: 0x80, flags: 0x80 }] });
  assert.deepEqual(guestNeighbours([pod]), [{
    toIPAddress: { family: IPFamily.v6, address: "fd00::9", mask: "" },
    device: "eth0",
    lladdr: "02:00:00:00:00:09",
    state: 0x80,
    flags: 0x80,
  }]);
});

/** For tests: links as a scan finds them. */

import { familyOf, parseIp } from "../../sys/netlink/address.ts";
import type { Link } from "../../sys/netlink/link.ts";
import { MAIN_TABLE, type Neighbour, PROTOCOL, type Route } from "../../sys/netlink/route.ts";
import type { PodLink } from "../scan.ts";

/** What of a link matters to a test. */
export interface TestLinkParts {
  readonly addresses?: readonly string[];
  readonly routes?: readonly Partial<Route>[];
  readonly neighbours?: readonly Neighbour[];
}

/** A veth "eth0" with index 2, and changes. */
export function testLink(change: Partial<Link> = {}, parts: TestLinkParts = {}): PodLink {
  const link: Link = {
    index: 2,
    name: "eth0",
    flags: 1,
    up: true,
    mtu: 1500,
    address: "02:00:00:00:00:01",
    hardware: 1,
    kind: "veth",
    master: undefined,
    lower: undefined,
    txQueueLength: 1000,
    operationalState: 6,
    ...change,
  };
  return {
    link,
    addresses: (parts.addresses ?? ["10.0.0.2"]).map((address) => {
      const family = familyOf(parseIp(address));
      return { link: link.index, family, address, prefixLength: 24, scope: 0, flags: 0 };
    }),
    routes: (parts.routes ?? []).map((route) => ({
      family: 2,
      destination: undefined,
      gateway: undefined,
      source: undefined,
      link: link.index,
      scope: 0,
      type: 1,
      protocol: PROTOCOL.boot,
      table: MAIN_TABLE,
      flags: 0,
      priority: undefined,
      mtu: undefined,
      ...route,
    })),
    neighbours: parts.neighbours ?? [],
  };
}

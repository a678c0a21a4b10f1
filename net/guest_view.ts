/**
 * A pod's network in the form in which it is sent to the guest's agent.
 *
 * @module
 */

import type { ARPNeighbor, Interface, Route as WireRoute } from "../rpc/gen/types_pb.ts";
import { IPFamily } from "../rpc/gen/types_pb.ts";
import type { Init } from "../rpc/message.ts";
import { AF } from "../sys/netlink/address.ts";
import { IFF } from "../sys/netlink/link.ts";
import type { Route } from "../sys/netlink/route.ts";
import type { PodLink } from "./scan.ts";

/** RTNH_F_ONLINK: the gateway is on the link, whatever the addresses say. Other flags are of the host's moment. */
const ONLINK = 4;

const familyOf = (family: number) => family === AF.INET6 ? IPFamily.v6 : IPFamily.v4;

/** @param pciPath where the device was plugged in ("02/01"); empty for one that is there at boot */
export function guestInterface({ link, addresses }: PodLink, pciPath: string): Init<Interface> {
  return {
    device: link.name,
    name: link.name,
    IPAddresses: addresses.map(({ family, address, prefixLength }) => ({
      family: familyOf(family),
      address,
      mask: String(prefixLength),
    })),
    mtu: BigInt(link.mtu),
    hwAddr: link.address,
    devicePath: pciPath,
    type: link.kind ?? "",
    rawFlags: link.flags & IFF.NOARP,
  };
}

/**
 * Routes of several links, in the order of the links and of the kernel.
 *
 * The agent knows no priorities, and of several routes to the same destination would keep the last: the best one is
 * left.
 */
export function guestRoutes(links: readonly PodLink[]): Init<WireRoute>[] {
  const best = new Map<string, { route: Route; device: string }>();
  for (const { link, routes } of links) {
    for (const route of routes) {
      const key = `${route.family} ${route.destination ?? ""}`;
      const known = best.get(key);
      if (known === undefined) best.set(key, { route, device: link.name });
      else if ((route.priority ?? 0) < (known.route.priority ?? 0)) {
        // appended, not put in the other's place: routes that it needs may come after that one
        best.delete(key);
        best.set(key, { route, device: link.name });
      }
    }
  }
  return Array.from(best.values(), ({ route, device }) => ({
    dest: route.destination ?? "",
    gateway: route.gateway ?? "",
    device,
    source: route.source ?? "",
    scope: route.scope,
    family: familyOf(route.family),
    flags: route.flags & ONLINK,
    mtu: route.mtu ?? 0,
  }));
}

/** Neighbours that somebody has set. */
export function guestNeighbours(links: readonly PodLink[]): Init<ARPNeighbor>[] {
  return links.flatMap(({ link, neighbours }) =>
    neighbours.map(({ family, address, hardwareAddress, state, flags }) => ({
      toIPAddress: { family: familyOf(family), address, mask: "" },
      device: link.name,
      lladdr: hardwareAddress,
      state,
      flags,
    }))
  );
}

/**
 * What is in a pod's network namespace.
 *
 * @module
 */

import { Code, RpcError } from "../rpc/errors.ts";
import { AF } from "../sys/netlink/address.ts";
import { IFF, type Link } from "../sys/netlink/link.ts";
import { type Address, MAIN_TABLE, type Neighbour, NUD, PROTOCOL, type Route } from "../sys/netlink/route.ts";
import type { Rtnetlink } from "../sys/netlink/rtnetlink.ts";

/** A link of the pod with all that its guest shall have of it. */
export interface PodLink {
  readonly link: Link;
  readonly addresses: readonly Address[];
  /** In the kernel's order, without those that come by themselves with an address. */
  readonly routes: readonly Route[];
  /** Those that somebody has set. */
  readonly neighbours: readonly Neighbour[];
}

const RTN_UNICAST = 1;

/** What was found. */
export interface Found {
  /** Links that have an address or are known, sorted by name; what this program has made itself is left out. */
  readonly links: readonly PodLink[];
  /** Indices of all links. */
  readonly present: ReadonlySet<number>;
}

/**
 * Looks at a namespace.
 *
 * @param space what messages call it
 * @param isKnown whether a link is wanted without an address, too
 * @throws {RpcError} `INVALID_ARGUMENT`: two links cannot be told apart, or a route has no link
 */
export async function scanLinks(
  netlink: Rtnetlink,
  space: string,
  isOurs: (link: Link) => boolean,
  isKnown: (index: number) => boolean = () => false,
): Promise<Found> {
  const all = await netlink.links();
  const present = new Set(all.map(({ index }) => index));
  const candidates = all.filter((link) => (link.flags & IFF.LOOPBACK) === 0 && !isOurs(link));
  if (candidates.length === 0) return { links: [], present };
  const addresses = await netlink.addresses();
  const links = candidates.filter(({ index }) =>
    isKnown(index) || addresses.some(({ link }) => link === index)
  );
  if (links.length === 0) return { links: [], present };
  refuseTwins(links, addresses, space);
  const routes = (await netlink.routes()).filter(isWanted);
  refuseHomeless(routes, space);
  const neighbours = (await netlink.neighbours()).filter(isStatic);
  const found = links.sort((one, other) => one.name < other.name ? -1 : 1).map((link) => ({
    link,
    addresses: addresses.filter((address) => address.link === link.index),
    routes: routes.filter((route) => route.link === link.index),
    neighbours: neighbours.filter((neighbour) => neighbour.link === link.index),
  }));
  return { links: found, present };
}

const isIp = (family: number) => family === AF.INET || family === AF.INET6;

/** The kernel makes a route for each address by itself, in the guest as well. */
function isWanted(route: Route): boolean {
  return isIp(route.family) && route.table === MAIN_TABLE && route.type === RTN_UNICAST &&
    route.protocol !== PROTOCOL.kernel;
}

function isStatic({ family, state, hardwareAddress }: Neighbour): boolean {
  return isIp(family) && (state & NUD.PERMANENT) !== 0 && hardwareAddress !== "";
}

/** In the guest a link is found by its hardware address. */
function refuseTwins(links: readonly Link[], addresses: readonly Address[], space: string): void {
  for (const [at, link] of links.entries()) {
    for (const other of links.slice(at + 1)) {
      const names = `"${link.name}" and "${other.name}" of ${space}`;
      if (link.address !== "" && link.address === other.address) {
        throw invalid(`links ${names} have the same hardware address "${link.address}"`);
      }
      const twin = addresses.find((one) =>
        one.link === link.index && !isLinkLocal(one) &&
        addresses.some((two) => two.link === other.index && two.address === one.address)
      );
      if (twin) throw invalid(`links ${names} have the same address "${twin.address}/${twin.prefixLength}"`);
    }
  }
}

function isLinkLocal({ family, address }: Address): boolean {
  return family === AF.INET6 && address.startsWith("fe80:");
}

/** Multipath routes have no link of their own, and the agent API cannot express them. */
function refuseHomeless(routes: readonly Route[], space: string): void {
  const route = routes.find(({ link }) => link === undefined);
  if (route === undefined) return;
  const destination = route.destination ?? (route.family === AF.INET6 ? "::/0" : "0.0.0.0/0");
  throw invalid(`route "${destination}" of ${space} has no single next hop: it must go over one link`);
}

function invalid(message: string): RpcError {
  return new RpcError(Code.InvalidArgument, message);
}

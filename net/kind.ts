/**
 * How a link of a pod can be joined to a virtual machine.
 *
 * @module
 */

import { Code, RpcError } from "../rpc/errors.ts";
import type { LinkDriver } from "../sys/ethtool.ts";
import { IFF } from "../sys/netlink/link.ts";
import { isPciAddress } from "../sys/pci.ts";
import type { PodLink } from "./scan.ts";

/** How the pod's network and the virtual machine's are joined. */
export type Model = "tcfilter" | "macvtap" | "none";

/** What a link is to us. */
export type LinkKind =
  /** packets can be taken from it and given to it */
  | { readonly kind: "ethernet" }
  /** the virtual machine may be its other end */
  | { readonly kind: "tap" | "macvtap" }
  /** a program gives the virtual machine its packets, over this socket */
  | { readonly kind: "vhost-user"; readonly socketPath: string }
  /** it is a device of the host, which the virtual machine gets itself */
  | { readonly kind: "physical"; readonly address: string; readonly driver: string };

const ARPHRD_ETHER = 1;

const REDIRECTED = ["veth", "macvlan", "ipvlan", "vlan"];

/**
 * Finds out how a link can be joined.
 *
 * @param space what messages call its namespace
 * @param hasSocket whether there is a socket of this path
 * @throws {RpcError} `INVALID_ARGUMENT`: it cannot be
 */
export function kindOf(
  { link, addresses }: PodLink,
  driver: LinkDriver | undefined,
  space: string,
  hasSocket: (path: string) => boolean,
): LinkKind {
  const refuse = (why: string) =>
    new RpcError(
      Code.InvalidArgument,
      `link "${link.name}" of ${space} cannot be joined to a virtual machine: ${why}`,
    );
  if (driver !== undefined && isPciAddress(driver.bus)) {
    return { kind: "physical", address: driver.bus, driver: driver.driver };
  }
  for (const { address } of addresses) {
    const socketPath = `/tmp/vhostuser_${address}/vhu.sock`;
    if (hasSocket(socketPath)) return { kind: "vhost-user", socketPath };
  }
  if (link.kind === "macvtap") return { kind: "macvtap" };
  if (link.kind === "tun") {
    // a program that has it open is its other end, as a veth's peer is
    const isTaken = (link.flags & IFF.LOWER_UP) !== 0;
    if (link.hardware === ARPHRD_ETHER) return { kind: isTaken ? "ethernet" : "tap" };
    throw refuse("it is a tun device, which has no Ethernet frames");
  }
  const known = link.kind ?? "";
  if (!REDIRECTED.includes(known)) {
    const what = known === "" ? "it is a device without a kind" : `it is of kind "${known}"`;
    throw refuse(`${what}, and must be one of ${[...REDIRECTED, "tap", "macvtap"].join(", ")}`);
  }
  if (link.hardware !== ARPHRD_ETHER) throw refuse("it has no Ethernet frames");
  return { kind: "ethernet" };
}

/** The model that a link of a kind gets when this one is configured: a second macvtap would bypass the link. */
export function modelFor(
  model: "tcfilter" | "macvtap",
  linkKind: string | undefined,
): "tcfilter" | "macvtap" {
  return linkKind === "veth" || linkKind === "vlan" ? model : "tcfilter";
}

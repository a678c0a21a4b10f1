// Generated from types.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Schema, message } from "../message.ts";

export enum IPFamily {
  v4 = 0,
  v6 = 1,
}

export enum FSGroupChangePolicy {
  Always = 0,
  OnRootMismatch = 1,
}

export interface IPAddress {
  /** trust the address text */
  family: IPFamily;
  address: string;
  /** prefix length as decimal text, e.g. 24 */
  mask: string;
}

export const IPAddressSchema: Schema<IPAddress> = message("types.IPAddress", () => [
  [1, "family", "enum"],
  [2, "address", "string"],
  [3, "mask", "string"],
]);

export interface Interface {
  device: string;
  /** name the link must get in the guest */
  name: string;
  IPAddresses: IPAddress[];
  /** bytes */
  mtu: bigint;
  /** MAC; the key used to find the link. ListInterfaces gives upper-case hex */
  hwAddr: string;
  /** PCI path (02/03, hex slots, optional .F function) or CCW id; empty = do not wait for the device */
  devicePath: string;
  /** link kind, informative */
  type: string;
  /** IFF_* bits; only IFF_NOARP (0x80) matters */
  rawFlags: number;
}

export const InterfaceSchema: Schema<Interface> = message("types.Interface", () => [
  [1, "device", "string"],
  [2, "name", "string"],
  [3, "IPAddresses", IPAddressSchema, "repeated"],
  [4, "mtu", "uint64"],
  [5, "hwAddr", "string"],
  [6, "devicePath", "string"],
  [7, "type", "string"],
  [8, "rawFlags", "uint32"],
]);

export interface Route {
  /** CIDR text; empty = default route */
  dest: string;
  /** IP text or empty */
  gateway: string;
  /** interface name */
  device: string;
  /** CIDR text; prefix 0 = preferred source address */
  source: string;
  /** rtnetlink scope number (0 universe, 253 link, 254 host) */
  scope: number;
  family: IPFamily;
  /** RTNH_F_* bits */
  flags: number;
  /** bytes; 0 = leave out */
  mtu: number;
}

export const RouteSchema: Schema<Route> = message("types.Route", () => [
  [1, "dest", "string"],
  [2, "gateway", "string"],
  [3, "device", "string"],
  [4, "source", "string"],
  [5, "scope", "uint32"],
  [6, "family", "enum"],
  [7, "flags", "uint32"],
  [8, "mtu", "uint32"],
]);

export interface ARPNeighbor {
  toIPAddress?: IPAddress;
  /** interface name */
  device: string;
  /** MAC text */
  lladdr: string;
  /** NUD_* bits; 0 = permanent (0x80) */
  state: number;
  /** NTF_* bits */
  flags: number;
}

export const ARPNeighborSchema: Schema<ARPNeighbor> = message("types.ARPNeighbor", () => [
  [1, "toIPAddress", IPAddressSchema],
  [2, "device", "string"],
  [3, "lladdr", "string"],
  [4, "state", "int32"],
  [5, "flags", "int32"],
]);

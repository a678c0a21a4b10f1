import { STRUCTS } from "../abi/structs.ts";
import { AF, familyOf, formatIp, formatMac, parseIp, parseMac, parsePrefix } from "./address.ts";
import { type Message, parseAttributes, Payload, u32 } from "./message.ts";

/** Messages about addresses, routes, neighbours. */
export const RTM = {
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  NEWNEIGH: 28,
  DELNEIGH: 29,
  GETNEIGH: 30,
} as const;

/** How far an address or route reaches. */
export const SCOPE = { universe: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const;

/** Flags of an address. */
export const IFA_F = { NODAD: 0x2, PERMANENT: 0x80, NOPREFIXROUTE: 0x200 } as const;

/** The table of routes that are used if no rule says otherwise. */
export const MAIN_TABLE = 254;

/** Who made a route. */
export const PROTOCOL = { kernel: 2, boot: 3, static: 4 } as const;

/** State bits of a neighbour. */
export const NUD = { REACHABLE: 0x02, STALE: 0x04, NOARP: 0x40, PERMANENT: 0x80 } as const;

const { ifaddrmsg: IFADDR, rtmsg: RT, ndmsg: ND } = STRUCTS;

const IFA = { ADDRESS: 1, LOCAL: 2, LABEL: 3, BROADCAST: 4, FLAGS: 8 } as const;
const RTA = { DST: 1, OIF: 4, GATEWAY: 5, PRIORITY: 6, PREFSRC: 7, METRICS: 8, TABLE: 15 } as const;
const RTAX_MTU = 2;
const RTN_UNICAST = 1;
const NDA = { DST: 1, LLADDR: 2 } as const;

/** An address of a link. */
export interface Address {
  /** Index of the link. */
  readonly link: number;
  readonly family: number;
  readonly address: string;
  /** Bits of the network part. */
  readonly prefixLength: number;
  readonly scope: number;
  /** Bits of {@linkcode IFA_F}. */
  readonly flags: number;
  /** The other end of a point-to-point link. */
  readonly peer?: string;
  readonly broadcast?: string;
}

/** What is needed to add an address; the rest has defaults. */
export type NewAddress =
  & Pick<Address, "link" | "address" | "prefixLength">
  & Partial<Pick<Address, "scope" | "flags" | "peer" | "broadcast">>;

/** A route. */
export interface Route {
  readonly family: number;
  /** "10.0.0.0/8"; undefined for the default route. */
  readonly destination: string | undefined;
  readonly gateway: string | undefined;
  /** The address that packets of this host are sent from. */
  readonly source: string | undefined;
  /** Index of the link. */
  readonly link: number | undefined;
  readonly scope: number;
  /** RTN_*: 1 unicast, 2 local, 3 broadcast. */
  readonly type: number;
  readonly protocol: number;
  readonly table: number;
  /** RTNH_F_*: 4 = the gateway is on this link whatever the addresses say. */
  readonly flags: number;
  readonly priority: number | undefined;
  readonly mtu: number | undefined;
}

/** What is needed to add a route. `family` is needed only if no address tells it. */
export type NewRoute = Partial<Route>;

/** A neighbour: who has an address on a link. */
export interface Neighbour {
  readonly link: number;
  readonly family: number;
  readonly address: string;
  /** Hardware address; empty if it is not known. */
  readonly hardwareAddress: string;
  /** Bits of {@linkcode NUD}. */
  readonly state: number;
  /** NTF_* bits. */
  readonly flags: number;
}

/** What is needed to add a neighbour: permanent unless `state` says otherwise. */
export type NewNeighbour =
  & Pick<Neighbour, "link" | "address" | "hardwareAddress">
  & Partial<Pick<Neighbour, "state" | "flags">>;

const ip = (text: string | undefined) => text === undefined ? undefined : parseIp(text);
const ipText = (bytes: Uint8Array | undefined) => bytes && formatIp(bytes);
const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** struct ifaddrmsg: family, prefix length, flags, scope, link; then attributes. */
export function addressRequest(address: NewAddress): Uint8Array {
  const local = parseIp(address.address);
  const flags = address.flags ?? IFA_F.PERMANENT;
  return new Payload()
    .u8(familyOf(local)).u8(address.prefixLength).u8(flags & 0xff).u8(address.scope ?? SCOPE.universe)
    .u32(address.link)
    .attribute(IFA.LOCAL, local)
    .attribute(IFA.ADDRESS, ip(address.peer) ?? local)
    .attribute(IFA.BROADCAST, ip(address.broadcast))
    .attribute(IFA.FLAGS, flags)
    .finish();
}

export function addressListRequest(): Uint8Array {
  return new Payload().u8(AF.UNSPEC).u8(0).u8(0).u8(0).u32(0).finish();
}

/** Parses an RTM_NEWADDR message. */
export function parseAddress({ payload }: Message): Address {
  const view = viewOf(payload);
  const attributes = parseAttributes(payload, IFADDR.size);
  // IPv6 tells its address as ADDRESS; where LOCAL is given too, ADDRESS is the peer.
  const local = attributes.get(IFA.LOCAL) ?? attributes.get(IFA.ADDRESS) ?? new Uint8Array(4);
  const peer = ipText(attributes.get(IFA.ADDRESS));
  const broadcast = ipText(attributes.get(IFA.BROADCAST));
  const address = formatIp(local);
  return {
    link: view.getUint32(IFADDR.ifa_index, true),
    family: view.getUint8(IFADDR.ifa_family),
    address,
    prefixLength: view.getUint8(IFADDR.ifa_prefixlen),
    scope: view.getUint8(IFADDR.ifa_scope),
    flags: u32(attributes.get(IFA.FLAGS)) ?? view.getUint8(IFADDR.ifa_flags),
    ...(peer !== undefined && peer !== address && { peer }),
    ...(broadcast !== undefined && { broadcast }),
  };
}

/** struct rtmsg: family, lengths of destination and source, tos, table, protocol, scope, type, flags. */
export function routeRequest(route: NewRoute): Uint8Array {
  const prefix = route.destination === undefined ? undefined : parsePrefix(route.destination);
  const destination = ip(prefix?.address);
  const gateway = ip(route.gateway);
  const source = ip(route.source);
  const known = destination ?? gateway ?? source;
  const family = known ? familyOf(known) : route.family ?? AF.INET;
  const table = route.table ?? MAIN_TABLE;
  const scope = route.scope ?? (gateway || family === AF.INET6 ? SCOPE.universe : SCOPE.link);
  const payload = new Payload()
    .u8(family).u8(prefix?.length ?? 0).u8(0).u8(0)
    .u8(table < 256 ? table : 0).u8(route.protocol ?? PROTOCOL.boot).u8(scope).u8(route.type ?? RTN_UNICAST)
    .u32(route.flags ?? 0)
    .attribute(RTA.TABLE, table)
    // A prefix of no bits is the default route, which has no destination.
    .attribute(RTA.DST, prefix?.length === 0 ? undefined : destination)
    .attribute(RTA.GATEWAY, gateway)
    .attribute(RTA.PREFSRC, source)
    .attribute(RTA.OIF, route.link)
    .attribute(RTA.PRIORITY, route.priority);
  const { mtu } = route;
  if (mtu) payload.nested(RTA.METRICS, (metrics) => metrics.attribute(RTAX_MTU, mtu));
  return payload.finish();
}

export function routeListRequest(): Uint8Array {
  return new Payload().u32(0).u32(0).u32(0).finish();
}

/** Parses an RTM_NEWROUTE message. */
export function parseRoute({ payload }: Message): Route {
  const view = viewOf(payload);
  const attributes = parseAttributes(payload, RT.size);
  const destination = attributes.get(RTA.DST);
  const metrics = attributes.get(RTA.METRICS);
  return {
    family: view.getUint8(RT.rtm_family),
    destination: destination && `${formatIp(destination)}/${view.getUint8(RT.rtm_dst_len)}`,
    gateway: ipText(attributes.get(RTA.GATEWAY)),
    source: ipText(attributes.get(RTA.PREFSRC)),
    link: u32(attributes.get(RTA.OIF)),
    scope: view.getUint8(RT.rtm_scope),
    type: view.getUint8(RT.rtm_type),
    protocol: view.getUint8(RT.rtm_protocol),
    table: u32(attributes.get(RTA.TABLE)) ?? view.getUint8(RT.rtm_table),
    flags: view.getUint32(RT.rtm_flags, true),
    priority: u32(attributes.get(RTA.PRIORITY)),
    mtu: metrics && u32(parseAttributes(metrics).get(RTAX_MTU)),
  };
}

/** struct ndmsg: family, pads, link, state, flags, type. */
export function neighbourRequest(
  { hardwareAddress, ...neighbour }: Omit<NewNeighbour, "hardwareAddress"> & { hardwareAddress?: string },
): Uint8Array {
  const address = parseIp(neighbour.address);
  return new Payload()
    .u8(familyOf(address)).u8(0).u16(0).u32(neighbour.link)
    .u16(neighbour.state ?? NUD.PERMANENT).u8(neighbour.flags ?? 0).u8(0)
    .attribute(NDA.DST, address)
    .attribute(NDA.LLADDR, hardwareAddress === undefined ? undefined : parseMac(hardwareAddress))
    .finish();
}

export function neighbourListRequest(): Uint8Array {
  return new Payload().u32(0).u32(0).u32(0).finish();
}

/** Parses an RTM_NEWNEIGH message. */
export function parseNeighbour({ payload }: Message): Neighbour {
  const view = viewOf(payload);
  const attributes = parseAttributes(payload, ND.size);
  return {
    link: view.getUint32(ND.ndm_ifindex, true),
    family: view.getUint8(ND.ndm_family),
    address: ipText(attributes.get(NDA.DST)) ?? "",
    hardwareAddress: formatMac(attributes.get(NDA.LLADDR) ?? new Uint8Array()),
    state: view.getUint16(ND.ndm_state, true),
    flags: view.getUint8(ND.ndm_flags),
  };
}

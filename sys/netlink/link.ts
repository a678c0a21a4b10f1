import { STRUCTS } from "../abi/structs.ts";
import { AF, formatMac, parseMac } from "./address.ts";
import { type Message, parseAttributes, Payload, text, u32 } from "./message.ts";

/** Messages about links. */
export const RTM_LINK = { NEW: 16, DEL: 17, GET: 18, SET: 19 } as const;

/** Flags of a link. */
export const IFF = {
  UP: 0x1,
  LOOPBACK: 0x8,
  NOARP: 0x80,
  PROMISC: 0x100,
  MULTICAST: 0x1000,
  LOWER_UP: 0x10000,
} as const;

const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  TXQLEN: 13,
  OPERSTATE: 16,
  LINKINFO: 18,
  NET_NS_FD: 28,
  AF_SPEC: 26,
  EXT_MASK: 29,
  NUM_TX_QUEUES: 31,
  NUM_RX_QUEUES: 32,
} as const;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const ADDR_GEN_MODE = { eui64: 0, none: 1 } as const;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const RTEXT_FILTER_SKIP_STATS = 8;
const IFNAMSIZ = 16;

/** A network interface. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** Bits of {@linkcode IFF}. */
  readonly flags: number;
  readonly up: boolean;
  readonly mtu: number;
  /** Hardware address; empty if it has none. */
  readonly address: string;
  /** Kind of hardware: 1 Ethernet, 772 loopback (ARPHRD_*). */
  readonly hardware: number;
  /** "veth", "bridge", "tun"; undefined for hardware. */
  readonly kind: string | undefined;
  /** The bridge or bond that it belongs to. */
  readonly master: number | undefined;
  /** The link below it (vlan, macvlan) or its peer (veth). */
  readonly lower: number | undefined;
  readonly txQueueLength: number;
  /** IF_OPER_*: 6 = up, 2 = down, 0 = unknown. */
  readonly operationalState: number;
}

/** What is changed of a link; what is left out stays. */
export interface LinkChange {
  readonly index: number;
  readonly up?: boolean;
  readonly name?: string;
  readonly mtu?: number;
  readonly arp?: boolean;
  readonly promiscuous?: boolean;
  /** Hardware address. */
  readonly address?: string;
  /** Index of the bridge to join; 0 to leave. */
  readonly master?: number;
  readonly txQueueLength?: number;
  /** false: the kernel gives it no IPv6 address of its own accord. */
  readonly linkLocal?: boolean;
  /** Descriptor of the network namespace to move it to. */
  readonly namespaceFd?: number;
}

/** A link that is made. */
export interface NewLink {
  readonly name: string;
  /** Its index; default: the kernel's choice. */
  readonly index?: number;
  /** "bridge", "dummy", "veth", "macvlan". */
  readonly kind: string;
  readonly mtu?: number;
  readonly address?: string;
  /** Index of the link below it. */
  readonly lower?: number;
  /** Queues in each direction; default: the kind's. */
  readonly queues?: number;
  /** Options of the kind, as attributes of its IFLA_INFO_DATA. */
  readonly data?: (payload: Payload) => void;
}

const INFO = STRUCTS.ifinfomsg;

/** struct ifinfomsg: family, pad, hardware type, index, flags, which flags to change. */
function info(index: number, flags = 0, change = 0): Payload {
  return new Payload().u8(0).u8(0).u16(0).u32(index).u32(flags).u32(change);
}

export function checkName(name: string): string {
  const length = new TextEncoder().encode(name).length;
  if (length === 0 || length >= IFNAMSIZ) {
    throw new RangeError(`a link's name must have 1 to ${IFNAMSIZ - 1} bytes: "${name}"`);
  }
  return name;
}

/** The request for all links, without their counters. */
export function linkRequest(index = 0): Uint8Array {
  return info(index).attribute(IFLA.EXT_MASK, RTEXT_FILTER_SKIP_STATS).finish();
}

/** The request for the link of a name. */
export function linkByNameRequest(name: string): Uint8Array {
  return info(0).attribute(IFLA.IFNAME, checkName(name)).finish();
}

export function linkChangeRequest(change: LinkChange): Uint8Array {
  let flags = 0;
  let mask = 0;
  const set = (bit: number, on: boolean | undefined) => {
    if (on === undefined) return;
    mask |= bit;
    if (on) flags |= bit;
  };
  set(IFF.UP, change.up);
  set(IFF.NOARP, change.arp === undefined ? undefined : !change.arp);
  set(IFF.PROMISC, change.promiscuous);
  const payload = info(change.index, flags, mask);
  const { linkLocal } = change;
  if (linkLocal !== undefined) {
    const mode = new Uint8Array([linkLocal ? ADDR_GEN_MODE.eui64 : ADDR_GEN_MODE.none]);
    payload.nested(
      IFLA.AF_SPEC,
      (families) => families.nested(AF.INET6, (six) => six.attribute(IFLA_INET6_ADDR_GEN_MODE, mode)),
    );
  }
  return payload
    .attribute(IFLA.IFNAME, change.name === undefined ? undefined : checkName(change.name))
    .attribute(IFLA.MTU, change.mtu)
    .attribute(IFLA.ADDRESS, change.address === undefined ? undefined : parseMac(change.address))
    .attribute(IFLA.MASTER, change.master)
    .attribute(IFLA.TXQLEN, change.txQueueLength)
    .attribute(IFLA.NET_NS_FD, change.namespaceFd)
    .finish();
}

export function newLinkRequest(link: NewLink): Uint8Array {
  return info(link.index ?? 0)
    .attribute(IFLA.IFNAME, checkName(link.name))
    .attribute(IFLA.MTU, link.mtu)
    .attribute(IFLA.NUM_TX_QUEUES, link.queues)
    .attribute(IFLA.NUM_RX_QUEUES, link.queues)
    .attribute(IFLA.ADDRESS, link.address === undefined ? undefined : parseMac(link.address))
    .attribute(IFLA.LINK, link.lower)
    .nested(IFLA.LINKINFO, (payload) => {
      // The kind is compared with its length: without a NUL.
      payload.attribute(IFLA_INFO_KIND, new TextEncoder().encode(link.kind));
      const { data } = link;
      if (data) payload.nested(IFLA_INFO_DATA, data);
    })
    .finish();
}

export function deleteLinkRequest(index: number): Uint8Array {
  return info(index).finish();
}

/** Parses an RTM_NEWLINK message. */
export function parseLink({ payload }: Message): Link {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const attributes = parseAttributes(payload, INFO.size);
  const flags = view.getUint32(INFO.ifi_flags, true);
  const details = attributes.get(IFLA.LINKINFO);
  return {
    index: view.getInt32(INFO.ifi_index, true),
    name: text(attributes.get(IFLA.IFNAME)) ?? "",
    flags,
    up: (flags & IFF.UP) !== 0,
    mtu: u32(attributes.get(IFLA.MTU)) ?? 0,
    address: formatMac(attributes.get(IFLA.ADDRESS) ?? new Uint8Array()),
    hardware: view.getUint16(INFO.ifi_type, true),
    kind: details && text(parseAttributes(details).get(IFLA_INFO_KIND)),
    master: u32(attributes.get(IFLA.MASTER)),
    lower: u32(attributes.get(IFLA.LINK)),
    txQueueLength: u32(attributes.get(IFLA.TXQLEN)) ?? 0,
    operationalState: attributes.get(IFLA.OPERSTATE)?.[0] ?? 0,
  };
}

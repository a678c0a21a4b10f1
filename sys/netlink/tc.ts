/** Traffic control: what becomes of a link's packets on their way in and out. */

import { STRUCTS } from "../abi/structs.ts";
import { isErrno } from "../errors.ts";
import { type Message, NLM, parseAttributes, Payload, text } from "./message.ts";
import { NETLINK, NetlinkSocket } from "./socket.ts";

/** Messages about traffic control. */
export const RTM_TC = {
  NEWQDISC: 36,
  DELQDISC: 37,
  GETQDISC: 38,
  NEWTCLASS: 40,
  DELTCLASS: 41,
  GETTCLASS: 42,
  NEWTFILTER: 44,
  DELTFILTER: 45,
  GETTFILTER: 46,
} as const;

/** Places that a queueing discipline can be attached to, and the handle of the one for incoming packets. */
export const TC_H = { ROOT: 0xffffffff, INGRESS: 0xfffffff1, INGRESS_HANDLE: 0xffff0000 } as const;

const TCA = { KIND: 1, OPTIONS: 2 } as const;
const TCA_U32 = { SEL: 5, ACT: 7 } as const;
const TC_U32_TERMINAL = 1;
const TCA_ACT = { KIND: 1, OPTIONS: 2 } as const;
const TCA_MIRRED_PARMS = 2;
const TCA_EGRESS_REDIR = 1;
const TC_ACT_STOLEN = 4;
const TCA_HTB = { PARMS: 1, INIT: 2, RATE64: 6, CEIL64: 7 } as const;
const HTB_VERSION = 3;
const HTB_RATE_TO_QUANTUM = 10;
const LINKLAYER_ETHERNET = 1;

/** Every protocol, in network byte order. */
const ETH_P_ALL = 0x0300;
/** The filter of ours is looked at first. */
const PRIORITY = 1;

const TC = STRUCTS.tcmsg;

/** Length of a tick of the packet scheduler, in nanoseconds. */
const TICK_NS = 64;
/** What may be sent at once, as the time that it takes at the limit, in nanoseconds. */
const BURST_NS = 10_000_000;
/** A class's turn, in bytes: a frame at least, and no more than the largest packet. */
const MIN_QUANTUM = 1_514;
const MAX_QUANTUM = 65_536;
const MAX_U32 = 0xffffffff;

/** A queueing discipline of a link. */
export interface Qdisc {
  /** Index of the link. */
  readonly link: number;
  /** "ingress", "htb", "noqueue". */
  readonly kind: string;
  readonly handle: number;
  readonly parent: number;
}

/** A filter of a link. */
export interface Filter {
  readonly link: number;
  readonly kind: string;
  readonly handle: number;
  readonly parent: number;
}

/** struct tcmsg: family, pads, link, handle, parent, info. */
function head(link: number, handle = 0, parent = 0, info = 0): Payload {
  return new Payload().u8(0).u8(0).u16(0).u32(link).u32(handle).u32(parent).u32(info);
}

/** The request for the discipline that lets filters see incoming packets. */
function ingressRequest(link: number): Uint8Array {
  return head(link, TC_H.INGRESS_HANDLE, TC_H.INGRESS).attribute(TCA.KIND, "ingress").finish();
}

/** The request for a filter that takes every incoming packet of a link and sends it out of another one. */
function redirectRequest(link: number, to: number): Uint8Array {
  // struct tc_u32_sel with one struct tc_u32_key that matches whatever is there
  const selector = new Payload().u8(TC_U32_TERMINAL).u8(0).u8(1).u8(0)
    .u16(0).u16(0).u16(0).u16(0).u32(0)
    .u32(0).u32(0).u32(0).u32(0).finish();
  // struct tc_mirred: index, capabilities, verdict, two counters; then what is done, and with which link
  const mirred = new Payload().u32(0).u32(0).u32(TC_ACT_STOLEN).u32(0).u32(0)
    .u32(TCA_EGRESS_REDIR).u32(to).finish();
  return head(link, 0, TC_H.INGRESS_HANDLE, ((PRIORITY << 16) | ETH_P_ALL) >>> 0)
    .attribute(TCA.KIND, "u32")
    .nested(
      TCA.OPTIONS,
      (options) =>
        options.attribute(TCA_U32.SEL, selector).nested(
          TCA_U32.ACT,
          (actions) =>
            actions.nested(1, (action) =>
              action.attribute(TCA_ACT.KIND, "mirred").nested(TCA_ACT.OPTIONS, (parameters) =>
                parameters.attribute(TCA_MIRRED_PARMS, mirred))),
        ),
    )
    .finish();
}

/** The request for a root discipline of classes; what no filter sorts goes to class 1:2. */
function htbRequest(link: number): Uint8Array {
  const global = new Payload().u32(HTB_VERSION).u32(HTB_RATE_TO_QUANTUM).u32(2).u32(0).u32(0).finish();
  return head(link, 0x10000, TC_H.ROOT).attribute(TCA.KIND, "htb")
    .nested(TCA.OPTIONS, (options) => options.attribute(TCA_HTB.INIT, global)).finish();
}

/**
 * The request for a class that sends no faster than its limit.
 *
 * @param id minor number of the class, below `1:`
 * @param parent minor number of the class above it; 0 for none
 */
function htbClassRequest(link: number, id: number, parent: number, bitsPerSecond: number): Uint8Array {
  const rate = Math.max(1, Math.round(bitsPerSecond / 8));
  const spec = (payload: Payload) =>
    payload.u8(0).u8(LINKLAYER_ETHERNET).u16(0).u16(0).u16(0).u32(Math.min(rate, MAX_U32));
  const burst = Math.ceil((BURST_NS + (MIN_QUANTUM / rate) * 1e9) / TICK_NS);
  const quantum = Math.min(MAX_QUANTUM, Math.max(MIN_QUANTUM, Math.round(rate / HTB_RATE_TO_QUANTUM)));
  const parameters = spec(spec(new Payload()))
    .u32(Math.min(burst, MAX_U32)).u32(Math.min(burst, MAX_U32)).u32(quantum).u32(0).u32(0).finish();
  return head(link, 0x10000 + id, 0x10000 + parent).attribute(TCA.KIND, "htb")
    .nested(TCA.OPTIONS, (options) => {
      options.attribute(TCA_HTB.PARMS, parameters);
      if (rate <= MAX_U32) return;
      const wide = new Payload().u64(BigInt(rate)).finish();
      options.attribute(TCA_HTB.RATE64, wide).attribute(TCA_HTB.CEIL64, wide);
    }).finish();
}

function parse({ payload }: Message): Qdisc & Filter {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return {
    link: view.getInt32(TC.tcm_ifindex, true),
    kind: text(parseAttributes(payload, TC.size).get(TCA.KIND)) ?? "",
    handle: view.getUint32(TC.tcm_handle, true),
    parent: view.getUint32(TC.tcm_parent, true),
  };
}

/** Traffic control of a network namespace. Errors are SysErrors named after the request. */
export class TrafficControl implements Disposable {
  readonly #socket: NetlinkSocket;

  /** @param namespace path or descriptor of the network namespace; one's own if left out */
  constructor(namespace?: string | number) {
    this.#socket = new NetlinkSocket(NETLINK.ROUTE, namespace);
  }

  /** Disciplines of all links. */
  async qdiscs(): Promise<Qdisc[]> {
    return (await this.#socket.dump("RTM_GETQDISC", RTM_TC.GETQDISC, head(0).finish())).map(parse);
  }

  /** Filters for incoming packets of a link. */
  async ingressFilters(link: number): Promise<Filter[]> {
    const request = head(link, 0, TC_H.INGRESS_HANDLE).finish();
    return (await this.#socket.dump("RTM_GETTFILTER", RTM_TC.GETTFILTER, request, `link ${link}`)).map(parse);
  }

  /** Lets filters see incoming packets. @throws {SysError} `EEXIST` if something does so already */
  async addIngress(link: number): Promise<void> {
    await this.#add("RTM_NEWQDISC", RTM_TC.NEWQDISC, ingressRequest(link), link);
  }

  /** Takes the filters for incoming packets away, all of them. Nothing happens if there are none. */
  async removeIngress(link: number): Promise<void> {
    await this.#remove(link, TC_H.INGRESS_HANDLE, TC_H.INGRESS);
  }

  /** Sends every packet that comes in on a link out of another; needs {@linkcode addIngress}. */
  async redirect(link: number, to: number): Promise<void> {
    await this.#add("RTM_NEWTFILTER", RTM_TC.NEWTFILTER, redirectRequest(link, to), link);
  }

  /** Lets a link send no faster than this. */
  async limit(link: number, bitsPerSecond: number): Promise<void> {
    await this.#add("RTM_NEWQDISC", RTM_TC.NEWQDISC, htbRequest(link), link);
    for (const [id, parent] of [[1, 0], [2, 1]] as const) {
      const request = htbClassRequest(link, id, parent, bitsPerSecond);
      await this.#add("RTM_NEWTCLASS", RTM_TC.NEWTCLASS, request, link);
    }
  }

  /** Takes the limit away. Nothing happens if there is none. */
  async removeLimit(link: number): Promise<void> {
    await this.#remove(link, 0x10000, TC_H.ROOT);
  }

  async #add(name: string, type: number, payload: Uint8Array, link: number): Promise<void> {
    await this.#socket.request(name, type, NLM.CREATE | NLM.EXCL, payload, `link ${link}`);
  }

  async #remove(link: number, handle: number, parent: number): Promise<void> {
    try {
      const payload = head(link, handle, parent).finish();
      await this.#socket.request("RTM_DELQDISC", RTM_TC.DELQDISC, 0, payload, `link ${link}`);
    } catch (error) {
      // no such discipline, no such link: EINVAL is what kernels say who have another one there
      if (!isErrno(error, "ENOENT", "ENODEV", "EINVAL")) throw error;
    }
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

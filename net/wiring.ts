/**
 * Joining a link of a pod's network namespace with a device that QEMU has the other end of, and undoing that.
 *
 * What is done is planned first, as data, so that it can be saved before it is done: {@linkcode unwire} undoes a plan
 * from any process, whether all, a part or nothing of it was done.
 *
 * @module
 */

import { isErrno } from "../sys/errors.ts";
import type { OwnedFd } from "../sys/fd.ts";
import type { Link } from "../sys/netlink/link.ts";
import type { Address, Route } from "../sys/netlink/route.ts";
import { Rtnetlink } from "../sys/netlink/rtnetlink.ts";
import { TrafficControl } from "../sys/netlink/tc.ts";
import { openMacvtap, openTap } from "../sys/tun.ts";
import type { PodLink } from "./scan.ts";

/** Limits in bits per second; 0 is none. */
export interface RateLimits {
  /** what the guest gets */
  readonly rx: number;
  /** what the guest sends */
  readonly tx: number;
}

/** How one link is joined. */
export interface WiringPlan {
  /** `direct`: the link is a tap or macvtap itself */
  readonly how: "tcfilter" | "macvtap" | "direct";
  /** the pod's link */
  readonly link: string;
  readonly index: number;
  /** "veth", "tun", … */
  readonly kind: string;
  readonly mac: string;
  readonly mtu: number;
  /** name of the device that is made */
  readonly device: string;
  /** name of the device that incoming packets wait in, if they are limited and nothing else can do it */
  readonly waiting?: string;
  readonly limits: RateLimits;
  /** what the link loses while it is joined by macvtap */
  readonly addresses: readonly Address[];
  readonly routes: readonly Route[];
}

/** Ends of the names of our devices. */
const SUFFIX = "_kata";

/** Whether a link is one that {@linkcode wire} makes. */
export function isWiring({ name }: Pick<Link, "name">): boolean {
  return /^(tap|ifb)\d+_kata$/.test(name);
}

/** @param number of the endpoint in its namespace */
export function planWiring(
  pod: PodLink,
  how: WiringPlan["how"],
  number: number,
  limits: RateLimits,
): WiringPlan {
  const { link } = pod;
  const loses = how === "macvtap";
  return {
    how,
    link: link.name,
    index: link.index,
    kind: link.kind ?? "",
    mac: link.address,
    mtu: link.mtu,
    device: how === "direct" ? link.name : `tap${number}${SUFFIX}`,
    ...(how !== "tcfilter" && limits.rx > 0 && { waiting: `ifb${number}${SUFFIX}` }),
    limits,
    addresses: loses ? pod.addresses : [],
    routes: loses ? pod.routes : [],
  };
}

/**
 * Does what the plan says.
 *
 * @param namespace descriptor of the pod's network namespace
 * @returns the other end, a descriptor for each queue; the caller owns them
 * @throws {SysError} what could not be done; {@linkcode unwire} undoes the rest
 */
export async function wire(namespace: number, plan: WiringPlan, queues: number): Promise<OwnedFd[]> {
  using netlink = new Rtnetlink(namespace);
  using control = new TrafficControl(namespace);
  using taken = new DisposableStack();
  const space = { namespace, netlink, control };
  const fds = await openDevice(space, plan, queues);
  for (const fd of fds) taken.use(fd);
  await limit(space, plan);
  taken.move();
  return fds;
}

interface Space {
  readonly namespace: number;
  readonly netlink: Rtnetlink;
  readonly control: TrafficControl;
}

function openDevice(space: Space, plan: WiringPlan, queues: number): Promise<OwnedFd[]> {
  switch (plan.how) {
    case "tcfilter":
      return redirected(space, plan, queues);
    case "macvtap":
      return macvtap(space, plan, queues);
    case "direct":
      return direct(space, plan, queues);
  }
}

/** A tap, and each packet that comes in on it or on the link goes out of the other. */
async function redirected({ namespace, netlink, control }: Space, plan: WiringPlan, queues: number) {
  using taken = new DisposableStack();
  const fds = openTap({ name: plan.device, queues, namespace, exclusive: true });
  for (const fd of fds) taken.use(fd);
  const tap = await indexOf(netlink, plan.device);
  await withoutAddress(netlink, tap);
  await netlink.setLink({ index: tap, mtu: plan.mtu, up: true });
  await control.addIngress(plan.index);
  await control.addIngress(tap);
  await control.redirect(plan.index, tap);
  await control.redirect(tap, plan.index);
  taken.move();
  return fds;
}

const IFLA_MACVLAN_MODE = 1;
const MACVLAN_MODE_BRIDGE = 4;
/** Device nodes have the index in their names and are the whole host's, so small ones are taken by other namespaces. */
const FIRST_INDEX = 8_192;
const INDEX_TRIES = 128;

/** A device with the link's hardware address on top of the link, which gets another one and no addresses. */
async function macvtap({ netlink }: Space, plan: WiringPlan, queues: number): Promise<OwnedFd[]> {
  await netlink.setLink({ index: plan.index, address: randomMac() });
  for (const address of plan.addresses) {
    await netlink.deleteAddress(address).catch((error) => ignore(error, "EADDRNOTAVAIL"));
  }
  const index = await addMacvtap(netlink, plan, queues);
  await withoutAddress(netlink, index);
  await netlink.setLink({ index: plan.index, up: true });
  await netlink.setLink({ index, up: true });
  return openMacvtap(plan.device, index, queues);
}

async function addMacvtap(netlink: Rtnetlink, plan: WiringPlan, queues: number): Promise<number> {
  const mode = new Uint8Array(new Uint32Array([MACVLAN_MODE_BRIDGE]).buffer);
  for (let attempt = 1;; attempt++) {
    const [random = 0] = crypto.getRandomValues(new Uint16Array(1));
    const index = FIRST_INDEX + random;
    try {
      await netlink.addLink({
        name: plan.device,
        kind: "macvtap",
        index,
        lower: plan.index,
        mtu: plan.mtu,
        address: plan.mac,
        queues,
        data: (payload) => payload.attribute(IFLA_MACVLAN_MODE, mode),
      });
      return index;
    } catch (error) {
      // the index, as the name was free a moment ago
      if (attempt === INDEX_TRIES || !isErrno(error, "EBUSY", "EEXIST")) throw error;
    }
  }
}

/** The device is there; it must only be opened. */
async function direct({ namespace, netlink }: Space, plan: WiringPlan, queues: number): Promise<OwnedFd[]> {
  const fds = plan.kind === "macvtap"
    ? openMacvtap(plan.device, plan.index, queues)
    : openTap({ name: plan.device, queues, namespace, exclusive: false });
  using taken = new DisposableStack();
  for (const fd of fds) taken.use(fd);
  await netlink.setLink({ index: plan.index, up: true });
  taken.move();
  return fds;
}

/**
 * A link can delay what it sends. What the guest gets is sent by the tap of `tcfilter`; a macvtap gets it from below,
 * so there it takes a way round through a device whose only purpose is to send.
 */
async function limit({ netlink, control }: Space, plan: WiringPlan): Promise<void> {
  const { rx, tx } = plan.limits;
  const device = rx + tx > 0 ? await indexOf(netlink, plan.device) : 0;
  const [toGuest, fromGuest] = plan.how === "tcfilter" ? [device, plan.index] : [undefined, device];
  if (tx > 0) await control.limit(fromGuest, tx);
  if (rx === 0) return;
  if (toGuest !== undefined) return await control.limit(toGuest, rx);
  const name = plan.waiting ?? "";
  await netlink.addLink({ name, kind: "ifb", mtu: plan.mtu });
  const waiting = await indexOf(netlink, name);
  await withoutAddress(netlink, waiting);
  await netlink.setLink({ index: waiting, up: true });
  await control.limit(waiting, rx);
  await control.addIngress(plan.index);
  await control.redirect(plan.index, waiting);
}

/**
 * Undoes what {@linkcode wire} has done of a plan. Safe to call again, and when the link has gone.
 *
 * @param namespace descriptor of the pod's network namespace
 */
export async function unwire(namespace: number, plan: WiringPlan): Promise<void> {
  using netlink = new Rtnetlink(namespace);
  using control = new TrafficControl(namespace);
  for (const name of [plan.how === "direct" ? undefined : plan.device, plan.waiting]) {
    const made = name === undefined ? undefined : await netlink.findLink(name);
    if (made) await netlink.deleteLink(made.index).catch((error) => ignore(error, "ENODEV"));
  }
  const link = await netlink.findLink(plan.link);
  // another one may have its name by now
  if (link?.index !== plan.index) return;
  if (plan.how === "tcfilter" || plan.waiting !== undefined) await control.removeIngress(link.index);
  if (plan.limits.tx > 0) await control.removeLimit(link.index);
  if (plan.how === "macvtap") await giveBack(netlink, plan);
}

/** What the link had before. */
async function giveBack(netlink: Rtnetlink, plan: WiringPlan): Promise<void> {
  await netlink.setLink({ index: plan.index, address: plan.mac });
  for (const address of plan.addresses) await netlink.replaceAddress(address);
  // those that others need first
  const routes = [...plan.routes].sort((one, other) =>
    Number(one.gateway !== undefined) - Number(other.gateway !== undefined)
  );
  for (const route of routes) await netlink.addRoute(route).catch((error) => ignore(error, "EEXIST"));
}

async function indexOf(netlink: Rtnetlink, name: string): Promise<number> {
  const link = await netlink.findLink(name);
  if (link === undefined) throw new Error(`link "${name}" has vanished`);
  return link.index;
}

/** Only the guest may send on it. */
async function withoutAddress(netlink: Rtnetlink, index: number): Promise<void> {
  // a kernel without IPv6 has no such setting
  await netlink.setLink({ index, linkLocal: false }).catch((error) =>
    ignore(error, "EAFNOSUPPORT", "EOPNOTSUPP")
  );
}

/** An address of the range that everybody may use, for one receiver. */
export function randomMac(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

function ignore(error: unknown, ...codes: Parameters<typeof isErrno>[1][]): void {
  if (!isErrno(error, ...codes)) throw error;
}

import type { ARPNeighbor, Interface, IPAddress, Route as WireRoute } from "../rpc/gen/types_pb.ts";
import { IPFamily } from "../rpc/gen/types_pb.ts";
import type { RpcError } from "../rpc/errors.ts";
import { isErrno, type SysError } from "../sys/errors.ts";
import { AF, parsePrefix } from "../sys/netlink/address.ts";
import { NetworkChanges, RTMGRP } from "../sys/netlink/changes.ts";
import { IFF, type Link } from "../sys/netlink/link.ts";
import { IFA_F, MAIN_TABLE, type NewRoute, NUD, type Route } from "../sys/netlink/route.ts";
import { Rtnetlink } from "../sys/netlink/rtnetlink.ts";
import { invalidArgument, notFound } from "./errors.ts";
import { Timer } from "../sys/timer.ts";

const RTN_UNICAST = 1;

/**
 * The guest's network as the host wants it. All requests can be repeated.
 *
 * Changes are made one after the other: a rename in the middle of another one would find the wrong link.
 */
export class GuestNetwork {
  readonly #hotplugTimeoutMs: number;
  readonly #namespace: number | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /**
   * @param hotplugTimeoutMs how long a link that is being plugged in may take to appear, in milliseconds
   * @param namespace descriptor of the network namespace (default: one's own)
   */
  constructor(hotplugTimeoutMs: number, namespace?: number) {
    this.#namespace = namespace;
    this.#hotplugTimeoutMs = hotplugTimeoutMs;
  }

  /**
   * Gives the link with the interface's hardware address its name, addresses and settings, and brings it up.
   *
   * @param gone addresses that it had on the host and has no longer; others that it has are left alone
   */
  updateInterface(wanted: Interface, gone: readonly IPAddress[] = []): Promise<void> {
    return this.#alone(async (rtnetlink) => {
      const link = await this.#linkOf(rtnetlink, wanted);
      const renamed = wanted.name !== "" && wanted.name !== link.name;
      // A link that goes down loses its routes, and most of its IPv6 addresses: only for what needs it.
      if (link.up && renamed) await rtnetlink.setLink({ index: link.index, up: false });
      await keepToHostsAddresses(rtnetlink, link, wanted);
      for (const address of wanted.IPAddresses) await addAddress(rtnetlink, link, address);
      for (const address of gone) await removeAddress(rtnetlink, link, address);
      // with the first address of a network the kernel removes the others
      if (gone.length > 0) {
        for (const address of wanted.IPAddresses) await addAddress(rtnetlink, link, address);
      }
      const restore = renamed ? await makeWay(rtnetlink, wanted.name) : undefined;
      await rtnetlink.setLink({
        index: link.index,
        ...(renamed && { name: wanted.name }),
        ...(wanted.mtu > 0n && { mtu: Number(wanted.mtu) }),
        arp: (wanted.rawFlags & IFF.NOARP) === 0,
        up: true,
      });
      if (restore) await rtnetlink.setLink({ index: restore.index, name: link.name, up: true });
    });
  }

  /**
   * Adds or replaces routes, those without a gateway first: the others may need them.
   *
   * @param gone routes that were there on the host and are no longer; others are left alone
   */
  updateRoutes(routes: readonly WireRoute[], gone: readonly WireRoute[] = []): Promise<WireRoute[]> {
    return this.#alone(async (rtnetlink) => {
      const direct = routes.filter((route) => route.gateway === "");
      const indirect = routes.filter((route) => route.gateway !== "");
      for (const route of [...direct, ...indirect]) {
        const link = await requireLink(rtnetlink, route.device);
        try {
          await rtnetlink.replaceRoute(routeOf(route, link));
        } catch (error) {
          if (isErrno(error, "EEXIST")) continue;
          throw isErrno(error) ? routeError(route, error) : error;
        }
      }
      for (const route of gone) await removeRoute(rtnetlink, route);
      return await listRoutes(rtnetlink);
    });
  }

  /** Routes of the main table. */
  listRoutes(): Promise<WireRoute[]> {
    return this.#alone(listRoutes);
  }

  /** All links with their addresses. */
  listInterfaces(): Promise<Interface[]> {
    return this.#alone(async (rtnetlink) => {
      const addresses = await rtnetlink.addresses();
      return (await rtnetlink.links()).map((link) => ({
        device: link.name,
        name: link.name,
        IPAddresses: addresses.filter((address) => address.link === link.index).map((address) => ({
          family: familyOf(address.family),
          address: address.address,
          mask: String(address.prefixLength),
        })),
        mtu: BigInt(link.mtu),
        hwAddr: link.address.toUpperCase(),
        devicePath: "",
        type: link.kind ?? "",
        rawFlags: link.flags,
      }));
    });
  }

  /**
   * Adds or replaces entries of the neighbour table.
   *
   * @param gone entries to remove
   */
  addNeighbours(neighbours: readonly ARPNeighbor[], gone: readonly ARPNeighbor[] = []): Promise<void> {
    return this.#alone(async (rtnetlink) => {
      for (const { toIPAddress, device } of gone) {
        const link = await rtnetlink.findLink(device);
        if (!link || !toIPAddress) continue;
        await rtnetlink.deleteNeighbour({ link: link.index, address: toIPAddress.address })
          .catch((error) => ignore(error, "ENOENT"));
      }
      for (const { toIPAddress, device, lladdr, state, flags } of neighbours) {
        if (!toIPAddress) throw invalidArgument(`neighbour "${lladdr}" on "${device}" has no IP address`);
        const link = (await requireLink(rtnetlink, device)).index;
        await rtnetlink.replaceNeighbour({
          link,
          address: toIPAddress.address,
          hardwareAddress: lladdr,
          state: state === 0 ? NUD.PERMANENT : state,
          flags,
        });
      }
    });
  }

  /** Runs a request when those before it are done. Texts that are no addresses are the caller's mistake. */
  async #alone<T>(request: (rtnetlink: Rtnetlink) => Promise<T>): Promise<T> {
    const before = this.#last;
    const done = Promise.withResolvers<void>();
    this.#last = done.promise;
    await before;
    try {
      using rtnetlink = new Rtnetlink(this.#namespace);
      return await request(rtnetlink);
    } catch (error) {
      throw error instanceof RangeError ? invalidArgument(error.message, { cause: error }) : error;
    } finally {
      done.resolve();
    }
  }

  /** The link by its hardware address; one that is being plugged in is waited for. */
  async #linkOf(rtnetlink: Rtnetlink, wanted: Interface): Promise<Link> {
    const address = wanted.hwAddr.toLowerCase();
    const find = async () =>
      (await rtnetlink.links()).find((link) => address !== "" && link.address === address);
    const missing = () =>
      notFound(`no link has the hardware address "${wanted.hwAddr}" of interface "${wanted.name}"`);
    if (wanted.devicePath === "") {
      const link = await find();
      if (link) return link;
      throw missing();
    }
    // listened to before the first look, so that none is missed
    const changes = new NetworkChanges(RTMGRP.LINK, this.#namespace);
    const timer = new Timer(this.#hotplugTimeoutMs, () => changes.close());
    try {
      for (;;) {
        const link = await find();
        if (link) return link;
        await changes.next();
      }
    } catch (error) {
      throw isErrno(error, "EBADF") ? missing() : error;
    } finally {
      timer.cancel();
      changes.close();
    }
  }
}

/**
 * The host knows which address the link has for its own network; the kernel need not make one, and find out whether
 * somebody else has it.
 */
async function keepToHostsAddresses(rtnetlink: Rtnetlink, { index }: Link, wanted: Interface): Promise<void> {
  const isGiven = wanted.IPAddresses.some(({ address }) => /^fe80:/i.test(address));
  if (isGiven && hasIpv6()) await rtnetlink.setLink({ index, linkLocal: false });
}

async function addAddress(rtnetlink: Rtnetlink, link: Link, { address, mask }: IPAddress): Promise<void> {
  const prefix = parsePrefix(`${address}/${mask}`);
  const isIpv6 = address.includes(":");
  if (isIpv6 && !hasIpv6()) return;
  await rtnetlink.replaceAddress({
    link: link.index,
    address: prefix.address,
    prefixLength: prefix.length,
    // the host has it, and nobody else: it can be used at once
    ...(isIpv6 && { flags: IFA_F.PERMANENT | IFA_F.NODAD }),
  });
}

async function removeAddress(rtnetlink: Rtnetlink, link: Link, { address, mask }: IPAddress): Promise<void> {
  const prefix = parsePrefix(`${address}/${mask}`);
  await rtnetlink.deleteAddress({ link: link.index, address: prefix.address, prefixLength: prefix.length })
    .catch((error) => ignore(error, "EADDRNOTAVAIL"));
}

/** It may have gone with its link or address, or be another one by now. */
async function removeRoute(rtnetlink: Rtnetlink, route: WireRoute): Promise<void> {
  const link = route.device === "" ? undefined : await rtnetlink.findLink(route.device);
  if (!link) return;
  const { mtu: _mtu, flags: _flags, ...found } = routeOf(route, link);
  await rtnetlink.deleteRoute(found).catch((error) => ignore(error, "ESRCH"));
}

function ignore(error: unknown, ...codes: Parameters<typeof isErrno>[1][]): void {
  if (!isErrno(error, ...codes)) throw error;
}

/** Renames the link that has the name already; it gets another one when the name is free. */
async function makeWay(rtnetlink: Rtnetlink, name: string): Promise<Link | undefined> {
  const holder = name === "" ? undefined : await rtnetlink.findLink(name);
  if (!holder) return undefined;
  await rtnetlink.setLink({ index: holder.index, up: false });
  await rtnetlink.setLink({ index: holder.index, name: `_temp${holder.index}` });
  return holder;
}

async function requireLink(rtnetlink: Rtnetlink, name: string): Promise<Link> {
  const link = name === "" ? undefined : await rtnetlink.findLink(name);
  if (link) return link;
  throw notFound(`there is no interface "${name}" in the guest`);
}

function routeError(route: WireRoute, error: SysError): RpcError {
  const via = route.gateway === "" ? "" : ` via "${route.gateway}"`;
  const destination = route.dest === "" ? "default" : route.dest;
  const detail = /\(.*\)$/.exec(error.message)?.[0] ?? "";
  const message =
    `cannot set route "${destination}"${via} on interface "${route.device}": ${error.code} ${detail}`;
  return invalidArgument(message.trimEnd(), { cause: error });
}

function routeOf(route: WireRoute, link: Link): NewRoute {
  return {
    family: route.family === IPFamily.v6 ? AF.INET6 : AF.INET,
    ...(route.dest !== "" && { destination: route.dest }),
    ...(route.gateway !== "" && { gateway: route.gateway }),
    ...(route.source !== "" && { source: parsePrefix(route.source).address }),
    link: link.index,
    scope: route.scope,
    flags: route.flags,
    ...(route.mtu > 0 && { mtu: route.mtu }),
  };
}

async function listRoutes(rtnetlink: Rtnetlink): Promise<WireRoute[]> {
  const names = new Map((await rtnetlink.links()).map((link) => [link.index, link.name]));
  const routes = (await rtnetlink.routes()).filter((route) =>
    route.table === MAIN_TABLE && route.type === RTN_UNICAST
  );
  return routes.map((route) => wireRoute(route, names));
}

function wireRoute(route: Route, names: ReadonlyMap<number, string>): WireRoute {
  return {
    dest: route.destination ?? (route.family === AF.INET6 ? "::/0" : "0.0.0.0/0"),
    gateway: route.gateway ?? "",
    device: route.link === undefined ? "" : names.get(route.link) ?? "",
    source: route.source ?? "",
    scope: route.scope,
    family: familyOf(route.family),
    flags: route.flags,
    mtu: route.mtu ?? 0,
  };
}

function familyOf(family: number): IPFamily {
  return family === AF.INET6 ? IPFamily.v6 : IPFamily.v4;
}

/** Whether IPv6 is available: the kernel may be built or booted without it. */
function hasIpv6(): boolean {
  return ["all", "default"].some((name) => {
    try {
      return Deno.readTextFileSync(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`).trim() === "0";
    } catch {
      return false;
    }
  });
}

import { isErrno } from "../errors.ts";
import {
  checkName,
  deleteLinkRequest,
  type Link,
  linkByNameRequest,
  type LinkChange,
  linkChangeRequest,
  linkRequest,
  type NewLink,
  newLinkRequest,
  parseLink,
  RTM_LINK,
} from "./link.ts";
import { NLM } from "./message.ts";
import {
  type Address,
  addressListRequest,
  addressRequest,
  type Neighbour,
  neighbourListRequest,
  neighbourRequest,
  type NewAddress,
  type NewNeighbour,
  type NewRoute,
  parseAddress,
  parseNeighbour,
  parseRoute,
  type Route,
  routeListRequest,
  routeRequest,
  RTM,
} from "./route.ts";
import { NETLINK, NetlinkSocket } from "./socket.ts";

const ADD = NLM.CREATE | NLM.EXCL;
const REPLACE = NLM.CREATE | NLM.REPLACE;

const addressText = (address: NewAddress) =>
  `${address.address}/${address.prefixLength} on link ${address.link}`;

function routeText(route: NewRoute): string {
  const via = route.gateway === undefined ? "" : ` via ${route.gateway}`;
  const link = route.link === undefined ? "" : ` on link ${route.link}`;
  return (route.destination ?? "default") + via + link;
}

/**
 * Links, addresses, routes and neighbours of a network namespace.
 *
 * Errors are SysErrors named after the request (`RTM_NEWROUTE`) with the kernel's explanation, and RangeErrors for
 * addresses and names that are none.
 */
export class Rtnetlink implements Disposable {
  readonly #socket: NetlinkSocket;

  /** @param namespace path or descriptor of the network namespace; one's own if left out */
  constructor(namespace?: string | number) {
    this.#socket = new NetlinkSocket(NETLINK.ROUTE, namespace);
  }

  /** All links. */
  async links(): Promise<Link[]> {
    return (await this.#socket.dump("RTM_GETLINK", RTM_LINK.GET, linkRequest())).map(parseLink);
  }

  /** The link of that name; undefined if there is none. */
  async findLink(name: string): Promise<Link | undefined> {
    try {
      const [message] = await this.#socket.request(
        "RTM_GETLINK",
        RTM_LINK.GET,
        0,
        linkByNameRequest(name),
        name,
      );
      return message && parseLink(message);
    } catch (error) {
      if (isErrno(error, "ENODEV")) return undefined;
      throw error;
    }
  }

  /** Changes a link. A name can be changed while it is down (in newer kernels always). */
  async setLink(change: LinkChange): Promise<void> {
    const payload = linkChangeRequest(change);
    await this.#socket.request("RTM_NEWLINK", RTM_LINK.NEW, 0, payload, `link ${change.index}`);
  }

  /** Makes a link. */
  async addLink(link: NewLink): Promise<void> {
    await this.#socket.request("RTM_NEWLINK", RTM_LINK.NEW, ADD, newLinkRequest(link), checkName(link.name));
  }

  /** Removes a link. */
  async deleteLink(index: number): Promise<void> {
    await this.#socket.request("RTM_DELLINK", RTM_LINK.DEL, 0, deleteLinkRequest(index), `link ${index}`);
  }

  /** All addresses, of all links. */
  async addresses(): Promise<Address[]> {
    const messages = await this.#socket.dump("RTM_GETADDR", RTM.GETADDR, addressListRequest());
    return messages.map(parseAddress);
  }

  /** Adds an address. @throws {SysError} `EEXIST` if it is there */
  async addAddress(address: NewAddress): Promise<void> {
    const subject = addressText(address);
    await this.#socket.request("RTM_NEWADDR", RTM.NEWADDR, ADD, addressRequest(address), subject);
  }

  /** Adds an address, or changes the one that is there. */
  async replaceAddress(address: NewAddress): Promise<void> {
    const subject = addressText(address);
    await this.#socket.request("RTM_NEWADDR", RTM.NEWADDR, REPLACE, addressRequest(address), subject);
  }

  /** Removes an address. @throws {SysError} `EADDRNOTAVAIL` if it is not there */
  async deleteAddress(address: NewAddress): Promise<void> {
    const subject = addressText(address);
    await this.#socket.request("RTM_DELADDR", RTM.DELADDR, 0, addressRequest(address), subject);
  }

  /** All routes, of all tables and both families. */
  async routes(): Promise<Route[]> {
    const messages = await this.#socket.dump("RTM_GETROUTE", RTM.GETROUTE, routeListRequest());
    return messages.map(parseRoute);
  }

  /** Adds a route. @throws {SysError} `EEXIST` if it is there, `ENETUNREACH` if its gateway cannot be reached */
  async addRoute(route: NewRoute): Promise<void> {
    await this.#socket.request("RTM_NEWROUTE", RTM.NEWROUTE, ADD, routeRequest(route), routeText(route));
  }

  /** Adds a route, or replaces the one to the same destination with the same priority. */
  async replaceRoute(route: NewRoute): Promise<void> {
    await this.#socket.request("RTM_NEWROUTE", RTM.NEWROUTE, REPLACE, routeRequest(route), routeText(route));
  }

  /** Removes a route. @throws {SysError} `ESRCH` if it is not there */
  async deleteRoute(route: NewRoute): Promise<void> {
    await this.#socket.request("RTM_DELROUTE", RTM.DELROUTE, 0, routeRequest(route), routeText(route));
  }

  /** All neighbours of both families. */
  async neighbours(): Promise<Neighbour[]> {
    const messages = await this.#socket.dump("RTM_GETNEIGH", RTM.GETNEIGH, neighbourListRequest());
    return messages.map(parseNeighbour);
  }

  /** Adds a neighbour, or changes the one that is there. */
  async replaceNeighbour(neighbour: NewNeighbour): Promise<void> {
    const subject = `${neighbour.address} on link ${neighbour.link}`;
    await this.#socket.request("RTM_NEWNEIGH", RTM.NEWNEIGH, REPLACE, neighbourRequest(neighbour), subject);
  }

  /** Removes a neighbour. @throws {SysError} `ENOENT` if it is not there */
  async deleteNeighbour(neighbour: Pick<Neighbour, "link" | "address">): Promise<void> {
    const subject = `${neighbour.address} on link ${neighbour.link}`;
    await this.#socket.request("RTM_DELNEIGH", RTM.DELNEIGH, 0, neighbourRequest(neighbour), subject);
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

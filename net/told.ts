/**
 * What a guest was sent of its pod's network, so that removals can be sent, too.
 *
 * @module
 */

import type { ARPNeighbor, IPAddress, Route } from "../rpc/gen/types_pb.ts";
import type { Init } from "../rpc/message.ts";
import type { PodLink } from "./scan.ts";

/**
 * Compares the current network with what the guest was sent. A change counts as sent when the call has succeeded, so a
 * failed one is sent again.
 */
export class ToldNetwork {
  /** by the link's index */
  readonly #addresses = new Map<number, readonly Init<IPAddress>[]>();
  #routes: readonly Init<Route>[] = [];
  #neighbours: readonly Init<ARPNeighbor>[] = [];

  /** @param tell is given the addresses that the link has no longer */
  async addresses(
    { link: { index } }: PodLink,
    now: readonly Init<IPAddress>[],
    tell: (gone: Init<IPAddress>[]) => Promise<unknown>,
  ): Promise<void> {
    await tell(without(this.#addresses.get(index) ?? [], now, ({ address, mask }) => `${address}/${mask}`));
    this.#addresses.set(index, now);
  }

  /**
   * A route to the same place replaces the one that there was: only places count.
   *
   * @param tell is called unless there is nothing to say
   */
  async routes(
    now: readonly Init<Route>[],
    tell: (now: Init<Route>[], gone: Init<Route>[]) => Promise<unknown>,
  ): Promise<void> {
    const gone = without(this.#routes, now, ({ family, dest }) => `${family} ${dest}`);
    if (now.length + gone.length > 0) await tell([...now], gone);
    this.#routes = now;
  }

  /** @param tell is called unless there is nothing to say */
  async neighbours(
    now: readonly Init<ARPNeighbor>[],
    tell: (now: Init<ARPNeighbor>[], gone: Init<ARPNeighbor>[]) => Promise<unknown>,
  ): Promise<void> {
    const gone = without(
      this.#neighbours,
      now,
      ({ device, toIPAddress }) => `${device} ${toIPAddress?.address}`,
    );
    if (now.length + gone.length > 0) await tell([...now], gone);
    this.#neighbours = now;
  }

  /** The guest has lost a link, with its addresses; what led over it is gone by itself. */
  forget({ link }: PodLink): void {
    this.#addresses.delete(link.index);
  }
}

function without<T>(before: readonly T[], now: readonly T[], key: (one: T) => string): T[] {
  const there = new Set(now.map(key));
  return before.filter((one) => !there.has(key(one)));
}

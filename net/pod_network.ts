/**
 * The links of a pod's network namespace, each joined with a network device of the virtual machine.
 *
 * @module
 */

import { Code, RpcError } from "../rpc/errors.ts";
import { isErrno } from "../sys/errors.ts";
import { linkDriver } from "../sys/ethtool.ts";
import { O, openFd, OwnedFd } from "../sys/fd.ts";
import { Rtnetlink } from "../sys/netlink/rtnetlink.ts";
import { TC_H, TrafficControl } from "../sys/netlink/tc.ts";
import { kindOf, type LinkKind, type Model, modelFor } from "./kind.ts";
import type { PodNamespace } from "./namespace.ts";
import type { SavedNetwork } from "./saved.ts";
import { type PodLink, scanLinks } from "./scan.ts";
import { isWiring, planWiring, type RateLimits, unwire, wire, type WiringPlan } from "./wiring.ts";

/** A network device of the virtual machine, and what is behind it on the host. */
export interface Nic {
  readonly id: string;
  readonly mac: string;
  readonly backend:
    | { readonly kind: "tap"; readonly fds: readonly number[]; readonly vhostFds: readonly number[] }
    | { readonly kind: "vhost-user"; readonly socketPath: string };
}

/** How a pod's links are joined. */
export interface PodNetworkOptions {
  readonly namespace: PodNamespace;
  readonly model: Exclude<Model, "none">;
  /** queues of each device */
  readonly queues: number;
  /** whether the host's kernel may move packets, if it can */
  readonly vhost: boolean;
  readonly limits: RateLimits;
  /** writes down what has to be undone after a crash; is awaited before it is done */
  save(network: SavedNetwork): Promise<void>;
}

/** A link that is joined. */
export interface Endpoint {
  readonly number: number;
  readonly pod: PodLink;
  readonly nic: Nic;
}

/** What is different from what is joined. */
export interface Difference {
  readonly added: readonly PodLink[];
  readonly removed: readonly Endpoint[];
  /** endpoints whose links have other addresses, routes, neighbours or another size of packets, as they are now */
  readonly changed: readonly Endpoint[];
}

const VHOST_NET = "/dev/vhost-net";

interface Joined extends Endpoint {
  readonly plan: WiringPlan | undefined;
  readonly fds: readonly OwnedFd[];
}

/** All endpoints of a pod. */
export class PodNetwork implements AsyncDisposable {
  readonly #options: PodNetworkOptions;
  /** by the link's index */
  readonly #joined = new Map<number, Joined>();
  /** what is, or may be, done */
  #plans: readonly WiringPlan[] = [];

  constructor(options: PodNetworkOptions) {
    this.#options = options;
  }

  /** In the order of the links' names. */
  get endpoints(): Endpoint[] {
    return [...this.#joined.values()].sort((one, other) => one.pod.link.name < other.pod.link.name ? -1 : 1);
  }

  /** Looks at the namespace again. @throws {RpcError} `INVALID_ARGUMENT`: see {@linkcode scanLinks} */
  async look(): Promise<Difference> {
    const { namespace } = this.#options;
    const netlink = new Rtnetlink(namespace.fd);
    const isJoined = (index: number) => this.#joined.has(index);
    const { links, present } = await scanLinks(netlink, namespace.name, isWiring, isJoined)
      .finally(() => netlink.close());
    const added: PodLink[] = [];
    const changed: Endpoint[] = [];
    for (const pod of links) {
      const joined = this.#joined.get(pod.link.index);
      if (joined === undefined) added.push(pod);
      // a link below a macvtap has lost to it what the guest was told
      else if (joined.plan?.how !== "macvtap" && content(joined.pod) !== content(pod)) {
        const current = { ...joined, pod };
        this.#joined.set(pod.link.index, current);
        changed.push(current);
      }
    }
    const removed = [...this.#joined.values()].filter(({ pod }) => !present.has(pod.link.index));
    return { added, removed, changed };
  }

  /**
   * Joins a link. The descriptors of its device are good until {@linkcode handOver}.
   *
   * @throws {RpcError} a sentence that names the link; it is as it was then
   */
  async join(pod: PodLink): Promise<Endpoint> {
    const { namespace } = this.#options;
    const number = Math.max(-1, ...Array.from(this.#joined.values(), (joined) => joined.number)) + 1;
    try {
      const kind = kindOf(pod, linkDriver(pod.link.name, namespace.fd), namespace.name, isSocket);
      const joined = await this.#join(pod, kind, number);
      this.#joined.set(pod.link.index, joined);
      return joined;
    } catch (error) {
      if (!isErrno(error)) throw error;
      const message = `cannot join link "${pod.link.name}" of ${namespace.name}: ${error.message}`;
      throw new RpcError(Code.FailedPrecondition, message, { cause: error });
    }
  }

  /** Lets packets of the size pass that the link has now. */
  async adapt({ pod: { link } }: Endpoint): Promise<void> {
    const plan = this.#joined.get(link.index)?.plan;
    if (plan?.how !== "tcfilter") return;
    const netlink = new Rtnetlink(this.#options.namespace.fd);
    try {
      const device = await netlink.findLink(plan.device);
      if (device && device.mtu !== link.mtu) await netlink.setLink({ index: device.index, mtu: link.mtu });
    } finally {
      netlink.close();
    }
  }

  /** Undoes {@linkcode join}; the link may have gone. */
  async part(endpoint: Endpoint): Promise<void> {
    const { index } = endpoint.pod.link;
    const joined = this.#joined.get(index);
    if (joined === undefined) return;
    this.#joined.delete(index);
    for (const fd of joined.fds) fd.close();
    if (joined.plan) await this.#undo(joined.plan);
  }

  /** Closes our copies of the devices' descriptors: from now on devices end with the virtual machine. */
  handOver(): void {
    for (const { fds } of this.#joined.values()) for (const fd of fds) fd.close();
  }

  /** Undoes everything, and lets the namespace go. Safe to call again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.handOver();
    this.#joined.clear();
    // one that was made for the pod takes all that is in it along
    if (this.#options.namespace.given === undefined) this.#plans = [];
    for (const plan of this.#plans) await this.#undo(plan);
    this.#options.namespace.close();
  }

  async #join(pod: PodLink, kind: LinkKind, number: number): Promise<Joined> {
    const base = { number, pod, id: `net${number}` };
    const mac = pod.link.address;
    if (kind.kind === "vhost-user") {
      const backend = { kind: "vhost-user", socketPath: kind.socketPath } as const;
      return { ...base, nic: { id: base.id, mac, backend }, plan: undefined, fds: [] };
    }
    const { namespace, queues } = this.#options;
    const plan = await this.#plan(pod, kind.kind, number);
    await this.#save([...this.#plans, plan]);
    using taken = new DisposableStack();
    try {
      const fds = await wire(namespace.fd, plan, queues);
      for (const fd of fds) taken.use(fd);
      const vhost = this.#openVhost(fds.length);
      for (const fd of vhost) taken.use(fd);
      taken.move();
      const backend = {
        kind: "tap",
        fds: fds.map(({ fd }) => fd),
        vhostFds: vhost.map(({ fd }) => fd),
      } as const;
      return { ...base, nic: { id: base.id, mac, backend }, plan, fds: [...fds, ...vhost] };
    } catch (error) {
      taken.dispose();
      await this.#undo(plan);
      throw error;
    }
  }

  async #plan(pod: PodLink, kind: "ethernet" | "tap" | "macvtap", number: number): Promise<WiringPlan> {
    const { model, limits, namespace } = this.#options;
    const how = kind === "ethernet" ? modelFor(model, pod.link.kind) : "direct";
    const plan = planWiring(pod, how, number, limits);
    const control = new TrafficControl(namespace.fd);
    for (const { link, kind, parent, handle } of await control.qdiscs().finally(() => control.close())) {
      if (link !== pod.link.index) continue;
      const isIncoming = parent === TC_H.INGRESS && (how === "tcfilter" || plan.waiting !== undefined);
      const isOutgoing = parent === TC_H.ROOT && handle !== 0 && limits.tx > 0;
      if (!isIncoming && !isOutgoing) continue;
      throw new RpcError(
        Code.FailedPrecondition,
        `link "${pod.link.name}" of ${namespace.name} has traffic control of its own: it must not have a queue of kind "${kind}"`,
      );
    }
    return plan;
  }

  async #undo(plan: WiringPlan): Promise<void> {
    await unwire(this.#options.namespace.fd, plan);
    await this.#save(this.#plans.filter((other) => other !== plan));
  }

  async #save(plans: readonly WiringPlan[]): Promise<void> {
    const { namespace } = this.#options;
    if (namespace.given !== undefined) {
      await this.#options.save({ path: namespace.given, ...namespace.identity, plans });
    }
    this.#plans = plans;
  }

  /** The host's kernel has it, or not; both work. */
  #openVhost(count: number): OwnedFd[] {
    if (!this.#options.vhost) return [];
    using taken = new DisposableStack();
    const fds: OwnedFd[] = [];
    try {
      for (let i = 0; i < count; i++) fds.push(taken.use(new OwnedFd(openFd(VHOST_NET, O.RDWR))));
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENODEV", "ENXIO")) return [];
      throw error;
    }
    taken.move();
    return fds;
  }
}

/** What the guest knows of a link, to be compared. */
function content({ link, addresses, routes, neighbours }: PodLink): string {
  const texts = addresses.map(({ address, prefixLength }) => `${address}/${prefixLength}`).sort();
  return JSON.stringify([link.name, link.mtu, texts, routes, neighbours]);
}

function isSocket(path: string): boolean {
  try {
    return Deno.statSync(path).isSocket === true;
  } catch {
    return false;
  }
}

/**
 * The links of a pod's network namespace, each joined with a network device of the virtual machine.
 *
 * @module
 */

import { Code, RpcError } from "../rpc/errors.ts";
import { isErrno } from "../sys/errors.ts";
import { type LinkDriver, linkDriver } from "../sys/ethtool.ts";
import type { OwnedFd } from "../sys/fd.ts";
import { Rtnetlink } from "../sys/netlink/rtnetlink.ts";
import { PciBus } from "../sys/pci.ts";
import { TC_H, TrafficControl } from "../sys/netlink/tc.ts";
import { kindOf, type LinkKind, type Model, modelFor } from "./kind.ts";
import type { PodNamespace } from "./namespace.ts";
import type { Endpoint } from "./nic.ts";
import { checkDevice, type DriverPlan, returnDevice, takeDevice } from "./physical.ts";
import type { SavedNetwork } from "./saved.ts";
import { type PodLink, scanLinks } from "./scan.ts";
import { openVhost } from "./vhost.ts";
import { isWiring, planWiring, type RateLimits, unwire, wire, type WiringPlan } from "./wiring.ts";

/** How a pod's links are joined. */
export interface PodNetworkOptions {
  readonly namespace: PodNamespace;
  readonly model: Exclude<Model, "none">;
  /** queues of each device */
  readonly queues: number;
  /** whether the host's kernel may move packets, if it can */
  readonly vhost: boolean;
  readonly limits: RateLimits;
  /** whether links that are devices of the host may be handed over: at boot, and later */
  readonly hostDevices: { readonly atBoot: boolean; readonly later: boolean };
  /** default: the host's */
  readonly pciBus?: PciBus;
  /** who drives a link; default: asks the kernel */
  driverOf?(name: string, namespace: number): LinkDriver | undefined;
  /** writes down what has to be undone after a crash; is awaited before it is done */
  save(network: SavedNetwork): Promise<void>;
}

/** What is different from what is joined. */
export interface Difference {
  readonly added: readonly PodLink[];
  readonly removed: readonly Endpoint[];
  /** endpoints whose links have other addresses, routes, neighbours or another size of packets, as they are now */
  readonly changed: readonly Endpoint[];
}

interface Joined extends Endpoint {
  readonly plan: WiringPlan | undefined;
  /** of a link that is a device of the host, which is gone while the machine has it */
  readonly device?: DriverPlan;
  readonly fds: readonly OwnedFd[];
}

/** All endpoints of a pod. */
export class PodNetwork implements AsyncDisposable {
  readonly #options: PodNetworkOptions;
  /** by the link's index */
  readonly #joined = new Map<number, Joined>();
  /** what is, or may be, done */
  #plans: readonly WiringPlan[] = [];
  #devices: readonly DriverPlan[] = [];
  #isBooted = false;

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
    const removed = [...this.#joined.values()].filter(({ pod, device }) =>
      device === undefined && !present.has(pod.link.index)
    );
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
      const driver = (this.#options.driverOf ?? linkDriver)(pod.link.name, namespace.fd);
      const kind = kindOf(pod, driver, namespace.name, isSocket);
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
    using netlink = new Rtnetlink(this.#options.namespace.fd);
    const device = await netlink.findLink(plan.device);
    if (device && device.mtu !== link.mtu) await netlink.setLink({ index: device.index, mtu: link.mtu });
  }

  /** Undoes {@linkcode join}; the link may have gone. */
  async part(endpoint: Endpoint): Promise<void> {
    const { index } = endpoint.pod.link;
    const joined = this.#joined.get(index);
    if (joined === undefined) return;
    this.#joined.delete(index);
    for (const fd of joined.fds) fd.close();
    if (joined.plan) await this.#undo(joined.plan);
    if (joined.device) await this.#return(joined.device);
  }

  /** Closes our copies of the devices' descriptors: from now on devices end with the virtual machine. */
  handOver(): void {
    this.#isBooted = true;
    for (const { fds } of this.#joined.values()) for (const fd of fds) fd.close();
  }

  /** Undoes everything, and lets the namespace go. What cannot be undone keeps nothing else. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.handOver();
    this.#joined.clear();
    // one that was made for the pod takes all that is in it along
    if (this.#options.namespace.given === undefined) this.#plans = [];
    await using rest = new AsyncDisposableStack();
    rest.defer(() => this.#options.namespace.close());
    for (const device of this.#devices) rest.defer(() => this.#return(device));
    for (const plan of this.#plans) rest.defer(() => this.#undo(plan));
  }

  async #join(pod: PodLink, kind: LinkKind, number: number): Promise<Joined> {
    const base = { number, pod, id: `net${number}` };
    const mac = pod.link.address;
    if (kind.kind === "vhost-user") {
      const backend = { kind: "vhost-user", socketPath: kind.socketPath } as const;
      return { ...base, nic: { id: base.id, mac, backend }, plan: undefined, fds: [] };
    }
    if (kind.kind === "physical") return await this.#take(pod, kind, base);
    const { namespace, queues } = this.#options;
    const plan = await this.#plan(pod, kind.kind, number);
    await this.#save([...this.#plans, plan], this.#devices);
    using taken = new DisposableStack();
    try {
      const fds = await wire(namespace.fd, plan, queues);
      for (const fd of fds) taken.use(fd);
      const vhost = this.#options.vhost ? openVhost(fds.length) : [];
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
    await this.#save(this.#plans.filter((other) => other !== plan), this.#devices);
  }

  /** A device that the machine gets is taken from its driver, and with it its link from the namespace. */
  async #take(
    pod: PodLink,
    { address, driver }: Extract<LinkKind, { kind: "physical" }>,
    base: Pick<Joined, "number" | "pod"> & { id: string },
  ): Promise<Joined> {
    const { hostDevices: { atBoot, later }, namespace, pciBus: bus = new PciBus() } = this.#options;
    const link = `"${pod.link.name}" of ${namespace.name}`;
    if (this.#isBooted ? !later : !atBoot && !later) {
      const keys = this.#isBooted ? "hot_plug_vfio" : "cold_plug_vfio or hot_plug_vfio";
      throw new RpcError(
        Code.FailedPrecondition,
        `link ${link} is the device ${address} of driver "${driver}", which needs a port: ${keys} must not be "no-port"`,
      );
    }
    // the link's own driver may stand above that of the bus, as with virtio
    const plan = { address, driver: bus.driverOf(address) ?? driver };
    checkDevice(plan, link, bus);
    const device = { address, iommufd: false, memory: bus.memoryOf(address) };
    await this.#save(this.#plans, [...this.#devices, plan]);
    try {
      takeDevice(plan, link, bus);
    } catch (error) {
      await this.#return(plan);
      throw error;
    }
    const nic = { id: base.id, mac: pod.link.address, backend: { kind: "host-device", device } } as const;
    return { ...base, nic, plan: undefined, device: plan, fds: [] };
  }

  async #return(device: DriverPlan): Promise<void> {
    returnDevice(device, this.#options.pciBus);
    await this.#save(this.#plans, this.#devices.filter((other) => other !== device));
  }

  /** Links of a namespace that was made for the pod end with it; devices of the host do not. */
  async #save(plans: readonly WiringPlan[], devices: readonly DriverPlan[]): Promise<void> {
    const { namespace } = this.#options;
    if (namespace.given !== undefined || devices.length + this.#devices.length > 0) {
      await this.#options.save({ path: namespace.given ?? "", ...namespace.identity, plans, devices });
    }
    [this.#plans, this.#devices] = [plans, devices];
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

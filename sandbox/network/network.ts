/**
 * The pod's network: the namespace it is in, and its links, each of which becomes a network device of the virtual
 * machine that has the link's name, addresses, routes and neighbours in the guest.
 *
 * @module
 */

import type { Config } from "../../config/schema.ts";
import type { DanNetwork } from "../../net/dan_network.ts";
import { PodNamespace } from "../../net/namespace.ts";
import type { Endpoint } from "../../net/nic.ts";
import type { PodNetwork, PodNetworkOptions } from "../../net/pod_network.ts";
import type { SavedNetwork } from "../../net/saved.ts";
import type { PodLink } from "../../net/scan.ts";
import type { ToldNetwork } from "../../net/told.ts";
import type { Spec } from "../../oci/spec.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import { isErrno } from "../../sys/errors.ts";
import type { NetworkChanges } from "../../sys/netlink/changes.ts";
import type { Nic, Vm } from "../../vm/vmm.ts";
import { type AgentClient, CALL_TIMEOUT_MS } from "../guest/agent_client.ts";
import { type Log, reason } from "../log/log.ts";
import { sandboxPolicy } from "../policy.ts";
import { pause } from "../timing.ts";

/** What a network is made for. */
export interface NetworkOptions {
  /** id of the sandbox */
  readonly id: string;
  readonly spec: Spec;
  readonly config: Config;
  /** queues of each device: one for each processor */
  readonly queues: number;
  readonly log: Log;
  /** default: what the kernel says about links and devices */
  readonly hardware?: Pick<PodNetworkOptions, "pciBus" | "driverOf">;
  /** writes down what has to be undone after a crash */
  save(network: SavedNetwork): Promise<void>;
}

/** Where changes of the network are sent. */
export interface NetworkTarget {
  readonly vm: Pick<Vm, "nics">;
  readonly client: Pick<AgentClient, "agent">;
}

/** What a network may consist of. */
interface NetworkParts {
  readonly namespace?: PodNamespace;
  readonly network?: PodNetwork;
  readonly described?: DanNetwork | undefined;
  readonly changes?: NetworkChanges;
}

/** How long a namespace must have been left alone until it is looked at, in milliseconds: set-ups take several steps. */
const SETTLE_MS = 50;

const LIMIT = { timeoutMs: CALL_TIMEOUT_MS };

/** The network of a sandbox. */
export class SandboxNetwork implements AsyncDisposable {
  readonly #options: NetworkOptions;
  readonly #namespace: PodNamespace | undefined;
  /** undefined: no link is joined, and none will be */
  readonly #network: PodNetwork | undefined;
  /** devices that a file describes; there are no others then */
  readonly #described: DanNetwork | undefined;
  readonly #changes: NetworkChanges | undefined;
  readonly #ended = new AbortController();
  /** links that could not be joined: another try needs another look of theirs */
  readonly #refused = new Map<number, { readonly look: string; readonly error: unknown }>();
  #target: NetworkTarget | undefined;
  /** what the guest knows */
  #told: ToldNetwork | undefined;
  #last: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  private constructor(options: NetworkOptions, parts: NetworkParts = {}) {
    this.#options = options;
    this.#namespace = parts.namespace;
    this.#network = parts.network;
    this.#described = parts.described;
    this.#changes = parts.changes;
  }

  /**
   * Takes the namespace that the client has made, or makes one, and joins the links that are there; or takes the
   * devices that a file describes.
   *
   * @throws {RpcError} a sentence that names the namespace, link or route at fault; everything is as it was then
   */
  static async open(options: NetworkOptions): Promise<SandboxNetwork> {
    const { spec, config, queues, log, save } = options;
    const { hostDevices, network: { model, leavesHost, vhost, limits } } = sandboxPolicy(config);
    await using taken = new AsyncDisposableStack();
    const described = await openDescribed(options);
    if (described) taken.use(described);
    if (!leavesHost) {
      taken.move();
      return new SandboxNetwork(options, { described });
    }
    const given = spec.linux?.namespaces?.find(({ type }) => type === "network")?.path ?? "";
    const namespace = taken.use(given === "" ? PodNamespace.make() : PodNamespace.open(given));
    if (described) {
      taken.move();
      return new SandboxNetwork(options, { namespace, described });
    }
    if (model === "none") {
      await reportLinks(namespace, log);
      taken.move();
      return new SandboxNetwork(options, { namespace });
    }
    const [{ PodNetwork }, { NetworkChanges, RTMGRP }] = await Promise.all([
      import("../../net/pod_network.ts"),
      import("../../sys/netlink/changes.ts"),
    ]);
    const network = taken.use(
      new PodNetwork({
        namespace,
        model,
        queues,
        vhost,
        limits,
        hostDevices,
        ...options.hardware,
        save,
      }),
    );
    const groups = RTMGRP.LINK | RTMGRP.NEIGH | RTMGRP.IPV4_IFADDR | RTMGRP.IPV6_IFADDR | RTMGRP.IPV4_ROUTE |
      RTMGRP.IPV6_ROUTE;
    const changes = taken.use(new NetworkChanges(groups, namespace.fd));
    // one that was just made has no links
    const { added } = given === "" ? { added: [] } : await network.look();
    for (const pod of added) await network.join(pod);
    taken.move();
    return new SandboxNetwork(options, { namespace, network, changes });
  }

  /** A path to the namespace, for processes that belong into it; undefined: they stay where this one is. */
  get path(): string | undefined {
    return this.#namespace?.path;
  }

  /** The path to it that the client gave. */
  get given(): string | undefined {
    return this.#namespace?.given;
  }

  /** What the machine has at boot. Their descriptors are good until {@linkcode attach}. */
  get nics(): readonly Nic[] {
    return (this.#network ?? this.#described)?.endpoints.map(({ nic }) => nic) ?? [];
  }

  /**
   * Configures the guest's network. From now on, links that are added, changed or removed are updated in the guest.
   *
   * @throws {RpcError} what the guest says
   */
  async attach(target: NetworkTarget): Promise<void> {
    const network = this.#network ?? this.#described;
    if (network === undefined) return;
    network.handOver();
    this.#target = target;
    const links: [PodLink, string][] = [];
    for (const { pod, nic } of network.endpoints) {
      // its driver may take a while, for which the guest waits if it knows where the device is
      const isHosts = nic.backend.kind === "host-device";
      links.push([pod, isHosts ? await target.vm.nics?.pathOf(nic.id) ?? "" : ""]);
    }
    if (links.length > 0) await this.#tell(links);
    if (this.#network) this.#follow().catch((error) => this.#warn(error));
  }

  /**
   * Scans the namespace now: engines that set up a pod's network between create and start expect it in the guest.
   *
   * @throws {RpcError} a link cannot be joined, or the guest refuses the update
   */
  async settle(): Promise<void> {
    await this.#inTurn(() => this.#sync());
    const [refused] = this.#refused.values();
    if (refused !== undefined) throw refused.error;
  }

  /**
   * Tells the guest of links whose devices a container has brought.
   *
   * @param paths where the guest finds devices of the host, by their addresses
   * @throws {RpcError} what the guest says
   */
  async devicesCame(paths: ReadonlyMap<string, string>): Promise<void> {
    const news = this.#described?.came(paths) ?? [];
    if (news.length > 0) await this.#inTurn(() => this.#tell(news));
  }

  /** A device of the host is in the machine no longer. */
  deviceWent(address: string): void {
    const pod = this.#described?.went(address);
    if (pod) this.#told?.forget(pod);
  }

  /** While the pod runs, a link that cannot be connected is logged, and the pod goes on without it. */
  #inTurn(action: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(action);
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** Undoes everything on the host. The machine must have ended. Safe to call again. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#ended.abort();
    this.#changes?.close();
    await this.#last;
    await using rest = new AsyncDisposableStack();
    rest.use(this.#namespace);
    rest.use(this.#described);
    rest.use(this.#network);
  }

  async #follow(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      try {
        await this.#changes?.next();
      } catch (error) {
        if (signal.aborted && isErrno(error, "EBADF")) return;
        throw error;
      }
      await pause(SETTLE_MS, signal).catch(() => {});
      await this.#inTurn(() => this.#sync()).catch((error) => this.#warn(error));
    }
  }

  async #sync(): Promise<void> {
    const [network, target] = [this.#network, this.#target];
    if (network === undefined || target === undefined || this.#ended.signal.aborted) return;
    const { added, removed, changed } = await network.look();
    const there = new Set(added.map(({ link }) => link.index));
    for (const index of this.#refused.keys()) if (!there.has(index)) this.#refused.delete(index);
    for (const endpoint of removed) await this.#remove(network, target, endpoint);
    const paths = new Map<Endpoint, string>();
    for (const pod of added) {
      const plugged = await this.#add(network, target, pod);
      if (plugged) paths.set(...plugged);
    }
    for (const endpoint of changed) await network.adapt(endpoint);
    const news = [...changed, ...paths.keys()].map((endpoint): [PodLink, string] => [
      endpoint.pod,
      paths.get(endpoint) ?? "",
    ]);
    // a removed route may have been the best of several to its destination
    if (news.length + removed.length > 0) await this.#tell(news);
  }

  /** @returns the endpoint, and where the guest finds its device; undefined if it cannot be plugged in */
  async #add(
    network: PodNetwork,
    target: NetworkTarget,
    pod: PodLink,
  ): Promise<[Endpoint, string] | undefined> {
    const { name, index } = pod.link;
    const look = JSON.stringify(pod);
    if (this.#refused.get(index)?.look === look) return undefined;
    let endpoint: Endpoint | undefined;
    try {
      const plugs = target.vm.nics;
      if (plugs === undefined) throw new Error("this machine has no hotplug");
      endpoint = await network.join(pod);
      const path = await plugs.add(endpoint.nic);
      network.handOver();
      this.#refused.delete(index);
      this.#options.log.write("info", `link "${name}" was plugged into the virtual machine`);
      return [endpoint, path];
    } catch (cause) {
      if (endpoint) await network.part(endpoint);
      const message = `cannot plug link "${name}" into the virtual machine: ${reason(cause)}`;
      this.#refused.set(index, { look, error: new RpcError(Code.FailedPrecondition, message, { cause }) });
      this.#options.log.write("error", message);
      return undefined;
    }
  }

  async #remove(network: PodNetwork, target: NetworkTarget, endpoint: Endpoint): Promise<void> {
    const { name } = endpoint.pod.link;
    try {
      await target.vm.nics?.remove(endpoint.nic.id);
      this.#options.log.write("info", `link "${name}" was taken from the virtual machine`);
    } catch (error) {
      this.#options.log.write(
        "error",
        `cannot take link "${name}" from the virtual machine: ${reason(error)}`,
      );
    }
    await network.part(endpoint);
    this.#told?.forget(endpoint.pod);
  }

  /**
   * Interfaces first, then routes over them, as these need the addresses.
   *
   * @param news links, each with where its device was plugged in, if it was not there at boot
   */
  async #tell(news: readonly (readonly [PodLink, path: string])[]): Promise<void> {
    const target = this.#target;
    if (target === undefined) return;
    const [{ guestInterface, guestNeighbours, guestRoutes }, { ToldNetwork }] = await Promise.all([
      import("../../net/guest_view.ts"),
      import("../../net/told.ts"),
    ]);
    const told = this.#told ??= new ToldNetwork();
    const { agent } = target.client;
    for (const [pod, path] of news) {
      const wanted = guestInterface(pod, path);
      await told.addresses(
        pod,
        wanted.IPAddresses ?? [],
        (gone) => agent.updateInterface({ interface: wanted, gone }, LIMIT),
      );
    }
    // of all links, as the best route to a place may have become another
    const all = this.#described?.links ?? this.#network?.endpoints.map(({ pod }) => pod) ?? [];
    await told.routes(
      guestRoutes(all),
      (Routes, gone) => agent.updateRoutes({ routes: { Routes }, gone }, LIMIT),
    );
    await told.neighbours(
      guestNeighbours(all),
      (ARPNeighbors, gone) => agent.addARPNeighbors({ neighbors: { ARPNeighbors }, gone }, LIMIT),
    );
  }

  #warn(error: unknown): void {
    this.#options.log.write("error", `the pod's network: ${reason(error)}`);
  }
}

/** The devices that a file describes, if there is one for the sandbox. */
async function openDescribed({ id, config, log }: NetworkOptions): Promise<DanNetwork | undefined> {
  const { described: folder, vhost } = sandboxPolicy(config).network;
  if (folder === "") return undefined;
  const { readDan } = await import("../../net/dan.ts");
  const dan = await readDan(folder, id);
  if (dan === undefined) return undefined;
  const { DanNetwork } = await import("../../net/dan_network.ts");
  const onLog = (line: string) => log.write("warning", line);
  return await DanNetwork.open({ dan, vhost, onLog });
}

/** Says, once per sandbox, that a network which was set up for it does not reach into the guest. */
async function reportLinks(namespace: PodNamespace, log: Log): Promise<void> {
  if (namespace.given === undefined) return;
  const { Rtnetlink } = await import("../../sys/netlink/rtnetlink.ts");
  const netlink = new Rtnetlink(namespace.fd);
  const links = (await netlink.links().finally(() => netlink.close())).filter(({ flags }) =>
    (flags & IFF_LOOPBACK) === 0
  );
  if (links.length === 0) return;
  const names = links.map(({ name }) => `"${name}"`).join(", ");
  log.write("warning", `the guest has no network: links of ${namespace.name} are not connected: ${names}`);
}

const IFF_LOOPBACK = 0x8;

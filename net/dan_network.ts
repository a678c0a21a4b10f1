/**
 * Network devices of a sandbox that a file describes: opened as they are, and left as they were.
 *
 * @module
 */

import { Code, RpcError } from "../rpc/errors.ts";
import { isErrno } from "../sys/errors.ts";
import { O, openFd, OwnedFd } from "../sys/fd.ts";
import { Rtnetlink } from "../sys/netlink/rtnetlink.ts";
import { openTap } from "../sys/tun.ts";
import type { Dan, DanBackend } from "./dan.ts";
import type { Endpoint } from "./nic.ts";
import type { PodLink } from "./scan.ts";
import { openVhost } from "./vhost.ts";
import { randomMac } from "./wiring.ts";

/** What they are opened with. */
export interface DanOptions {
  readonly dan: Dan;
  /** whether the host's kernel may move packets, if it can */
  readonly vhost: boolean;
  readonly onLog: (line: string) => void;
}

/** This program's own. */
const OWN_NAMESPACE = "/proc/self/ns/net";

const ARPHRD_ETHER = 1;

type Tap = Extract<DanBackend, { kind: "tap" }>;

/** All devices of a file. */
export class DanNetwork implements Disposable {
  readonly #endpoints: readonly Endpoint[];
  /** links that are there when a container has brought their devices, by these devices' addresses on the host */
  readonly #awaited: ReadonlyMap<string, PodLink>;
  readonly #fds: DisposableStack;
  readonly #came = new Map<string, PodLink>();

  private constructor(
    endpoints: readonly Endpoint[],
    awaited: ReadonlyMap<string, PodLink>,
    fds: DisposableStack,
  ) {
    this.#endpoints = endpoints;
    this.#awaited = awaited;
    this.#fds = fds;
  }

  /** @throws {RpcError} `FAILED_PRECONDITION`: a sentence that names the device */
  static async open({ dan, vhost, onLog }: DanOptions): Promise<DanNetwork> {
    using fds = new DisposableStack();
    const endpoints: Endpoint[] = [];
    const awaited = new Map<string, PodLink>();
    for (const { pod, backend } of dan.devices) {
      if (backend.kind === "vfio") {
        awaited.set(backend.address, pod);
        continue;
      }
      const number = endpoints.length;
      const link = pod.link.address === "" ? { ...pod.link, address: randomMac() } : pod.link;
      const base = { id: `net${number}`, mac: link.address, queueSize: backend.queueSize };
      if (backend.kind === "vhost-user") {
        const opened = { kind: "vhost-user", socketPath: backend.path, queues: backend.queues } as const;
        endpoints.push({ number, pod: { ...pod, link }, nic: { ...base, backend: opened } });
        continue;
      }
      const taps = await openExisting(backend, dan.netns ?? OWN_NAMESPACE, onLog);
      for (const fd of taps) fds.use(fd);
      const kernel = vhost ? openVhost(taps.length) : [];
      for (const fd of kernel) fds.use(fd);
      const opened = {
        kind: "tap",
        fds: taps.map(({ fd }) => fd),
        vhostFds: kernel.map(({ fd }) => fd),
      } as const;
      endpoints.push({ number, pod: { ...pod, link }, nic: { ...base, backend: opened } });
    }
    return new DanNetwork(endpoints, awaited, fds.move());
  }

  /** Those that the machine has at boot. */
  get endpoints(): readonly Endpoint[] {
    return this.#endpoints;
  }

  /** All links that the guest has by now. */
  get links(): PodLink[] {
    return [...this.#endpoints.map(({ pod }) => pod), ...this.#came.values()];
  }

  /** @returns the links of devices that a container has brought, with where the guest finds them */
  came(paths: ReadonlyMap<string, string>): [PodLink, path: string][] {
    return Array.from(paths).flatMap(([address, path]): [PodLink, string][] => {
      const pod = this.#awaited.get(address);
      if (pod === undefined) return [];
      this.#came.set(address, pod);
      return [[pod, path]];
    });
  }

  /** A device is gone from the machine. @returns its link, if it had one */
  went(address: string): PodLink | undefined {
    const pod = this.#came.get(address);
    this.#came.delete(address);
    return pod;
  }

  /** Closes our copies of the devices' descriptors. */
  handOver(): void {
    this.#fds.dispose();
  }

  /** The taps stay as somebody else has made them. */
  [Symbol.dispose](): void {
    this.handOver();
  }
}

/** A tap that is not there is not made: nobody would be at its other end. */
async function openExisting(
  { name, queues }: Tap,
  netns: string,
  onLog: DanOptions["onLog"],
): Promise<OwnedFd[]> {
  const refused = (why: string, cause?: unknown) => {
    const where = netns === OWN_NAMESPACE ? "the host" : `network namespace "${netns}"`;
    return new RpcError(Code.FailedPrecondition, `tap "${name}" of ${where} cannot be used: ${why}`, {
      cause,
    });
  };
  using held = new DisposableStack();
  using opened = new DisposableStack();
  try {
    const namespace = held.use(new OwnedFd(openFd(netns, O.RDONLY))).fd;
    const netlink = held.use(new Rtnetlink(namespace));
    const link = await netlink.findLink(name);
    if (link === undefined) throw refused("it does not exist");
    if (link.kind !== "tun" || link.hardware !== ARPHRD_ETHER) {
      throw refused(`it is ${link.kind === undefined ? "a device" : `of kind "${link.kind}"`}, and no tap`);
    }
    const open = (count: number) => openTap({ name, queues: count, namespace, exclusive: false });
    let fds: OwnedFd[];
    try {
      fds = open(queues);
    } catch (error) {
      if (queues === 1 || !isErrno(error, "EINVAL", "E2BIG")) throw error;
      onLog(`tap "${name}" has one queue, and not ${queues}`);
      fds = open(1);
    }
    for (const fd of fds) opened.use(fd);
    await netlink.setLink({ index: link.index, up: true });
    opened.move();
    return fds;
  } catch (error) {
    if (isErrno(error)) throw refused(error.message, error);
    throw error;
  }
}

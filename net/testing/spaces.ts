/** For tests: a pod's network namespace and the one at the other end of its cables. */

import { TestNamespace } from "../../sys/test_helpers.ts";
import { PodNamespace } from "../namespace.ts";
import { PodNetwork, type PodNetworkOptions } from "../pod_network.ts";
import type { SavedNetwork } from "../saved.ts";

/** Two namespaces that veths can be laid between. */
export class TestSpaces implements Disposable {
  readonly pod = new TestNamespace();
  readonly outside = new TestNamespace();
  /** what was saved last */
  saved: SavedNetwork | undefined;

  /** Lays a cable: `name` in the pod, `<name>-out` at the other end. */
  async veth(name: string, mac: string, ...addresses: readonly string[]): Promise<void> {
    await this.pod.ip(`link add ${name} address ${mac} type veth peer name ${name}-out`);
    await this.pod.ip(`link set ${name}-out netns ${this.outside.path}`);
    // addresses that the kernel makes by itself come when it likes
    await this.pod.ip(`link set ${name} addrgenmode none`);
    await this.outside.ip(`link set ${name}-out addrgenmode none`);
    await this.outside.ip(`link set ${name}-out up`);
    for (const address of addresses) {
      await this.pod.ip(`address add ${address} dev ${name}${address.includes(":") ? " nodad" : ""}`);
    }
    await this.pod.ip(`link set ${name} up`);
  }

  network(change: Partial<PodNetworkOptions> = {}): PodNetwork {
    return new PodNetwork({
      namespace: PodNamespace.open(this.pod.path),
      model: "tcfilter",
      queues: 1,
      vhost: true,
      limits: { rx: 0, tx: 0 },
      hostDevices: { atBoot: false, later: false },
      save: (saved) => {
        this.saved = saved;
        return Promise.resolve();
      },
      ...change,
    });
  }

  /** Everything that is set in the pod's namespace, one entry per line. */
  async state(): Promise<string[]> {
    const commands = ["ip -o link", "ip -o address", "ip route", "ip -6 route", "tc qdisc", "tc class"];
    const texts = await Promise.all(commands.map((command) => this.pod.run("sh", "-c", command)));
    // flags of a moment, and time that passes
    const stable = (line: string) =>
      line.replaceAll(/NO-CARRIER,|state \S+|valid_lft \S+|preferred_lft \S+|qlen \d+/g, "").trim();
    return texts.flatMap((text) => text.split("\n")).map(stable).filter((line) => line !== "").sort();
  }

  [Symbol.dispose](): void {
    this.pod[Symbol.dispose]();
    this.outside[Symbol.dispose]();
  }
}

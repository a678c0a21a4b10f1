/**
 * Networks for pods: a namespace for the pod, one for the world outside, and cables between them.
 *
 * @module
 */

import { run, TestNamespace } from "../../sys/test_helpers.ts";
import { until } from "./containerd.ts";

/** A pod's namespace and the world outside. */
export class Cables implements AsyncDisposable {
  readonly pod = new TestNamespace();
  readonly outside = new TestNamespace();
  readonly #servers: Deno.ChildProcess[] = [];

  /**
   * Lays a cable that ends at a bridge outside; its addresses are `10.<n>.0.2/24` and `fd<n>::2/64`, the bridge's end in
   * 1.
   *
   * @param netns where it begins
   */
  async lay(name: string, n: number, netns = this.pod.path): Promise<void> {
    const ip = async (...commands: string[]) => {
      for (const command of commands) await run("nsenter", [`--net=${netns}`, "ip", ...command.split(" ")]);
    };
    const bridge = `br${n}`;
    await this.outside.ip(
      `link add ${bridge} type bridge`,
      `address add 10.${n}.0.1/24 dev ${bridge}`,
      `address add fd${n}::1/64 dev ${bridge} nodad`,
      `link set ${bridge} up`,
      "link set lo up",
    );
    await ip(
      `link add ${name} address 02:00:00:00:00:${n} type veth peer name out${n}`,
      `link set out${n} netns ${this.outside.path}`,
      `address add 10.${n}.0.2/24 dev ${name}`,
      `address add fd${n}::2/64 dev ${name} nodad`,
      `link set ${name} up`,
    );
    await this.outside.ip(`link set out${n} master ${bridge} up`);
    await this.#isUp(name, netns);
  }

  /** Waits for the address that the kernel gives a link once it has noticed that the other end is up. */
  async #isUp(name: string, netns: string): Promise<void> {
    const show = ["ip", "-6", "-o", "address", "show", "dev", name, "scope", "link"];
    await until(
      `"${name}" is up`,
      async () => (await run("nsenter", [`--net=${netns}`, ...show])).trim() !== "",
    );
  }

  /**
   * Gives the pod a link on top of one that is outside, as a network plug-in does with a card of the host's; addresses as
   * with {@linkcode lay}.
   */
  async layOnTop(kind: "macvlan" | "macvtap", name: string, n: number): Promise<void> {
    await this.outside.ip(
      `link add card${n} type veth peer name out${n}`,
      `address add 10.${n}.0.1/24 dev out${n}`,
      `address add fd${n}::1/64 dev out${n} nodad`,
      `link set out${n} up`,
      `link set card${n} up`,
      `link add link card${n} name ${name} address 02:00:00:00:00:${n} type ${kind} mode bridge`,
      `link set ${name} netns ${this.pod.path}`,
    );
    await this.pod.ip(
      `address add 10.${n}.0.2/24 dev ${name}`,
      `address add fd${n}::2/64 dev ${name} nodad`,
      `link set ${name} up`,
    );
    await this.#isUp(name, this.pod.path);
  }

  /** Gives the pod a tap whose frames go outside and come from there, without a bridge; addresses as with {@linkcode lay}. */
  async layTap(name: string, n: number): Promise<void> {
    await this.outside.ip(
      `link add out${n} type veth peer name way${n}`,
      `link set way${n} netns ${this.pod.path}`,
      `address add 10.${n}.0.1/24 dev out${n}`,
      `address add fd${n}::1/64 dev out${n} nodad`,
      `link set out${n} up`,
    );
    await this.pod.ip(
      `tuntap add ${name} mode tap`,
      `link set ${name} address 02:00:00:00:00:${n}`,
      `address add 10.${n}.0.2/24 dev ${name}`,
      `address add fd${n}::2/64 dev ${name} nodad`,
      `link set way${n} addrgenmode none`,
      `link set way${n} up`,
    );
    for (const [from, to] of [[name, `way${n}`], [`way${n}`, name]] as const) {
      const redirect = "protocol all u32 match u32 0 0 action mirred egress redirect dev".split(" ");
      await this.pod.run("tc", "qdisc", "add", "dev", from, "ingress");
      await this.pod.run("tc", "filter", "add", "dev", from, "parent", "ffff:", ...redirect, to);
    }
  }

  /** Serves a folder by HTTP outside, over both versions of IP. */
  serve(folder: string): void {
    const args = [`--net=${this.outside.path}`, "busybox", "httpd", "-f", "-p", "[::]:80", "-h", folder];
    this.#servers.push(new Deno.Command("nsenter", { args, stdin: "null" }).spawn());
  }

  /** What is set in the pod's namespace: links, addresses, routes, queues. */
  async state(): Promise<string[]> {
    const commands = ["ip -o link", "ip -o address", "ip route", "ip -6 route", "tc qdisc"];
    const texts = await Promise.all(commands.map((command) => this.pod.run("sh", "-c", command)));
    return texts.flatMap((text) => text.split("\n")).map((line) => line.replace(/ tentative\b/, "").trim())
      .filter((line) => line !== "")
      .sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) {
      server.kill("SIGKILL");
      await server.status;
    }
    this.pod[Symbol.dispose]();
    this.outside[Symbol.dispose]();
  }
}

/** No cable is laid yet. */
export function layCables(): Promise<Cables> {
  return Promise.resolve(new Cables());
}

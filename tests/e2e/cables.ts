/**
 * Networks for pods: a namespace for the pod, one for the world outside, and cables between them.
 *
 * @module
 */

import { run, TestNamespace } from "../../sys/test_helpers.ts";

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

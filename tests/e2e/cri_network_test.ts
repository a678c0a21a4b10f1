/**
 * Pods on a bridge that a network plug-in has made, over the socket of a stock containerd: they talk with each other and
 * with the host, over both versions of IP.
 *
 * @module
 */

import assert from "node:assert/strict";
import { run } from "../../sys/test_helpers.ts";
import { startNode } from "./cri/node.ts";
import { leaksSince, traces } from "./leaks.ts";

const PORT = 8080;

/** A bridge with a name and subnets of its own: other tests may run on the same host. */
function drawBridge() {
  const [a = 0, b = 0] = crypto.getRandomValues(new Uint8Array(2));
  const name = `kbr${a}x${b}`;
  const network = (folder: string) => ({
    cniVersion: "0.4.0",
    name: "kata-bridge",
    plugins: [{
      type: "bridge",
      bridge: name,
      isGateway: true,
      mtu: 1420,
      ipam: {
        type: "host-local",
        dataDir: `${folder}/addresses`,
        ranges: [[{ subnet: `10.${a}.${b}.0/24` }], [{ subnet: `fd${a % 90 + 10}:${b}::/64` }]],
        routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
      },
    }],
  });
  return { name, network };
}

const fetch = (ip: string) => `wget -q -O - http://${ip.includes(":") ? `[${ip}]` : ip}:${PORT}/name`;

Deno.test("two pods on a bridge, and their host", async (t) => {
  const before = await traces();
  const { name, network } = drawBridge();
  const ports = async () =>
    (await run("ip", ["-o", "link", "show", "master", name])).trim().split("\n").length;
  try {
    await using node = await startNode({ network });
    const dnsConfig = { servers: ["192.0.2.53"], searches: ["pods.example"], options: ["ndots:3"] };
    const [one, two] = [await node.runPod({ dnsConfig }), await node.runPod()];
    const addressesOf = async (podSandboxId: string) => {
      const { status } = await node.runtime.podSandboxStatus({ podSandboxId });
      const { ip = "", additionalIps = [] } = status?.network ?? {};
      return [ip, ...additionalIps.map((more) => more.ip)];
    };
    const [ofOne, ofTwo] = [await addressesOf(one.id), await addressesOf(two.id)];
    const serve = (text: string) =>
      `mkdir -p /tmp/www && echo ${text} > /tmp/www/name && httpd -f -p [::]:${PORT} -h /tmp/www`;
    const [first, second] = [await one.run("server", serve("one")), await two.run("server", serve("two"))];

    await t.step("each reaches the other, by IPv4 and IPv6", async () => {
      assert.deepEqual([ofOne.length, ofTwo.length], [2, 2]);
      for (const [from, to, text] of [[first, ofTwo, "two"], [second, ofOne, "one"]] as const) {
        const pod = from === first ? one : two;
        for (const ip of to) {
          // the server may not listen yet
          const script = `until ${fetch(ip)} 2>/dev/null; do sleep 0.1; done`;
          assert.deepEqual(await pod.exec(from, script), { code: 0, stdout: `${text}\n`, stderr: "" }, ip);
        }
      }
    });

    await t.step("the host reaches both", async () => {
      for (const [ips, text] of [[ofOne, "one"], [ofTwo, "two"]] as const) {
        for (const ip of ips) {
          const command = fetch(ip).split(" ");
          assert.equal(await run("busybox", command), `${text}\n`, ip);
        }
      }
    });

    await t.step("size of packets and name servers are those of the pod", async () => {
      assert.match((await one.exec(first, "ip link show eth0")).stdout, /mtu 1420/);
      const { stdout } = await one.exec(first, "cat /etc/resolv.conf");
      assert.equal(stdout, "search pods.example\nnameserver 192.0.2.53\noptions ndots:3\n");
    });

    await t.step("a pod that ends leaves the bridge", async () => {
      assert.equal(await ports(), 2);
      await one.stop();
      await one.remove();
      assert.equal(await ports(), 1);
      const left = await two.exec(second, `timeout 2 ${fetch(ofOne[0] ?? "")}`);
      assert.notEqual(left.code, 0);
    });
    await two.stop();
    await two.remove();
  } finally {
    await run("ip", ["link", "delete", name]).catch(() => {});
  }
  assert.deepEqual(await leaksSince(before), []);
});

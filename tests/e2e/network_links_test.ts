/**
 * Kinds of links, and what changes of them while a pod runs.
 *
 * @module
 */

import assert from "node:assert/strict";
import { until } from "./containerd.ts";
import { FETCH, scene } from "./networked_pod.ts";
import { pidsOf } from "./victims.ts";

const RUNTIME = "io.katacontainers.config.runtime";

Deno.test("a pod with links of all kinds at once, and what goes of them on the host goes in the guest", async (t) => {
  await scene(async ({ cables, boot }) => {
    await cables.lay("eth0", 31);
    await cables.lay("net1", 32);
    await cables.layOnTop("macvlan", "net2", 33);
    await cables.layOnTop("macvtap", "net3", 34);
    await cables.layTap("net4", 35);
    await cables.pod.ip(
      "route add default via 10.31.0.1 metric 5",
      "route add default via 10.32.0.1 metric 9",
      "link set net1 mtu 9000",
      "neighbour add 10.31.0.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent",
    );
    await cables.outside.ip("link set out32 mtu 9000", "link set br32 mtu 9000");
    // the kernel gives a tap that is in use addresses and routes of its own
    const state = async () => (await cables.state()).filter((line) => !/net4|fe80/.test(line));
    const before = await state();
    await using pod = await boot("links");
    const guest = async (what: string) => await pod.run(what);

    await t.step("each is there under its name, and leads outside", async () => {
      const links = await guest("ip address");
      for (const [index, name] of ["eth0", "net1", "net2", "net3", "net4"].entries()) {
        const n = 31 + index;
        const mtu = name === "net1" ? 9000 : 1500;
        const has = `${name}: .*mtu ${mtu} [\\s\\S]*02:00:00:00:00:${n} [\\s\\S]*inet 10\\.${n}\\.0\\.2/24`;
        assert.match(links, new RegExp(has));
        const fetched = await guest(`${FETCH(`10.${n}.0.1`)} && ${FETCH(`[fd${n}::1]`)}`);
        assert.equal(fetched, "from outside\n".repeat(2), name);
        const ping = await cables.outside.run("busybox", "ping", "-c", "1", `10.${n}.0.2`);
        assert.match(ping, / 0% packet loss/, name);
      }
    });

    await t.step("large packets pass whole where the link takes them", async () => {
      const packets = async () => {
        const text = await cables.outside.run("ip", "-s", "link", "show", "out32");
        return Number(/RX: .*\n\s*\d+\s+(\d+)/.exec(text)?.[1]);
      };
      const first = await packets();
      const ping = await cables.outside.run("busybox", "ping", "-c", "1", "-s", "8900", "10.32.0.2");
      assert.match(ping, / 0% packet loss/);
      // the answer, and perhaps who asks for whom; in pieces the answer alone would be seven
      assert(await packets() - first < 7);
    });

    await t.step("addresses, routes and neighbours that go", async () => {
      await cables.pod.ip(
        "address add 10.31.0.9/24 dev eth0",
        "address add fd31::9/64 dev eth0 nodad",
        "route add 10.98.0.0/16 via 10.31.0.1 dev eth0",
        "-6 route add fd98::/64 via fd31::1 dev eth0",
      );
      const all = "ip address show dev eth0; ip route; ip -6 route; ip neigh";
      const those = ["10.31.0.9/24", "fd31::9/64", "10.98.0.0/16 via 10.31.0.1", "fd98::/64 via fd31::1"];
      await until("they are there", async () => {
        const text = await guest(all);
        return those.every((one) => text.includes(one));
      });
      await cables.pod.ip(
        "address delete 10.31.0.9/24 dev eth0",
        "address delete fd31::9/64 dev eth0",
        "route delete 10.98.0.0/16",
        "-6 route delete fd98::/64",
        "neighbour delete 10.31.0.77 dev eth0",
        "neighbour add 10.31.0.78 lladdr 02:00:00:00:00:78 dev eth0 nud permanent",
      );
      await until("they are gone", async () => {
        const text = await guest(all);
        return those.every((one) => !text.includes(one)) && !/10\.31\.0\.77 .*PERMANENT/.test(text) &&
          /10\.31\.0\.78 .*PERMANENT/.test(text);
      });
      await cables.pod.ip(
        "neighbour delete 10.31.0.78 dev eth0",
        "neighbour add 10.31.0.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent",
      );
      assert.equal(await guest(FETCH("10.31.0.1")), "from outside\n");
    });

    await t.step("an address that becomes another, and a way that is the second best", async () => {
      await cables.pod.ip("address add 10.32.0.5/24 dev net1", "address delete 10.32.0.2/24 dev net1");
      // with the first of its addresses the network has lost the second
      await cables.pod.ip(
        "address replace 10.32.0.5/24 dev net1",
        "route replace default via 10.32.0.1 metric 9",
      );
      const address = "ip address show dev net1";
      await until("the guest has the other", async () => {
        const text = await guest(address);
        return text.includes("10.32.0.5/24") && !text.includes("10.32.0.2/24");
      });
      assert.equal(await guest(FETCH("10.32.0.1")), "from outside\n");
      await cables.pod.ip("route delete default metric 5");
      await until(
        "the second",
        async () => (await guest("ip route")).startsWith("default via 10.32.0.1 dev net1"),
      );
      await cables.pod.ip("address flush dev net1 scope global");
      await until("none", async () => !/default|10\.32\.0/.test(await guest(`ip route; ${address}`)));
      await cables.pod.ip(
        "address add 10.32.0.2/24 dev net1",
        "address add fd32::2/64 dev net1 nodad",
        "route add default via 10.31.0.1 metric 5",
        "route add default via 10.32.0.1 metric 9",
      );
      await until(
        "the first",
        async () => (await guest("ip route")).startsWith("default via 10.31.0.1 dev eth0"),
      );
      assert.equal(await guest(`${FETCH("10.32.0.1")} && ${FETCH("[fd32::1]")}`), "from outside\n".repeat(2));
    });

    await t.step("nothing is left of it in the namespace", async () => {
      await pod.end();
      await until("all is as it was", async () => (await state()).join() === before.join());
      assert.deepEqual(await state(), before);
    });
  });
});

Deno.test("a pod that has IPv6 alone, large packets, and a model of its own by annotation", async () => {
  await scene(async ({ cables, boot }) => {
    await cables.lay("eth0", 36);
    await cables.pod.ip(
      "-4 address flush dev eth0",
      "link set eth0 mtu 9000",
      "-6 route add default via fd36::1",
    );
    await cables.outside.ip("link set out36 mtu 9000", "link set br36 mtu 9000");
    const before = await cables.state();
    await using pod = await boot("six", {}, { [`${RUNTIME}.internetworking_model`]: "macvtap" });
    assert.match(await cables.pod.run("ip", "-d", "link", "show", "tap0_kata"), /macvtap/);
    const links = await pod.run("ip address show dev eth0");
    assert.match(links, /mtu 9000[\s\S]*inet6 fd36::2\/64/);
    assert.doesNotMatch(links, /inet /);
    assert.match(await pod.run("ip -6 route"), /^default via fd36::1 dev eth0/m);
    assert.equal(await pod.run(FETCH("[fd36::1]")), "from outside\n");
    const ping = await cables.outside.run("busybox", "ping", "-c", "1", "-s", "8900", "fd36::2");
    assert.match(ping, / 0% packet loss/);
    await pod.end();
    await until("all is as it was", async () => (await cables.state()).join() === before.join());
  });
});

Deno.test("a machine that stays in the network namespace of its shim", async () => {
  await scene(async ({ cables, boot }) => {
    await cables.lay("eth0", 37);
    const before = await cables.state();
    const runtime = { disable_new_netns: true, internetworking_model: "none" };
    await using pod = await boot("stay", { runtime });
    assert.deepEqual(await cables.state(), before);
    assert.doesNotMatch(await pod.run("ip link"), /eth0/);
    const spaceOf = (pid: number) => Deno.readLinkSync(`/proc/${pid}/ns/net`);
    assert.deepEqual((await pidsOf("qemu", pod.id)).map(spaceOf), [spaceOf(Deno.pid)]);
    await pod.end();
    assert.deepEqual(await cables.state(), before);
  });
});

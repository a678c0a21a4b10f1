/**
 * The pod's network with a real machine: what is set in the pod's namespace holds in the guest, packets pass both ways,
 * links come and go, and nothing is left in the namespace, whoever is killed.
 *
 * @module
 */

import assert from "node:assert/strict";
import { layCables } from "./cables.ts";
import { writeConfiguration } from "./configuration.ts";
import { until } from "./containerd.ts";
import { startShim } from "./direct_shim.ts";
import { kata } from "./kata_run.ts";
import { leaksSince, ownId, traces } from "./leaks.ts";
import { FETCH, scene } from "./networked_pod.ts";
import { temporaryRootfs } from "./rootfs.ts";
import { kill } from "./victims.ts";

Deno.test("a pod with two links: both versions of IP, routes, neighbours, both ways, links that come and go", async (t) => {
  await scene(async ({ cables, boot }) => {
    await cables.lay("eth0", 11);
    await cables.lay("net1", 12);
    await cables.pod.ip(
      "link set eth0 mtu 1400",
      "route add default via 10.11.0.1",
      "-6 route add default via fd11::1",
      "route add 192.0.2.1 dev net1 scope link",
      "route add 198.51.100.0/24 via 192.0.2.1 dev net1 onlink",
      "neighbour add 10.12.0.77 lladdr 02:00:00:00:00:77 dev net1 nud permanent",
    );
    const before = await cables.state();
    await using pod = await boot("net", { hypervisor: { default_vcpus: 2 } });

    await t.step("the guest has what the namespace has", async () => {
      const guest = await pod.run("ip address; echo ==; ip route; echo ==; ip -6 route; echo ==; ip neigh");
      const [links = "", routes = "", routes6 = "", neighbours = ""] = guest.split("==\n");
      assert.match(
        links,
        /eth0: .*mtu 1400[\s\S]*02:00:00:00:00:11[\s\S]*inet 10\.11\.0\.2\/24[\s\S]*inet6 fd11::2\/64/,
      );
      assert.match(
        links,
        /net1: .*mtu 1500[\s\S]*02:00:00:00:00:12[\s\S]*inet 10\.12\.0\.2\/24[\s\S]*inet6 fd12::2\/64/,
      );
      assert.doesNotMatch(links, /tentative|dadfailed/);
      for (
        const route of [
          /^default via 10\.11\.0\.1 dev eth0/m,
          /^10\.11\.0\.0\/24 dev eth0/m,
          /^192\.0\.2\.1 dev net1 scope link/m,
          /^198\.51\.100\.0\/24 via 192\.0\.2\.1 dev net1/m,
        ]
      ) assert.match(routes, route);
      assert.match(routes6, /^default via fd11::1 dev eth0/m);
      assert.equal(
        await pod.run("ls /sys/class/net/eth0/queues | grep -c rx"),
        "2\n",
        "a queue for each processor",
      );
      assert.match(neighbours, /10\.12\.0\.77 dev net1 lladdr 02:00:00:00:00:77.* PERMANENT/);
    });

    await t.step("it reaches the world outside, and the world reaches it", async () => {
      const addresses = ["10.11.0.1", "10.12.0.1", "[fd11::1]", "[fd12::1]"];
      const fetched = await pod.run(addresses.map(FETCH).join(" && "));
      assert.equal(fetched, "from outside\n".repeat(addresses.length));
      await pod.run(
        "mkdir -p /tmp/www && echo from inside > /tmp/www/hello && httpd -p [::]:8080 -h /tmp/www",
      );
      for (const address of ["10.11.0.2", "10.12.0.2", "[fd11::2]", "[fd12::2]"]) {
        const answer = await cables.outside.run(
          "busybox",
          "wget",
          "-q",
          "-O",
          "-",
          `http://${address}:8080/hello`,
        );
        assert.equal(answer, "from inside\n", address);
      }
      assert.match(await cables.outside.run("busybox", "ping", "-c", "1", "10.11.0.2"), / 0% packet loss/);
    });

    await t.step("a link that comes is there with its routes, one that goes is gone", async () => {
      await cables.lay("eth7", 17);
      await cables.pod.ip("route add 10.99.0.0/16 via 10.17.0.1 dev eth7");
      await until(
        "the guest has it",
        async () => (await pod.run("ip route")).includes("10.99.0.0/16 via 10.17.0.1"),
      );
      assert.match(await pod.run("ip link show eth7"), /02:00:00:00:00:17/);
      assert.equal(
        await pod.run([FETCH("10.17.0.1"), FETCH("[fd17::1]")].join(" && ")),
        "from outside\n".repeat(2),
      );
      await cables.pod.ip("link delete eth7");
      await until("the guest has lost it", async () => !(await pod.run("ip link")).includes("eth7"));
      // and the place that it had can be used again
      await cables.pod.ip("link add eth8 address 02:00:00:00:00:18 type veth peer name eth8-out");
      await cables.pod.ip(`link set eth8-out netns ${cables.outside.path}`);
      await cables.pod.ip("address add 10.18.0.2/24 dev eth8", "link set eth8 up");
      await until("the guest has the next", async () => (await pod.run("ip link")).includes("eth8"));
      await cables.pod.ip("link delete eth8");
      assert.equal(await pod.run(FETCH("10.11.0.1")), "from outside\n");
    });

    await t.step("nothing is left of it in the namespace", async () => {
      await pod.end();
      await until("all is as it was", async () => (await cables.state()).join() === before.join());
      assert.deepEqual(await cables.state(), before);
    });
  });
});

Deno.test("a pod by macvtap with limits: packets pass, and the link gets back what it had", async (t) => {
  await scene(async ({ cables, boot }) => {
    await cables.lay("eth0", 11);
    await cables.pod.ip("route add default via 10.11.0.1");
    const before = await cables.state();
    const change = {
      runtime: { internetworking_model: "macvtap" },
      hypervisor: { rx_rate_limiter_max_rate: 50_000_000, tx_rate_limiter_max_rate: 50_000_000 },
    };
    await t.step("while it runs", async () => {
      await using pod = await boot("mv", change);
      assert.match(await pod.run("ip address"), /eth0: [\s\S]*02:00:00:00:00:11[\s\S]*inet 10\.11\.0\.2\/24/);
      assert.equal(
        await pod.run([FETCH("10.11.0.1"), FETCH("[fd11::1]")].join(" && ")),
        "from outside\n".repeat(2),
      );
      assert.match(await cables.outside.run("busybox", "ping", "-c", "1", "10.11.0.2"), / 0% packet loss/);
      assert.match(
        await cables.pod.run("tc", "class", "show", "dev", "tap0_kata"),
        /class htb 1:2 .* rate 50Mbit/,
      );
      await pod.end();
      await until("all is as it was", async () => (await cables.state()).join() === before.join());
    });

    for (const victims of [["shim"], ["qemu"], ["qemu", "shim"]] as const) {
      await t.step(`when ${victims.join(" and ")} are killed`, async () => {
        await using pod = await boot("mk", change);
        assert.notDeepEqual(await cables.state(), before);
        for (const victim of victims) await kill(victim, pod.id);
        // as containerd does after the end of a shim
        await pod.shim.run("delete");
        assert.deepEqual(await cables.state(), before);
      });
    }
  });
});

Deno.test("a pod whose parts are killed leaves nothing in its namespace; one that is not connected is left alone", async (t) => {
  await scene(async ({ cables, rootfs, boot }) => {
    await cables.lay("eth0", 11);
    const before = await cables.state();
    await t.step("the shim is killed", async () => {
      await using pod = await boot("kn");
      assert.notDeepEqual(await cables.state(), before);
      await kill("shim", pod.id);
      await pod.shim.run("delete");
      assert.deepEqual(await cables.state(), before);
    });
    await t.step(
      "a network that is set up between creation and start, as a namespace of the machine's process",
      async () => {
        const id = ownId("late");
        await using shim = await startShim(id, { configuration: writeConfiguration(rootfs) });
        const stdout = shim.outputFifo(id);
        const script = `${FETCH("10.21.0.1")} && ${FETCH("[fd21::1]")}`;
        const bundle = shim.writeBundle(id, { args: ["sh", "-c", script], rootfs });
        const { pid } = await shim.task.create({ id, bundle, stdout: stdout.path });
        await cables.lay("eth0", 21, `/proc/${pid}/ns/net`);
        const waiting = shim.task.wait({ id });
        await shim.task.start({ id });
        assert.equal(await stdout.text, "from outside\n".repeat(2));
        assert.equal((await waiting).exitStatus, 0);
        await shim.task.delete({ id });
        await shim.task.shutdown({ id });
      },
    );
    await t.step("without containerd", async () => {
      const args = [
        "run",
        "--net-ns",
        cables.pod.path,
        "--rootfs",
        rootfs,
        "--",
        "sh",
        "-c",
        FETCH("10.11.0.1"),
      ];
      const { code, stdout, stderr } = await kata(args);
      assert.deepEqual([code, new TextDecoder().decode(stdout)], [0, "from outside\n"], stderr);
      assert.deepEqual(await cables.state(), before);
    });
    await t.step("no model", async () => {
      await using pod = await boot("no", { runtime: { internetworking_model: "none" } });
      assert.deepEqual(await cables.state(), before);
      assert.doesNotMatch(await pod.run("ip link"), /eth0/);
      assert.match(pod.shim.log, /the guest has no network: links of .* are not connected: \\?"eth0/);
    });
  });
});

Deno.test("a network that cannot be set up is an error for the client, and nothing is left of the pod", async (t) => {
  const before = await traces();
  {
    await using rootfs = await temporaryRootfs();
    await using cables = await layCables();
    const configuration = writeConfiguration(rootfs.folder);
    const gone = `${rootfs.folder}/gone`;
    await Deno.writeTextFile(gone, "");
    const cases: Record<string, [netns: string, setUp: string[], message: RegExp]> = {
      "a namespace that vanished": [
        "/run/netns/vanished",
        [],
        /^network namespace "\/run\/netns\/vanished" does not exist$/,
      ],
      "a namespace that has ended": [
        gone,
        [],
        /^network namespace ".*gone" is not a network namespace, or its namespace has ended$/,
      ],
      "a kind that cannot be joined": [
        cables.pod.path,
        ["link add br0 type bridge", "address add 10.9.0.2/24 dev br0"],
        /^link "br0" of network namespace ".*" cannot be joined to a virtual machine: it is of kind "bridge"/,
      ],
    };
    for (const [name, [netns, setUp, message]] of Object.entries(cases)) {
      await t.step(name, async () => {
        await cables.pod.ip(...setUp);
        const state = await cables.state();
        const id = ownId("bad");
        await using shim = await startShim(id, { configuration });
        const bundle = shim.writeBundle(id, { args: ["true"], rootfs: rootfs.path, netns });
        await assert.rejects(shim.task.create({ id, bundle }), { message });
        await shim.task.shutdown({ id });
        assert.deepEqual(await cables.state(), state);
      });
    }
  }
  assert.deepEqual(await leaksSince(before), []);
});

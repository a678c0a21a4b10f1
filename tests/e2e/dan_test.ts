/**
 * A pod whose network is described by a file: the tap that it names is the guest's link, and stays when the pod ends.
 *
 * @module
 */

import assert from "node:assert/strict";
import { layCables } from "./cables.ts";
import { writeConfiguration } from "./configuration.ts";
import { startShim } from "./direct_shim.ts";
import { leaksSince, ownId, traces } from "./leaks.ts";
import { temporaryRootfs } from "./rootfs.ts";

const MAC = "02:00:00:00:00:31";

/** What the file says of a tap in a namespace. */
const described = (netns: string) => ({
  netns,
  devices: [{
    name: "wan0",
    guest_mac: MAC,
    device: { type: "host-tap", tap_name: "tap31", queue_num: 1, queue_size: 512 },
    network_info: {
      interface: { ip_addresses: ["10.31.0.2/24", "fd31::2/64"], mtu: 1400, ntype: "tuntap", flags: 0 },
      routes: [
        { dest: "", gateway: "10.31.0.1", source: "", scope: 0 },
        { dest: "192.0.2.1/32", gateway: "", source: "", scope: 253 },
      ],
      neighbors: [{ ip_address: "10.31.0.77", hardware_addr: "02:00:00:00:00:77", state: 128, flags: 0 }],
    },
  }],
});

const LOOK = [
  "ip address show wan0",
  "ip route",
  "ip neigh",
  "wget -q -O - http://10.31.0.1/hello",
  "wget -q -O - http://[fd31::1]/hello",
].join("; ");

Deno.test("a pod's network comes from the file that describes it", async (t) => {
  const before = await traces();
  {
    await using rootfs = await temporaryRootfs();
    await using cables = await layCables();
    const { outside } = cables;
    await outside.ip(
      "tuntap add tap31 mode tap",
      "address add 10.31.0.1/24 dev tap31",
      "address add fd31::1/64 dev tap31 nodad",
      "link set tap31 up",
    );
    await Deno.mkdir(`${rootfs.folder}/www`);
    await Deno.writeTextFile(`${rootfs.folder}/www/hello`, "from outside\n");
    cables.serve(`${rootfs.folder}/www`);
    const dans = `${rootfs.folder}/dans`;
    await Deno.mkdir(dans);
    const configuration = writeConfiguration(rootfs.folder, { runtime: { dan_conf: dans } });

    await t.step("the guest has what it says, and reaches what is behind the tap", async () => {
      const id = ownId("dan");
      await Deno.writeTextFile(`${dans}/${id}.json`, JSON.stringify(described(outside.path)));
      await using shim = await startShim(id, { configuration });
      const stdout = shim.outputFifo(id);
      // a link of the namespace that the file takes the place of
      await cables.lay("eth0", 11);
      const bundle = shim.writeBundle(id, {
        args: ["sh", "-c", `(${LOOK}) 2>&1; ip link show eth0 || echo none`],
        rootfs: rootfs.path,
        netns: cables.pod.path,
      });
      await shim.task.create({ id, bundle, stdout: stdout.path });
      const waiting = shim.task.wait({ id });
      await shim.task.start({ id });
      const text = await stdout.text;
      assert.equal((await waiting).exitStatus, 0, text);
      assert.match(
        text,
        new RegExp(`wan0: .*mtu 1400[\\s\\S]*${MAC}[\\s\\S]*10\\.31\\.0\\.2/24[\\s\\S]*fd31::2/64`),
      );
      assert.match(text, /^default via 10\.31\.0\.1 dev wan0/m);
      assert.match(text, /^192\.0\.2\.1 dev wan0 scope link/m);
      assert.match(text, /10\.31\.0\.77 dev wan0 lladdr 02:00:00:00:00:77.* PERMANENT/);
      assert.match(text, /from outside\nfrom outside\nnone\n$/);
      await shim.task.delete({ id });
      await shim.task.shutdown({ id });
      const [tap] = await outside.json("ip link show tap31");
      assert.equal(tap?.ifname, "tap31", "it is whose it was");
    });

    const cases: Record<string, [object, RegExp]> = {
      "a kind that there is not": [
        { devices: [{ name: "a", device: { type: "veth" } }] },
        /^description of network devices ".*\.json": devices\[0\]\.device\.type must be one of "host-tap", .*: it is "veth"$/,
      ],
      "a tap that there is not": [
        { netns: outside.path, devices: [{ name: "a", device: { type: "host-tap", tap_name: "gone" } }] },
        /^tap "gone" of network namespace ".*" cannot be used: it does not exist$/,
      ],
    };
    for (const [name, [file, message]] of Object.entries(cases)) {
      await t.step(name, async () => {
        const id = ownId("bad");
        await Deno.writeTextFile(`${dans}/${id}.json`, JSON.stringify(file));
        await using shim = await startShim(id, { configuration });
        const bundle = shim.writeBundle(id, { args: ["true"], rootfs: rootfs.path });
        await assert.rejects(shim.task.create({ id, bundle }), { message });
        await shim.task.shutdown({ id });
      });
    }
  }
  assert.deepEqual(await leaksSince(before), []);
});

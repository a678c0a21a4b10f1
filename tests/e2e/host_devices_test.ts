/**
 * Containers with devices of the host, from the node in a bundle to what a program finds in the guest. The machine that
 * tests run on has none to give away: what the host says about its devices stands in a folder, and QEMU makes a network
 * card where it would hand one in. All else is as it is for a real one.
 *
 * @module
 */

import assert from "node:assert/strict";
import { specOf } from "../../agent/container/testing/harness.ts";
import { loadConfig } from "../../config/load.ts";
import type { Device, Spec } from "../../oci/spec.ts";
import { createSandbox } from "../../sandbox/create_sandbox.ts";
import type { IoSource, OutputEnd } from "../../sandbox/io/streams.ts";
import { SandboxNetwork } from "../../sandbox/network/network.ts";
import { realHost } from "../../sandbox/real_host.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { PciBus } from "../../sys/pci.ts";
import { type PciTree, pciTree } from "../../sys/testdata/pci_tree.ts";
import { createQemu } from "../../vm/qemu/qemu.ts";
import { layCables } from "./cables.ts";
import { writeConfiguration } from "./configuration.ts";
import { leaksSince, ownId, traces } from "./leaks.ts";
import { temporaryRootfs } from "./rootfs.ts";

const [NIC, OTHER] = ["0000:05:10.0", "0000:05:10.1"];
const MAC = "02:00:00:00:00:51";

/** A card that the guest has a driver for; the first of a machine has the address that the description names. */
const emulating = createQemu({
  describeDevice: ({ address }) => ({
    driver: "virtio-net-pci",
    mac: address === NIC ? MAC : "02:00:00:00:00:52",
    romfile: "",
  }),
});

/** The host's files about its devices. */
function hostFiles(folder: string): { sys: string; dev: string } {
  const [sys, dev] = [`${folder}/sys`, `${folder}/dev`];
  const vfio = { driver: "vfio-pci", class: "0x020000" };
  pciTree(sys, { [NIC]: { ...vfio, group: "13" }, [OTHER]: { ...vfio, group: "14" } });
  Deno.mkdirSync(`${dev}/vfio`, { recursive: true });
  Deno.writeTextFileSync(`${dev}/vfio/vfio`, "");
  return { sys, dev };
}

const node = (group: string): Device => ({ path: `/dev/vfio/${group}`, type: "c", major: 511, minor: 99 });

/** A container that sees sysfs, and whether there is a link that a device brings. */
function specWith(rootfs: string, devices: readonly Device[]): Spec {
  const look = [
    "ip address show fast0 2>&1",
    "ip route",
    'for a in $(echo "$PCIDEVICE_X" | tr , " "); do cat /sys/bus/pci/devices/$a/vendor 2>&1; done',
    "ls /dev/vfio 2>&1",
  ].join("; ");
  const spec = specOf(rootfs, ["sh", "-c", look]);
  spec.process.env = ["PATH=/bin:/usr/bin:/sbin:/usr/sbin", `PCIDEVICE_X=${NIC}`];
  spec.mounts?.push({ destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"] });
  spec.linux = { ...spec.linux, devices: [...devices] };
  return spec;
}

/** Runs a container to its end. @returns what it wrote */
async function run(sandbox: Sandbox, id: string, bundle: string, spec: Spec): Promise<string> {
  const chunks: Uint8Array[] = [];
  const stdout: OutputEnd = {
    write: (data) => Promise.resolve(void chunks.push(data.slice())),
    ending() {},
    close: () => Promise.resolve(),
  };
  const io: IoSource = {
    names: { terminal: false, stdin: "", stdout: "x", stderr: "" },
    open: () => Promise.resolve({ stdout }),
  };
  const container = await sandbox.createContainer({ id, bundle, spec, rootfs: [], io });
  await container.start();
  await container.init.exited;
  await container.delete();
  return chunks.map((chunk) => new TextDecoder().decode(chunk)).join("");
}

const DESCRIPTION = {
  devices: [{
    name: "fast0",
    guest_mac: MAC,
    device: { type: "vfio", pci_device_id: NIC },
    network_info: {
      interface: { ip_addresses: ["10.51.0.2/24"], mtu: 1400 },
      routes: [{ dest: "10.52.0.0/16", gateway: "10.51.0.1" }],
    },
  }],
};

for (const [when, key] of [["plugged in", "hot_plug_vfio"], ["there at boot", "cold_plug_vfio"]] as const) {
  Deno.test(`a container's device of the host, ${when}, is its guest's, with the link that is described`, async (t) => {
    const before = await traces();
    {
      await using rootfs = await temporaryRootfs();
      const { folder } = rootfs;
      const id = ownId(key.slice(0, 3));
      await Deno.writeTextFile(`${folder}/${id}.json`, JSON.stringify(DESCRIPTION));
      const explicit = writeConfiguration(folder, {
        hypervisor: { [key]: "root-port" },
        runtime: { dan_conf: folder },
      });
      const { config } = await loadConfig({ explicit });
      const lines: string[] = [];
      await using sandbox = await createSandbox({
        id,
        spec: specWith(rootfs.path, [node("13")]),
        config,
        log: { write: (_level, message) => lines.push(message) },
        host: { ...realHost, startVm: (vm) => emulating.start(vm), vfio: hostFiles(folder) },
      });
      const look = (name: string, ...devices: Device[]) =>
        run(sandbox, name, folder, specWith(rootfs.path, devices));

      await t.step("the container with the device has its link", async () => {
        const text = await look("one", node("13"));
        assert.match(text, new RegExp(`fast0: .*mtu 1400[\\s\\S]*${MAC}[\\s\\S]*10\\.51\\.0\\.2/24`));
        assert.match(text, /^10\.52\.0\.0\/16 via 10\.51\.0\.1 dev fast0/m);
        assert.match(text, /^0x1af4$/m, "the device plugin's variable has the guest's address");
        assert.match(text, /ls: \/dev\/vfio: No such file/, "the guest's kernel drives it");
      });

      await t.step(
        "another one finds it where it stays, and another device only where one may come",
        async () => {
          const text = await look("two");
          if (key === "hot_plug_vfio") {
            assert.doesNotMatch(text, /10\.51\.0\.2/);
            const again = await look("three", node("13"));
            assert.match(again, /10\.51\.0\.2\/24[\s\S]*^10\.52\.0\.0\/16/m);
            assert.match(await look("four", node("14")), /ls: \/dev\/vfio: No such file/);
          } else {
            assert.match(text, /10\.51\.0\.2\/24/);
            await assert.rejects(look("three", node("14")), {
              message:
                'cannot give VFIO group 14 to the machine: it was not booted with it, and hot_plug_vfio is "no-port"',
            });
          }
          assert.deepEqual(lines.filter((line) => /stays in the machine/.test(line)), []);
        },
      );

      await t.step("what cannot be had is named", async () => {
        await assert.rejects(look("five", node("99")), {
          message:
            'device "/dev/vfio/99" cannot be handed to the virtual machine: the host has no IOMMU group 99',
        });
      });
    }
    assert.deepEqual(await leaksSince(before), []);
  });
}

Deno.test("a pod's link that is a device of the host is the guest's, by its name and with its addresses", async () => {
  const before = await traces();
  {
    await using rootfs = await temporaryRootfs();
    await using cables = await layCables();
    const { folder } = rootfs;
    await cables.lay("eth7", 51);
    await cables.pod.ip("link set eth7 mtu 1400", "route add default via 10.51.0.1");
    const tree = pciTree(`${folder}/sys`, { [NIC]: { driver: "ixgbevf", group: "13" } });
    const bus = new BindingBus(`${folder}/sys`, tree);
    const hardware = { pciBus: bus, driverOf: () => ({ driver: "ixgbevf", bus: NIC }) };
    const explicit = writeConfiguration(folder, { hypervisor: { cold_plug_vfio: "root-port" } });
    const spec = specWith(rootfs.path, []);
    spec.linux = { namespaces: [{ type: "network", path: cables.pod.path }, { type: "mount" }] };
    spec.process.args = ["sh", "-c", "ip address show eth7; ip route"];
    {
      await using sandbox = await createSandbox({
        id: ownId("phy"),
        spec,
        config: (await loadConfig({ explicit })).config,
        log: { write() {} },
        host: {
          ...realHost,
          startVm: (vm) => emulating.start(vm),
          openNetwork: (options) => SandboxNetwork.open({ ...options, hardware }),
        },
      });
      assert.equal(bus.driverOf(NIC), "vfio-pci");
      const text = await run(sandbox, "one", folder, spec);
      assert.match(
        text,
        new RegExp(`eth7: .*mtu 1400[\\s\\S]*${MAC}[\\s\\S]*10\\.51\\.0\\.2/24[\\s\\S]*fd51::2/64`),
      );
      assert.match(text, /^default via 10\.51\.0\.1 dev eth7/m);
    }
    assert.equal(bus.driverOf(NIC), "ixgbevf");
  }
  assert.deepEqual(await leaksSince(before), []);
});

/** Does what the kernel does with what is written about drivers. */
class BindingBus extends PciBus {
  constructor(root: string, readonly tree: PciTree) {
    super(root);
  }

  override offer(address: string, driver: string): void {
    super.offer(address, driver);
    this.tree.bind(address, driver);
  }

  override giveBack(address: string, driver: string): void {
    super.giveBack(address, driver);
    this.tree.bind(address, driver);
  }
}

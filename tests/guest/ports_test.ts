/**
 * Devices of the host in a guest. The machine that tests run on has none to give away: QEMU is told to make a network
 * card where it would be told to hand one in. Everything else is as it is for a real one.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Harness } from "../../agent/container/testing/harness.ts";
import type { Spec } from "../../oci/spec.ts";
import { createQemu } from "../../vm/qemu/qemu.ts";
import type { HostDevice, HostDevicePlugs, HostDevicePorts } from "../../vm/vmm.ts";
import { Guest } from "./harness.ts";

const SERIAL = "agent.server_addr=virtio-serial://agent.channel.0";

/** Vendor and device of the card that QEMU makes. */
const CARD = "0x8086 0x10d3";

const vmm = createQemu({ describeDevice: () => ({ driver: "e1000e", romfile: "" }) });

const hostDevice = (address: string): HostDevice => ({
  address,
  iommufd: false,
  memory: { prefetchable: 0, other: 262_144 },
});

const [FIRST, SECOND] = [hostDevice("0000:3b:00.0"), hostDevice("0000:05:10.1")];

interface Scene extends AsyncDisposable {
  readonly guest: Guest;
  readonly plugs: HostDevicePlugs;
}

/** A guest with one device at boot, and a port for another. */
async function boot(machine: Harness, kind: HostDevicePorts["kind"], iommu: boolean): Promise<Scene> {
  const guest = await Guest.boot({
    vmm,
    share: machine.folder,
    agentParams: [SERIAL],
    change: (config) => ({ ...config, bridges: 1, iommu, ports: { kind, count: 2 }, hostDevices: [FIRST] }),
  });
  await guest.createSandbox();
  const plugs = guest.vm.hostDevices;
  assert(plugs !== undefined);
  return { guest, plugs, [Symbol.asyncDispose]: () => guest[Symbol.asyncDispose]() };
}

const pairs = (...paths: [HostDevice, string][]) => paths.map(([{ address }, path]) => `${address}=${path}`);

/** Sees sysfs, and has the variable that device plugins set. */
function withVariable(spec: Spec): void {
  spec.process.env = [...spec.process.env ?? [], `PCIDEVICE_EXAMPLE_CARD=${FIRST.address},${SECOND.address}`];
  spec.mounts?.push({ destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"] });
}

const SHOW = 'for a in $(echo "$PCIDEVICE_EXAMPLE_CARD" | tr , " "); do ' +
  "cd /sys/bus/pci/devices/$a && echo $a $(cat vendor device); done";

for (const kind of ["root", "switch"] as const) {
  Deno.test(`devices behind ports (${kind}) are in the guest where the host says, those of the boot and later ones`, async (t) => {
    await using machine = new Harness();
    await using scene = await boot(machine, kind, kind === "root");
    const { guest, plugs } = scene;
    const { agent } = guest;
    const atBoot = await plugs.pathOf(FIRST);
    const second = await plugs.add(SECOND);

    await t.step("the container is told where they are", async () => {
      const options = pairs([FIRST, atBoot], [SECOND, second.path]);
      const device = { type: "vfio-pci-gk", id: "12", containerPath: "/dev/vfio/12", options };
      await guest.run("shows", ["sh", "-c", SHOW], withVariable, [device]);
      const lines = (await guest.readAll("shows")).trim().split("\n");
      assert.deepEqual(lines.map((line) => line.replace(/^\S+ /, "")), [CARD, CARD]);
      assert.equal(new Set(lines).size, 2);
      await agent.waitProcess({ containerId: "shows" });
      await agent.removeContainer({ containerId: "shows" });
    });

    if (kind === "root") {
      await t.step("the container drives one by the guest's VFIO", async () => {
        const nodes = [
          { path: "/dev/vfio/vfio", type: "c", major: 10, minor: 196 },
          { path: "/dev/vfio/12", type: "c", major: 511, minor: 0 },
        ];
        const device = {
          type: "vfio-pci",
          id: "12",
          containerPath: "/dev/vfio/12",
          options: pairs([SECOND, second.path]),
        };
        const script =
          "cd /dev/vfio; ls; for n in *; do (exec 3<>$n && echo opened) || echo $n is shut; done";
        await guest.run("drives", ["sh", "-c", script], (spec) => {
          spec.linux = {
            ...spec.linux,
            devices: nodes,
            resources: { devices: [{ allow: false, access: "rwm" }] },
          };
          spec.linux.resources?.devices?.push({
            allow: true,
            type: "c",
            major: 10,
            minor: 196,
            access: "rw",
          });
        }, [device]);
        assert.match(await guest.readAll("drives"), /^[0-9]+\nvfio\nopened\nopened\n$/);
        await agent.waitProcess({ containerId: "drives" });
        await agent.removeContainer({ containerId: "drives" });
      });
    }

    await t.step("one that is taken out leaves its port to the next", async () => {
      await second[Symbol.asyncDispose]();
      const next = await plugs.add(SECOND);
      assert.equal(next.path, second.path);
      const device = {
        type: "vfio-pci-gk",
        id: "12",
        containerPath: "/dev/vfio/12",
        options: pairs([FIRST, atBoot], [SECOND, next.path]),
      };
      await guest.run("again", ["sh", "-c", SHOW], withVariable, [device]);
      assert.equal((await guest.readAll("again")).trim().split("\n").length, 2);
    });
  });
}

import assert from "node:assert/strict";
import { Code } from "../rpc/errors.ts";
import { PciBus } from "../sys/pci.ts";
import { loopIdle } from "../sys/poll.ts";
import { tempDir } from "../sys/test_helpers.ts";
import { type PciTree, pciTree } from "../sys/testdata/pci_tree.ts";
import type { PodNetworkOptions } from "./pod_network.ts";
import { undoNetwork } from "./saved.ts";
import { TestSpaces } from "./testing/spaces.ts";

const [NIC, SOUND] = ["0000:05:10.0", "0000:05:10.1"];
const MAC = "02:00:00:00:00:11";

/** Does what the kernel does with what is written; */
class TestBus extends PciBus {
  readonly steps: string[] = [];
  hasVfio = true;

  constructor(root: string, readonly tree: PciTree) {
    super(root);
  }

  override offer(address: string, driver: string): void {
    super.offer(address, driver);
    this.steps.push(`offer ${address} to ${driver}`);
    this.tree.bind(address, this.hasVfio ? driver : undefined);
  }

  override giveBack(address: string, driver: string): void {
    super.giveBack(address, driver);
    this.steps.push(`give ${address} back to ${driver}`);
    this.tree.bind(address, driver);
  }
}

/** A pod with a link that is a device. */
async function scene(
  use: (spaces: TestSpaces, bus: TestBus, change: Partial<PodNetworkOptions>) => Promise<void>,
  other: Parameters<typeof pciTree>[1] = {},
): Promise<void> {
  using folder = tempDir();
  using spaces = new TestSpaces();
  await spaces.veth("eth1", MAC, "10.9.0.2/24");
  const tree = pciTree(folder.path, {
    [NIC]: { driver: "ixgbevf", group: "12", resource: [[2 ** 32, 2 ** 32 + 65_535, 0x14220c]] },
    ...other,
  });
  const bus = new TestBus(folder.path, tree);
  const change = {
    pciBus: bus,
    hostDevices: { atBoot: true, later: false },
    driverOf: () => ({ driver: "ixgbevf", bus: NIC }),
  };
  await use(spaces, bus, change);
  await loopIdle();
}

Deno.test("a link that is a device is taken from its driver once that is written down, and given back", async () => {
  await scene(async (spaces, bus, change) => {
    const save: PodNetworkOptions["save"] = (network) => {
      spaces.saved = network;
      bus.steps.push(`save ${network.devices?.length}`);
      return Promise.resolve();
    };
    const network = spaces.network({ ...change, save });
    const [pod] = (await network.look()).added;
    assert(pod !== undefined);
    const { nic } = await network.join(pod);
    assert.deepEqual(nic, {
      id: "net0",
      mac: MAC,
      backend: {
        kind: "host-device",
        device: { address: NIC, iommufd: false, memory: { prefetchable: 65_536, other: 0 } },
      },
    });
    assert.deepEqual(bus.steps, ["save 1", `offer ${NIC} to vfio-pci`]);
    // its link goes with its driver, and is not missed
    await spaces.pod.ip("link delete eth1");
    assert.deepEqual(await network.look(), { added: [], removed: [], changed: [] });
    const crashed = JSON.parse(JSON.stringify(spaces.saved));
    await network[Symbol.asyncDispose]();
    await network[Symbol.asyncDispose]();
    assert.deepEqual(bus.steps.slice(2), [`give ${NIC} back to ixgbevf`, "save 0"]);
    assert.equal(bus.driverOf(NIC), "ixgbevf");
    // after a crash, whatever has become of the namespace
    bus.tree.bind(NIC, "vfio-pci");
    await undoNetwork({ ...crashed, path: "/run/netns/gone" }, bus);
    assert.equal(bus.driverOf(NIC), "ixgbevf");
  });
});

Deno.test("a device that cannot be taken is refused, and its driver keeps it", async () => {
  const join = async (spaces: TestSpaces, change: Partial<PodNetworkOptions>, isBooted = false) => {
    await using network = spaces.network(change);
    const [pod] = (await network.look()).added;
    assert(pod !== undefined);
    if (isBooted) network.handOver();
    await network.join(pod);
  };
  const name = 'link "eth1" of network namespace "[^"]+"';
  const refusal = (why: string) => ({
    code: Code.FailedPrecondition,
    message: new RegExp(`^${name} ${why}$`),
  });
  await scene(async (spaces, bus, change) => {
    const is = `is the device ${NIC} of driver "ixgbevf", which needs a port:`;
    const never = { ...change, hostDevices: { atBoot: false, later: false } };
    await assert.rejects(
      join(spaces, never),
      refusal(`${is} cold_plug_vfio or hot_plug_vfio must not be "no-port"`),
    );
    await assert.rejects(join(spaces, change, true), refusal(`${is} hot_plug_vfio must not be "no-port"`));
    assert.deepEqual(bus.steps, []);
    bus.hasVfio = false;
    await assert.rejects(
      join(spaces, change),
      refusal(
        `cannot be handed to the virtual machine: its device ${NIC} cannot be bound to driver "vfio-pci": ` +
          "it has none; is the module vfio-pci loaded\\?",
      ),
    );
    assert.deepEqual(bus.steps, [`offer ${NIC} to vfio-pci`, `give ${NIC} back to ixgbevf`]);
    assert.deepEqual(spaces.saved?.devices, []);
  });
  const cannot = "cannot be handed to the virtual machine: ";
  const twin = { [SOUND]: { driver: "snd_hda_intel", group: "12" } };
  await scene(async (spaces, _bus, change) => {
    const why =
      `its device ${NIC} cannot be separated from ${SOUND}, which is in the same IOMMU group 12 and bound ` +
      'to driver "snd_hda_intel"';
    await assert.rejects(join(spaces, change), refusal(cannot + why));
  }, twin);
  await scene(async (spaces, _bus, change) => {
    const why = `the host has no IOMMU for its device ${NIC}, or it is switched off`;
    await assert.rejects(join(spaces, change), refusal(cannot + why));
  }, { [NIC]: { driver: "ixgbevf" } });
});

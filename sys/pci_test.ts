import assert from "node:assert/strict";
import { isPciAddress, PciBus } from "./pci.ts";
import { tempDir } from "./test_helpers.ts";
import { pciTree } from "./testdata/pci_tree.ts";

const [NIC, TWIN, BRIDGE] = ["0000:05:10.0", "0000:05:10.1", "0000:00:1c.0"] as const;

Deno.test("addresses of PCI devices are distinguished from other texts", () => {
  const texts = [NIC, "10000:e1:00.0", "05:10.0", "0000:05:10.8", "virtio0", ""];
  assert.deepEqual(texts.map(isPciAddress), [true, true, false, false, false, false]);
});

Deno.test("a device's driver, group and memory are read", () => {
  using folder = tempDir();
  pciTree(folder.path, {
    [NIC]: {
      driver: "ixgbevf",
      group: "12",
      class: "0x020000",
      resource: [
        [0xf0000000, 0xf0003fff, 0x200],
        [0x100000000, 0x13fffffff, 0x14220c],
        [0, 0, 0],
        [0xe000, 0xe01f, 0x101],
      ],
    },
    [TWIN]: { group: "12", class: "0x020000" },
    [BRIDGE]: { driver: "pcieport", class: "0x060400" },
  });
  const bus = new PciBus(folder.path);
  assert.deepEqual([bus.driverOf(NIC), bus.driverOf(TWIN)], ["ixgbevf", undefined]);
  assert.deepEqual([bus.groupOf(NIC), bus.groupOf(BRIDGE)], ["12", undefined]);
  assert.deepEqual([bus.isBridge(NIC), bus.isBridge(BRIDGE)], [false, true]);
  assert.deepEqual(bus.devicesOf("12"), [NIC, TWIN]);
  assert.deepEqual([bus.boundTo("ixgbevf"), bus.boundTo("vfio-pci"), bus.boundTo("none")], [[NIC], [], []]);
  assert.equal(bus.devicesOf("13"), undefined);
  assert.deepEqual(bus.memoryOf(NIC), { prefetchable: 2 ** 30, other: 16_384 });
  assert.deepEqual(bus.memoryOf("0000:ff:00.0"), { prefetchable: 0, other: 0 });
  assert.deepEqual([bus.has(NIC), bus.has("0000:ff:00.0")], [true, false]);
});

Deno.test("a device is offered to another driver, and given back to its own", () => {
  using folder = tempDir();
  const tree = pciTree(folder.path, { [NIC]: { driver: "ixgbevf", group: "12" } });
  const bus = new PciBus(folder.path);
  bus.offer(NIC, "vfio-pci");
  assert.deepEqual(tree.written(), {
    [`bus/pci/devices/${NIC}/driver_override`]: "vfio-pci",
    "bus/pci/drivers/ixgbevf/unbind": NIC,
    "bus/pci/drivers_probe": NIC,
  });
  // what the kernel does then
  tree.bind(NIC, "vfio-pci");
  tree.forget();
  bus.giveBack(NIC, "ixgbevf");
  const given = {
    [`bus/pci/devices/${NIC}/driver_override`]: "\n",
    "bus/pci/drivers/vfio-pci/unbind": NIC,
    "bus/pci/drivers/ixgbevf/bind": NIC,
  };
  assert.deepEqual(tree.written(), given);
  tree.bind(NIC, "ixgbevf");
  tree.forget();
  bus.giveBack(NIC, "ixgbevf");
  assert.deepEqual(Object.keys(tree.written()), [`bus/pci/devices/${NIC}/driver_override`]);
  // one that was taken out, and one that never had the other driver
  bus.giveBack("0000:ff:00.0", "ixgbevf");
  tree.bind(NIC, undefined);
  tree.forget();
  bus.giveBack(NIC, "ixgbevf");
  assert.deepEqual(Object.keys(tree.written()).length, 2);
  assert.throws(() => bus.giveBack(NIC, "gone"), /cannot write "0000:05:10.0" to ".*drivers\/gone\/bind": /);
});

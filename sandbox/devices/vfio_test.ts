import assert from "node:assert/strict";
import type { Device, Spec } from "../../oci/spec.ts";
import { Code } from "../../rpc/errors.ts";
import { tempDir } from "../../sys/test_helpers.ts";
import { pciTree } from "../../sys/testdata/pci_tree.ts";
import { testSpec } from "../testing/fake_host.ts";
import { type HostDevicePolicy, planVfio, type VfioHost } from "./vfio.ts";

const [GPU, SOUND, NIC, BRIDGE] = ["0000:3b:00.0", "0000:3b:00.1", "0000:05:10.0", "0000:3a:00.0"];
const UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";

const POLICY: HostDevicePolicy = { asVfio: false, atBoot: false, later: true };

/** A host with devices of every kind; its folder ends with the stack. */
function testHost(taken: DisposableStack): VfioHost {
  const { path } = taken.use(tempDir());
  const [sys, dev] = [`${path}/sys`, `${path}/dev`];
  const vfio = { driver: "vfio-pci" };
  const tree = pciTree(sys, {
    [GPU]: { ...vfio, group: "12", resource: [[2 ** 32, 2 ** 33 - 1, 0x14220c]] },
    [SOUND]: { ...vfio, group: "12" },
    [BRIDGE]: { driver: "pcieport", group: "12", class: "0x060400" },
    [NIC]: { ...vfio, group: "13" },
    "0000:05:10.1": { driver: "ixgbevf", group: "14" },
    "0000:05:10.2": { group: "15" },
    "0000:00:02.0": { driver: "pcieport", group: "1" },
  });
  tree.file("class/vfio-dev/vfio3/dev", "");
  tree.link("class/vfio-dev/vfio3/device", `${sys}/devices/pci0000:00/${NIC}`);
  tree.file("dev/char/511:0/uevent", "MAJOR=511\nMINOR=0\nDEVNAME=vfio/13\n");
  const parts = {
    [UUID]: { group: "20", kind: "vfio-pci", parent: "pci0000:00/0000:00:02.0" },
    "4f7d2ad4-0000-0000-0000-000000000001": { group: "21", kind: "vfio-ap", parent: "vfio_ap/matrix" },
    "4f7d2ad4-0000-0000-0000-000000000002": { group: "22", kind: "vfio-ccw", parent: "css0/0.0.0313" },
  };
  for (const [name, { group, kind, parent }] of Object.entries(parts)) {
    tree.file(`devices/${parent}/${name}/mdev_type/device_api`, `${kind}\n`);
    tree.link(`bus/mdev/devices/${name}`, `${sys}/devices/${parent}/${name}`);
    tree.link(`kernel/iommu_groups/${group}/devices/${name}`, `${sys}/devices/${parent}/${name}`);
  }
  tree.file("kernel/iommu_groups/23/devices/platform-device", "");
  Deno.mkdirSync(`${sys}/kernel/iommu_groups/24/devices`, { recursive: true });
  for (const name of ["vfio/vfio", "iommu"]) {
    Deno.mkdirSync(`${dev}/vfio`, { recursive: true });
    Deno.writeTextFileSync(`${dev}/${name}`, "");
  }
  return { sys, dev };
}

const node = (name: string, minor = 99): Device => ({
  path: `/dev/vfio/${name}`,
  type: "c",
  major: 511,
  minor,
});

const specWith = (devices: readonly Device[], privileged = false): Spec =>
  testSpec({
    linux: {
      devices: [...devices],
      resources: { devices: [privileged ? { allow: true, access: "rwm" } : { allow: false, access: "rwm" }] },
    },
  });

Deno.test("a group is all of its devices but the bridges, by the host's name of its node", () => {
  using taken = new DisposableStack();
  const host = testHost(taken);
  const fuse: Device = { path: "/dev/fuse", type: "c", major: 10, minor: 229 };
  const renamed = node("mine", 0);
  const plan = planVfio(specWith([node("vfio", 196), node("12"), fuse, renamed]), POLICY, host);
  assert.deepEqual(plan.others, [fuse]);
  assert.deepEqual(plan.control, [node("vfio", 196)]);
  assert.deepEqual(plan.dropped, []);
  const nothing = { prefetchable: 0, other: 0 };
  const big = { prefetchable: 2 ** 32, other: 0 };
  assert.deepEqual(plan.uses, [
    {
      node: node("12"),
      group: {
        id: "12",
        devices: [
          { address: GPU, iommufd: false, memory: big },
          { address: SOUND, iommufd: false, memory: nothing },
        ],
      },
    },
    { node: renamed, group: { id: "13", devices: [{ address: NIC, iommufd: false, memory: nothing }] } },
  ]);
});

Deno.test("a device may have a node of its own, or be lent by a driver in parts", () => {
  using taken = new DisposableStack();
  const host = testHost(taken);
  const groups = planVfio(specWith([node("devices/vfio3"), node("20")]), POLICY, host).uses.map(({ group }) =>
    group
  );
  const memory = { prefetchable: 0, other: 0 };
  assert.deepEqual(groups, [
    { id: "13", devices: [{ address: NIC, iommufd: true, memory }] },
    {
      id: "20",
      devices: [{
        address: "0000:00:02.0",
        mediated: `${host.sys}/bus/mdev/devices/${UUID}`,
        iommufd: false,
        memory,
      }],
    },
  ]);
});

Deno.test("what cannot be handed to a machine is refused by name", () => {
  using taken = new DisposableStack();
  const host = testHost(taken);
  const cases: Record<string, string> = {
    "14": 'device 0000:05:10.1 of its group must be bound to driver "vfio-pci": it has driver "ixgbevf"',
    "15": 'device 0000:05:10.2 of its group must be bound to driver "vfio-pci": it has no driver',
    "21":
      'the mediated device "4f7d2ad4-0000-0000-0000-000000000001" of its group is of kind "vfio-ap", and must be "vfio-pci"',
    "22":
      'the mediated device "4f7d2ad4-0000-0000-0000-000000000002" of its group is of kind "vfio-ccw", and must be "vfio-pci"',
    "23": '"platform-device" of its group is no PCI device',
    "24": "the IOMMU group 24 has no device",
    "99": "the host has no IOMMU group 99",
    "noiommu-3": "nothing keeps it from the host's memory, as the host has no IOMMU for it",
    "other": "it is neither a group nor a device of VFIO",
    "devices/vfio9": 'the host has no VFIO device "vfio9"',
  };
  for (const [name, why] of Object.entries(cases)) {
    const message = `device "/dev/vfio/${name}" cannot be handed to the virtual machine: ${why}`;
    const spec = specWith([node(name)]);
    assert.throws(() => planVfio(spec, POLICY, host), { code: Code.FailedPrecondition, message });
    // one that may use all devices of the host did not ask for this one
    assert.deepEqual(planVfio(specWith([node(name)], true), POLICY, host).dropped, [message]);
  }
});

Deno.test("a host without an IOMMU and a configuration without ports are different errors", () => {
  using taken = new DisposableStack();
  const host = testHost(taken);
  const none = { ...POLICY, later: false };
  assert.throws(
    () => planVfio(specWith([node("12")]), none, host),
    /both hot_plug_vfio and cold_plug_vfio are "no-port"$/,
  );
  Deno.removeSync(host.dev, { recursive: true });
  assert.throws(
    () => planVfio(specWith([node("12")]), POLICY, host),
    /the host has no "\/dev\/vfio\/vfio": its kernel has no VFIO \(the module vfio-pci\), or its IOMMU is switched off$/,
  );
  assert.throws(
    () => planVfio(specWith([node("devices/vfio3")]), POLICY, host),
    /the host has no "\/dev\/iommu": its kernel has no iommufd$/,
  );
});

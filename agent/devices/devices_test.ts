import assert from "node:assert/strict";
import type { Spec } from "../../oci/spec.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import { type Device, DeviceSchema } from "../../rpc/gen/agent_pb.ts";
import { create, type Init } from "../../rpc/message.ts";
import { applyDevices, DeviceFinder } from "./devices.ts";
import { type DiskKind, diskNode } from "./disks.ts";
import { parsePciPath, pciFolder } from "./pci_path.ts";
import { giveToVfio, handedThrough, withGuestAddresses } from "./vfio.ts";

/** A machine's /sys and /dev, as far as a test needs them. */
class Tree implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "kata-devices-" });
  readonly folders = { sys: `${this.path}/sys`, dev: `${this.path}/dev` };

  constructor(...files: string[]) {
    for (const file of files) this.add(file);
  }

  /** Makes a file, or a folder if it ends in "/". */
  add(file: string): void {
    const path = `${this.path}/${file}`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    if (!file.endsWith("/")) Deno.writeTextFileSync(path, "");
  }

  read(file: string): string {
    return Deno.readTextFileSync(`${this.path}/${file}`);
  }

  node(kind: DiskKind, address: string, timeoutMs = 20): Promise<string> {
    return diskNode(kind, address, timeoutMs, this.folders);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

const ROOT = "sys/devices/pci0000:00";
const BEHIND_BRIDGE = `${ROOT}/0000:00:02.0/0000:01:03.0`;

async function refused(promise: Promise<unknown>, code: number, message: RegExp): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert(error instanceof RpcError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  });
}

Deno.test("a PCI path is slots in hexadecimal, with or without functions", () => {
  assert.deepEqual(parsePciPath("02/1f.3"), [{ slot: 2, fn: 0 }, { slot: 31, fn: 3 }]);
  for (const text of ["", "2", "20", "02/", "/02", "02/01/x1", "02.8", "0g", "02 ", "../02"]) {
    assert.throws(() => parsePciPath(text), /^RpcError: a PCI path must be slots .*: it is/, text);
  }
});

Deno.test("a PCI path leads through bridges, whatever numbers the guest gave their buses", () => {
  using tree = new Tree(`${ROOT}/0000:00:02.0/pci_bus/0000:01/`, `${BEHIND_BRIDGE}/`);
  const root = `${tree.path}/${ROOT}`;
  assert.equal(pciFolder("02/03", root), `${tree.path}/${BEHIND_BRIDGE}`);
  assert.equal(pciFolder("02", root), `${root}/0000:00:02.0`);
  assert.equal(pciFolder("02/04", root), undefined);
  assert.equal(pciFolder("05/03", root), undefined);
  tree.add(`${ROOT}/0000:00:02.0/pci_bus/0000:02/`);
  assert.throws(() => pciFolder("02/03", root), /has 2 buses behind it/);
});

Deno.test("a disk is found below its PCI device, when its node is there, too", async () => {
  using tree = new Tree(`${ROOT}/0000:00:02.0/pci_bus/0000:01/`, `${BEHIND_BRIDGE}/virtio5/block/vdb/`);
  await refused(
    tree.node("blk", "02/03"),
    Code.FailedPrecondition,
    /the disk "02\/03" \(blk\) has not appeared/,
  );
  tree.add("dev/vdb");
  assert.equal(await tree.node("blk", "02/03"), `${tree.path}/dev/vdb`);
});

Deno.test("host adapters are asked for a SCSI disk", async () => {
  using tree = new Tree("sys/class/scsi_host/host0/scan", "sys/class/scsi_device/2:0:0:17/device/block/sdq/");
  await refused(tree.node("scsi", "1:17"), Code.FailedPrecondition, /"1:17" \(scsi\)/);
  assert.equal(tree.read("sys/class/scsi_host/host0/scan"), "0 1 17");
  tree.add("dev/sdq");
  assert.equal(await tree.node("scsi", "0:17"), `${tree.path}/dev/sdq`);
});

Deno.test("a disk with a name or a channel's number is found by it", async () => {
  using tree = new Tree(
    "sys/class/block/vdc/",
    "dev/vdc",
    "sys/bus/ccw/devices/0.0.00aa/virtio1/block/vdd/",
    "dev/vdd",
  );
  assert.equal(await tree.node("mmioblk", "/dev/vdc"), `${tree.path}/dev/vdc`);
  assert.equal(await tree.node("blk-ccw", "0.0.00AA"), `${tree.path}/dev/vdd`);
});

Deno.test("addresses that are none are refused", async () => {
  using tree = new Tree();
  const bad: readonly (readonly [DiskKind, string])[] = [
    ["blk", "vda"],
    ["blk", "/dev/../etc/passwd"],
    ["scsi", "1"],
    ["scsi", "0:-1"],
    ["blk-ccw", "0.0.1"],
    ["nvdimm", "pmem0"],
    ["mmioblk", "vda"],
  ];
  for (const [kind, address] of bad) {
    await refused(tree.node(kind, address), Code.InvalidArgument, /.*/);
  }
});

const SPEC: Spec = {
  ociVersion: "1.1.0",
  process: {
    user: { uid: 0, gid: 0 },
    args: ["sh"],
    cwd: "/",
    env: ["A=0000:3b:00.0", "PCIDEVICE_X=0000:3b:00.0,0000:3b:00.1"],
  },
  root: { path: "rootfs" },
  linux: {
    devices: [
      { path: "/dev/a", type: "b", major: 8, minor: 0, fileMode: 0o600 },
      { path: "/dev/b", type: "b", major: 8, minor: 16 },
    ],
    resources: {
      devices: [
        { allow: false, access: "rwm" },
        { allow: true, type: "b", major: 8, minor: 0, access: "r" },
        { allow: true, type: "b", major: 8, minor: 16, access: "rw" },
        { allow: true, type: "c", major: 8, minor: 0, access: "rw" },
      ],
    },
  },
};

Deno.test("a specification gets the guest's numbers, each of them once", () => {
  // what the first gets is what the second had
  const numbers = { "/dev/vda": 16, "/dev/vdb": 32 } as const;
  const numbersOf = (node: string) =>
    ({ type: "b", major: 8, minor: numbers[node as keyof typeof numbers] }) as const;
  const found = [
    { containerPath: "/dev/a", node: "/dev/vda", pci: [] },
    { containerPath: "/dev/b", node: "/dev/vdb", pci: [] },
  ];
  const { linux } = applyDevices(SPEC, found, numbersOf);
  assert.deepEqual(linux?.devices, [
    { path: "/dev/a", type: "b", major: 8, minor: 16, fileMode: 0o600 },
    { path: "/dev/b", type: "b", major: 8, minor: 32 },
  ]);
  assert.deepEqual(linux?.resources?.devices, [
    { allow: false, access: "rwm" },
    { allow: true, type: "b", major: 8, minor: 16, access: "r" },
    { allow: true, type: "b", major: 8, minor: 32, access: "rw" },
    { allow: true, type: "c", major: 8, minor: 0, access: "rw" },
  ]);
  const silent = { ...SPEC, linux: { ...SPEC.linux, resources: { devices: [{ allow: false }] } } };
  assert.deepEqual(applyDevices(silent, found, numbersOf).linux?.resources?.devices, [
    { allow: false },
    { allow: true, type: "b", major: 8, minor: 16, access: "rwm" },
    { allow: true, type: "b", major: 8, minor: 32, access: "rwm" },
  ]);
  assert.throws(
    () => applyDevices(SPEC, [{ containerPath: "/dev/c", node: "/dev/vda", pci: [] }], numbersOf),
    /device "\/dev\/c" is not in linux.devices/,
  );
});

Deno.test("devices that make no sense are refused before anybody waits for them", async () => {
  const finder = new DeviceFinder({ need() {} }, 60_000);
  const withDevice = (device: Init<Device>) =>
    finder.withDevices(SPEC, [create<Device>(DeviceSchema, device)]);
  const id = "02/01";
  await refused(withDevice({ type: "blk", id }), Code.InvalidArgument, /"container_path": it is empty/);
  await refused(
    withDevice({ type: "usb", id, containerPath: "/dev/a" }),
    Code.InvalidArgument,
    /it is "usb"/,
  );
  await refused(withDevice({ type: "blk", containerPath: "/dev/a" }), Code.InvalidArgument, /both are empty/);
  await refused(withDevice({ type: "vfio-ap", id, containerPath: "/dev/a" }), Code.Unimplemented, /s390x/);
  await refused(
    withDevice({ type: "vfio-pci", id, containerPath: "/dev/a" }),
    Code.InvalidArgument,
    /there are none/,
  );
});

Deno.test("functions of a device are found, and variables have their addresses in the guest", async () => {
  using tree = new Tree(
    `${ROOT}/0000:00:02.0/pci_bus/0000:01/`,
    `${BEHIND_BRIDGE}/`,
    `${ROOT}/0000:00:04.0/`,
  );
  const root = `${tree.path}/${ROOT}`;
  const pci = await handedThrough(["0000:3b:00.0=02/03", "0000:3b:00.1=04"], 20, root);
  assert.deepEqual(pci, [
    { host: "0000:3b:00.0", guest: "0000:01:03.0" },
    { host: "0000:3b:00.1", guest: "0000:00:04.0" },
  ]);
  assert.deepEqual(withGuestAddresses(SPEC.process.env ?? [], pci), [
    "A=0000:3b:00.0",
    "PCIDEVICE_X=0000:01:03.0,0000:00:04.0",
  ]);
  await refused(handedThrough(["3b:00.0=02/03"], 20, root), Code.InvalidArgument, /must be such as/);
});

Deno.test("a device is taken from the guest's driver, if its functions belong together", () => {
  const bus = "sys/bus/pci";
  using tree = new Tree(
    `${bus}/devices/a/driver_override`,
    `${bus}/devices/a/driver/unbind`,
    `${bus}/drivers_probe`,
  );
  tree.add(`${bus}/devices/b/driver_override`);
  tree.add(`${bus}/devices/c/`);
  Deno.symlinkSync("../../../kernel/iommu_groups/7", `${tree.path}/${bus}/devices/a/iommu_group`);
  Deno.symlinkSync("../../../kernel/iommu_groups/8", `${tree.path}/${bus}/devices/b/iommu_group`);
  assert.equal(giveToVfio(["a"], `${tree.path}/${bus}`), "7");
  assert.equal(tree.read(`${bus}/devices/a/driver_override`), "vfio-pci");
  assert.equal(tree.read(`${bus}/devices/a/driver/unbind`), "a");
  assert.equal(tree.read(`${bus}/drivers_probe`), "a");
  const give = (...addresses: string[]) => () => giveToVfio(addresses, `${tree.path}/${bus}`);
  assert.throws(give("a", "b"), /must be in one IOMMU group: a, b are in 7, 8/);
  assert.throws(give("c"), /"?c"? has no IOMMU in the guest/);
  assert.throws(give("d"), /d is not there in the guest/);
});

/**
 * The kernel's VFIO and QEMU's, for real: in a guest with an IOMMU, whose network card is handed to a machine that runs
 * in that guest.
 *
 * @module
 */

import assert from "node:assert/strict";
import { specOf } from "../../agent/container/testing/harness.ts";
import { SharedFolder } from "../../fs/share.ts";
import { specToWire } from "../../oci/wire.ts";
import { VFIO_MODULES } from "../../sys/module_names.ts";
import { run } from "../../tools/process.ts";
import { createQemu } from "../../vm/qemu/qemu.ts";
import type { HostDevice } from "../../vm/vmm.ts";
import { Guest, SHARE_POINT, SHARE_TAG } from "./harness.ts";

const SERIAL = "agent.server_addr=virtio-serial://agent.channel.0";

/** A card whose data goes through the guest's IOMMU, in a port, so that it has an IOMMU group of its own. */
const vmm = createQemu({
  describeDevice: () => ({
    driver: "virtio-net-pci",
    mac: "02:00:00:00:00:61",
    romfile: "",
    "disable-legacy": "on",
    iommu_platform: "on",
  }),
});
const CARD: HostDevice = { address: "0000:00:00.0", iommufd: false, memory: { prefetchable: 0, other: 0 } };

const CAPABILITIES = [
  ..."SYS_ADMIN NET_ADMIN NET_RAW IPC_LOCK SYS_RAWIO SYS_RESOURCE SYS_PTRACE SYS_CHROOT SYS_NICE MKNOD KILL"
    .split(" "),
  ..."DAC_OVERRIDE DAC_READ_SEARCH FOWNER CHOWN SETUID SETGID".split(" "),
].map((name) => `CAP_${name}`);

/** A root with this machine's programs in it, read-only, and the program that is run in the guest. */
async function makeRoot(folder: string): Promise<void> {
  for (const name of ["usr", "proc", "sys", "dev", "tmp", "run", "etc"]) {
    await Deno.mkdir(`${folder}/${name}`, { recursive: true });
  }
  for (const name of ["bin", "sbin", "lib", "lib64"]) await Deno.symlink(`usr/${name}`, `${folder}/${name}`);
  const source = new URL("vfio_inside.ts", import.meta.url).pathname;
  await run([Deno.execPath(), "bundle", "--quiet", "-o", `${folder}/inside.js`, source]);
  await Deno.writeTextFile(`${folder}/deno`, "");
}

Deno.test("a device goes to a machine by the real VFIO, cold and plugged in, and back to its driver", async () => {
  await using taken = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "kata-vfio-" });
  taken.defer(() => Deno.remove(folder, { recursive: true }));
  await makeRoot(`${folder}/root`);
  const share = taken.use(await SharedFolder.prepare("pod", `${folder}/share`));
  const path = await share.addRootfs("c1", `${folder}/root`);
  const bind = async (source: string, destination: string) => {
    const at = { source, destination, readonly: true, recursive: false, follows: false };
    return { destination, type: "bind", source: await share.addMount("c1", at), options: ["bind", "ro"] };
  };
  const programs = [await bind("/usr", "/usr"), await bind(Deno.execPath(), "/deno")];
  const guest = taken.use(
    await Guest.boot({
      vmm,
      share: share.exported,
      agentParams: [SERIAL],
      change: (config) => ({
        ...config,
        memoryMiB: 2048,
        iommu: true,
        bridges: 1,
        ports: { kind: "root", count: 1 },
        hostDevices: [CARD],
      }),
    }),
  );
  await guest.agent.createSandbox({
    sandboxId: "pod",
    kernelModules: VFIO_MODULES.map((name) => ({ name, parameters: [] })),
    storages: [{
      driver: "9p",
      fstype: "9p",
      source: SHARE_TAG,
      options: ["trans=virtio,version=9p2000.L,cache=mmap", "nodev", "msize=262144"],
      mountPoint: SHARE_POINT,
    }],
  });
  const spec = specOf(path, ["/deno", "run", "-A", "--no-check", "--no-config", "/inside.js"]);
  spec.process.env = ["PATH=/usr/sbin:/usr/bin", "HOME=/tmp", "DENO_DIR=/tmp/deno", "NO_COLOR=1"];
  spec.process.capabilities = { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES };
  spec.mounts = [
    { destination: "/proc", type: "proc", source: "proc" },
    { destination: "/sys", type: "sysfs", source: "sysfs" },
    { destination: "/dev", type: "devtmpfs", source: "devtmpfs" },
    { destination: "/tmp", type: "tmpfs", source: "tmpfs" },
    ...programs,
  ];
  spec.linux = { namespaces: [{ type: "mount" }], resources: { devices: [{ allow: true, access: "rwm" }] } };
  const container = { containerId: "c1" };
  await guest.agent.createContainer({ ...container, execId: "c1", OCI: specToWire(spec) });
  await guest.agent.startContainer(container);
  const lines = (await guest.readAll("c1")).trim().split("\n");
  const { status } = await guest.agent.waitProcess(container);
  const errors = await guest.agent.readStderr({ ...container, len: 65_536 }).catch(() => undefined);
  assert.equal(status, 0, `${lines.join("\n")}\n${new TextDecoder().decode(errors?.data)}`);
  const [[, address] = [], ...found] = lines.map((line): [string, unknown] => JSON.parse(line));
  const joined = ["host-device", [{ address, driver: "virtio-pci" }], "vfio-pci"];
  const path2 = found.find(([what]) => what === "plugged in")?.[1] as [string, string] | undefined;
  assert.match(path2?.[1] ?? "", /^0[0-9a-f]\/00$/);
  const refusal = found.find(([what]) => what === "refused")?.[1];
  assert.match(
    String(refusal),
    new RegExp(`device ${address} .* bound to driver "vfio-pci": it has driver "virtio-pci"`),
  );
  assert.deepEqual(found, [
    ["joined", joined],
    ["machine with the link", true],
    ["given back", ["virtio-pci", true]],
    ["joined", joined],
    ["given back", ["virtio-pci", true]],
    ["refused", refusal],
    ["plugged in", [address, path2?.[1]]],
    ["locked", true],
  ]);
});

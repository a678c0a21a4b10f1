/**
 * Runs in a guest that has an IOMMU and a network card: hands the card to a machine of its own, by the kernel's VFIO and
 * QEMU's, and writes down what it found as lines of JSON. See `vfio_test.ts`.
 *
 * @module
 */

import { PodNamespace } from "../../net/namespace.ts";
import { PodNetwork } from "../../net/pod_network.ts";
import { type SavedNetwork, undoNetwork } from "../../net/saved.ts";
import type { Device } from "../../oci/spec.ts";
import { planVfio } from "../../sandbox/devices/vfio.ts";
import { newNetworkNamespace } from "../../sys/host.ts";
import { PciBus } from "../../sys/pci.ts";
import { delay } from "../../sys/timer.ts";
import { qemu } from "../../vm/qemu/qemu.ts";
import { tinyKernel } from "../../vm/qemu/testing/tiny_kernel.ts";
import type { VmConfig } from "../../vm/vmm.ts";

const MEMORY_MIB = 128;
const bus = new PciBus();

function report(what: string, found: unknown): void {
  console.log(JSON.stringify([what, found]));
}

function fail(what: string): never {
  throw new Error(what);
}

/** Links of a device that is driven by virtio, which the bus knows one level higher. */
function linksOf(address: string): string[] {
  const names = (folder: string) => {
    try {
      return Array.from(Deno.readDirSync(folder), ({ name }) => name);
    } catch {
      return [];
    }
  };
  const folder = bus.folderOf(address);
  return names(folder).filter((name) => name.startsWith("virtio")).flatMap((name) =>
    names(`${folder}/${name}/net`)
  );
}

/** The driver is there some time before its link. */
async function linkOf(address: string): Promise<string> {
  for (let tries = 0; tries < 600; tries++) {
    const [link] = linksOf(address);
    if (link !== undefined) return link;
    await delay(50);
  }
  return fail(`the device ${address} has no link`);
}

function machine(): VmConfig {
  const dir = Deno.makeTempDirSync();
  const kernel = `${dir}/kernel`;
  Deno.writeFileSync(kernel, tinyKernel("tiny kernel\n", "halt"));
  return {
    id: "inner",
    dir,
    hypervisorPath: "qemu-system-x86_64",
    accelerator: "tcg",
    machineType: "q35",
    kernel,
    kernelParams: [],
    agentParams: [],
    vcpus: 1,
    maxVcpus: 1,
    memoryMiB: MEMORY_MIB,
    ports: { kind: "root", count: 1 },
    share: { kind: "none" },
    agentTransport: "virtio-serial",
    seccompSandbox: "on,obsolete=deny,spawn=deny,resourcecontrol=deny",
    entropySource: "/dev/urandom",
    debug: false,
    onConsole: () => {},
    onLog: () => {},
  };
}

/** The link is moved into a pod's namespace, joined there, and with `crash` left to whoever comes after. */
async function physical(address: string, crash: boolean): Promise<void> {
  const link = await linkOf(address);
  const path = `/proc/${Deno.pid}/fd/${newNetworkNamespace()}`;
  for (
    const command of [
      `ip link set ${link} netns ${path}`,
      `nsenter --net=${path} ip address add 10.1.1.2/24 dev ${link}`,
    ]
  ) {
    const { success } = await new Deno.Command("sh", { args: ["-c", command], stdout: "null" }).output();
    if (!success) fail(command);
  }
  let saved: SavedNetwork | undefined;
  const network = new PodNetwork({
    namespace: PodNamespace.open(path),
    model: "tcfilter",
    queues: 1,
    vhost: false,
    limits: { rx: 0, tx: 0 },
    hostDevices: { atBoot: true, later: false },
    save: (network) => Promise.resolve(void (saved = network)),
  });
  const [pod] = (await network.look()).added;
  const { nic } = await network.join(pod ?? fail("there is no link to be joined"));
  report("joined", [nic.backend.kind, saved?.devices, bus.driverOf(address)]);
  if (crash) {
    await undoNetwork(JSON.parse(JSON.stringify(saved)));
  } else {
    const vm = await qemu.start({ ...machine(), nics: [nic] });
    report("machine with the link", Deno.readTextFileSync(`/proc/${vm.pid}/cmdline`).includes("vfio-pci"));
    await vm.stop();
    await network[Symbol.asyncDispose]();
  }
  report("given back", [bus.driverOf(address), (await linkOf(address)) !== ""]);
}

/** As with a container that names the group's node. */
async function pluggedIn(address: string): Promise<void> {
  const policy = { asVfio: false, atBoot: false, later: true };
  const nodes = (group: string): Device[] => [{ path: `/dev/vfio/${group}`, type: "c", major: 0, minor: 0 }];
  const group = bus.groupOf(address) ?? fail("there is no IOMMU");
  const plan = () => planVfio({ ...SPEC, linux: { devices: nodes(group) } }, policy);
  try {
    plan();
  } catch (error) {
    report("refused", String(error));
  }
  bus.offer(address, "vfio-pci");
  const [use] = plan().uses;
  await using vm = await qemu.start(machine());
  for (const device of use?.group.devices ?? []) {
    const plugged = await vm.hostDevices?.add(device);
    report("plugged in", [device.address, plugged?.path]);
  }
  const isLocked = () => {
    const [, kib] = /^VmLck:\s+(\d+) kB/m.exec(Deno.readTextFileSync(`/proc/${vm.pid}/status`)) ?? [];
    return Number(kib) >= MEMORY_MIB * 1024;
  };
  // the firmware changes what is where while it runs, and what was locked may for a moment not be
  let wasLocked = isLocked();
  for (let tries = 0; tries < 600 && !wasLocked; tries++) {
    await delay(50);
    wasLocked = isLocked();
  }
  report("locked", wasLocked);
}

const SPEC = {
  ociVersion: "1.1.0",
  process: { user: { uid: 0, gid: 0 }, args: ["sh"], cwd: "/" },
  root: { path: "rootfs" },
};

if (import.meta.main) {
  const addresses = Array.from(Deno.readDirSync("/sys/bus/pci/devices"), ({ name }) => name);
  // the first start reads QEMU and its libraries, which takes long here; those that count have a time limit
  await new Deno.Command("qemu-system-x86_64", { args: ["--version"], stdout: "null" }).output();
  const address = addresses.find((address) => linksOf(address).length > 0) ??
    fail("there is no network card");
  report("card", address);
  await physical(address, false);
  await physical(address, true);
  await pluggedIn(address);
}

import assert from "node:assert/strict";
import type { Config } from "../../config/schema.ts";
import type { Device, Spec } from "../../oci/spec.ts";
import { Code } from "../../rpc/errors.ts";
import { pciTree } from "../../sys/testdata/pci_tree.ts";
import { createSandbox } from "../create_sandbox.ts";
import { noIo } from "../io/streams.ts";
import { silentLog } from "../log/log.ts";
import type { SandboxNetwork } from "../network/network.ts";
import type { Sandbox } from "../sandbox.ts";
import { FakeHost, testConfig, testSpec } from "../testing/fake_host.ts";

const [GPU, SOUND, NIC] = ["0000:3b:00.0", "0000:3b:00.1", "0000:05:10.0"];

const node = (name: string, minor: number): Device => ({
  path: `/dev/vfio/${name}`,
  type: "c",
  major: 511,
  minor,
});
const NODES = [node("vfio", 196), node("12", 0)];

const specWith = (...devices: Device[]): Spec =>
  testSpec({ linux: { namespaces: [{ type: "pid" }, { type: "mount" }], devices } });

/** A host with two groups. */
function testHost(): FakeHost {
  const host = new FakeHost();
  const [sys, dev] = [`${host.folder}/sys`, `${host.folder}/dev`];
  const vfio = { driver: "vfio-pci" };
  pciTree(sys, {
    [GPU]: { ...vfio, group: "12" },
    [SOUND]: { ...vfio, group: "12", resource: [[2 ** 32, 2 ** 34 - 1, 0x14220c]] },
    [NIC]: { ...vfio, group: "13" },
  });
  Deno.mkdirSync(`${dev}/vfio`, { recursive: true });
  Deno.writeTextFileSync(`${dev}/vfio/vfio`, "");
  host.vfio = { sys, dev };
  return host;
}

function create(
  host: FakeHost,
  spec: Spec,
  change: Partial<Config["hypervisor"]>,
  asVfio = false,
): Promise<Sandbox> {
  const config = testConfig();
  Object.assign(config.hypervisor, change);
  if (asVfio) config.runtime.vfio_mode = "vfio";
  return createSandbox({ id: "s1", spec, config, log: silentLog, host, paths: host.paths });
}

/** What the guest is told of a container, and what was done on the host for it. */
async function containerIn(sandbox: Sandbox, host: FakeHost, spec: Spec, id = "c1") {
  const before = host.steps.length;
  const container = await sandbox.createContainer({ id, bundle: host.bundle, spec, rootfs: [], io: noIo() });
  await container.delete();
  const request = host.guest.requests.at(-1);
  return {
    devices: request?.devices.map(({ type, id, containerPath, options }) =>
      [type, id, containerPath, ...options].join(" ")
    ),
    nodes: request?.OCI?.Linux?.Devices.map(({ Path }) => Path),
    steps: host.steps.slice(before).filter((step) => step.includes("device")),
  };
}

Deno.test("a device is plugged in for the guest's kernel, without a node, and taken out with its container", async () => {
  await using host = testHost();
  await using sandbox = await create(host, specWith(...NODES), { hot_plug_vfio: "root-port" });
  assert.deepEqual(host.atBoot, []);
  // for the largest of those that may come
  assert.deepEqual(host.ports?.room, { prefetchable: 3 * 2 ** 32, other: 0 });
  assert.deepEqual(await containerIn(sandbox, host, specWith(...NODES)), {
    devices: [`vfio-pci-gk 12 /dev/vfio/12 ${GPU}=port of ${GPU} ${SOUND}=port of ${SOUND}`],
    nodes: [],
    steps: [`device ${GPU}`, `device ${SOUND}`, `take device ${GPU}`, `take device ${SOUND}`],
  });
});

Deno.test("a container that drives the device itself has its nodes", async () => {
  await using host = testHost();
  await using sandbox = await create(host, specWith(), { hot_plug_vfio: "bridge-port" }, true);
  const { devices, nodes } = await containerIn(sandbox, host, specWith(...NODES));
  assert.deepEqual(devices, [`vfio-pci 12 /dev/vfio/12 ${GPU}=port of ${GPU} ${SOUND}=port of ${SOUND}`]);
  assert.deepEqual(nodes, ["/dev/vfio/vfio", "/dev/vfio/12"]);
});

Deno.test("a machine is booted with the devices of the container that it is made for, and keeps them", async () => {
  await using host = testHost();
  await using sandbox = await create(host, specWith(...NODES), { cold_plug_vfio: "switch-port" });
  assert.deepEqual(host.atBoot, [GPU, SOUND]);
  for (const id of ["c1", "c2"]) {
    const { devices, steps } = await containerIn(sandbox, host, specWith(...NODES), id);
    assert.deepEqual(devices, [
      `vfio-pci-gk 12 /dev/vfio/12 ${GPU}=boot of ${GPU} ${SOUND}=boot of ${SOUND}`,
    ]);
    assert.deepEqual(steps, []);
  }
  await assert.rejects(containerIn(sandbox, host, specWith(node("13", 1)), "c3"), {
    code: Code.FailedPrecondition,
    message:
      'cannot give VFIO group 13 to the machine: it was not booted with it, and hot_plug_vfio is "no-port"',
  });
});

Deno.test("a link that is a device of the host is configured in the guest once its driver can be there", async () => {
  const memory = { prefetchable: 0, other: 0 };
  const device = { kind: "host-device", device: { address: NIC, iommufd: false, memory } } as const;
  const tap = { kind: "tap", fds: [], vhostFds: [] } as const;
  for (const [backend, order] of [[tap, "attach createSandbox"], [device, "createSandbox attach"]] as const) {
    await using host = testHost();
    const network = {
      path: undefined,
      nics: [{ id: "net0", mac: "02:00:00:00:00:01", backend }],
      attach: () => Promise.resolve(void host.guest.calls.push("attach")),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    host.openNetwork = () => Promise.resolve(network as unknown as SandboxNetwork);
    await using sandbox = await create(host, specWith(), {});
    assert.equal(sandbox.id, "s1");
    assert.equal(host.guest.calls.join(" "), order);
  }
});

Deno.test("what cannot be handed over is refused before anything is made", async () => {
  await using host = testHost();
  await assert.rejects(
    create(host, specWith(...NODES), {}),
    /both hot_plug_vfio and cold_plug_vfio are "no-port"$/,
  );
  await assert.rejects(create(host, specWith(node("99", 9)), { hot_plug_vfio: "root-port" }), {
    code: Code.FailedPrecondition,
    message: 'device "/dev/vfio/99" cannot be handed to the virtual machine: the host has no IOMMU group 99',
  });
  assert.deepEqual([host.steps, host.left()], [[], []]);
});

import assert from "node:assert/strict";
import type { HostDevice } from "../../vm/vmm.ts";
import { type HostDevicesOptions, SandboxHostDevices } from "./host_devices.ts";
import type { VfioGroup } from "./vfio.ts";

function group(id: string, ...addresses: string[]): VfioGroup {
  const memory = { prefetchable: 0, other: 0 };
  return { id, devices: addresses.map((address) => ({ address, iommufd: false, memory })) };
}

const [GPU, NIC] = [group("12", "0000:3b:00.0", "0000:3b:00.1"), group("13", "0000:05:10.0")];

/** A machine that writes down what it is given. */
function scene(change: Partial<HostDevicesOptions> = {}) {
  const steps: string[] = [];
  const refused = new Set<string>();
  const step = (name: string) => {
    if (refused.has(name)) return Promise.reject(new Error(`${name} fails`));
    steps.push(name);
    return Promise.resolve();
  };
  const hostDevices = {
    pathOf: ({ address }: HostDevice) => Promise.resolve(`boot ${address}`),
    add: async ({ address }: HostDevice) => {
      await step(`+${address}`);
      return { path: `later ${address}`, [Symbol.asyncDispose]: () => step(`-${address}`) };
    },
  };
  const write = (level: string, message: string) => steps.push(`${level} ${message}`);
  const options = { vm: { hostDevices }, atBoot: [], later: true, log: { write }, ...change };
  return { steps, refused, devices: new SandboxHostDevices(options) };
}

Deno.test("a group is plugged in once, whoever uses it, and goes with its last user", async () => {
  const { steps, devices } = scene();
  const [one, other] = await Promise.all([devices.use(GPU), devices.use(GPU)]);
  assert.deepEqual([...one?.paths ?? []], [
    ["0000:3b:00.0", "later 0000:3b:00.0"],
    ["0000:3b:00.1", "later 0000:3b:00.1"],
  ]);
  await one?.[Symbol.asyncDispose]();
  assert.deepEqual(steps, ["+0000:3b:00.0", "+0000:3b:00.1"]);
  await other?.[Symbol.asyncDispose]();
  assert.deepEqual(steps.slice(2), ["-0000:3b:00.0", "-0000:3b:00.1"]);
  await using again = await devices.use(GPU);
  assert.equal(again.paths.size, 2);
});

Deno.test("a group is plugged in whole or not at all; one that the guest does not release is logged", async () => {
  const { steps, refused, devices } = scene();
  refused.add("+0000:3b:00.1");
  await assert.rejects(devices.use(GPU), {
    message: "cannot give VFIO group 12 to the machine: +0000:3b:00.1 fails",
  });
  assert.deepEqual(steps, ["+0000:3b:00.0", "-0000:3b:00.0"]);
  refused.clear();
  refused.add("-0000:05:10.0");
  await (await devices.use(NIC))[Symbol.asyncDispose]();
  assert.deepEqual(steps.slice(2), [
    "+0000:05:10.0",
    "warning the device 0000:05:10.0 stays in the machine: -0000:05:10.0 fails",
  ]);
});

Deno.test("what is there since boot stays; what is not cannot come where nothing may be plugged in", async () => {
  const { steps, devices } = scene({ atBoot: [GPU], later: false });
  const used = await devices.use(GPU);
  assert.equal(used.paths.get("0000:3b:00.1"), "boot 0000:3b:00.1");
  await used[Symbol.asyncDispose]();
  assert.deepEqual(steps, []);
  await assert.rejects(devices.use(NIC), {
    message:
      'cannot give VFIO group 13 to the machine: it was not booted with it, and hot_plug_vfio is "no-port"',
  });
  await assert.rejects(scene({ vm: {} }).devices.use(NIC), /it has no ports for such devices$/);
});

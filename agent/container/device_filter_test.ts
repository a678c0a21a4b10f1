/** Filters of devices in containers on this machine's kernel, seen by trying what they forbid. */

import assert from "node:assert/strict";
import type { DeviceRule, Spec } from "../../oci/spec.ts";
import { countDevicePrograms } from "../../sys/bpf.ts";
import { closeFd, O, openFd } from "../../sys/fd.ts";
import { Harness, specOf } from "./testing/harness.ts";

/** Tries to make a node and to read from it; which are there does not matter, only whether it may be tried. */
function tries(device: string): string {
  const node = `/tmp/${device.replace(/\W/g, "_")}`;
  const words = device.replace(":", " ");
  return `rm -f ${node}; mknod ${node} ${words} && dd if=${node} of=/dev/null bs=1 count=1 2>&1 | ` +
    `grep -q 'Operation not permitted' && echo '${device}: denied' || echo '${device}: may be tried'`;
}

const DEVICES = ["c 1:11", "c 1:1", "c 10:237", "b 7:0", "b 8:0", "b 43:0", "c 1:5"];

function withRules(devices: DeviceRule[] | undefined): (spec: Spec) => void {
  return (spec) => {
    if (devices) spec.linux = { ...spec.linux, resources: { devices } };
  };
}

async function results(harness: Harness, devices: DeviceRule[] | undefined): Promise<string[]> {
  const printed = await harness.output(DEVICES.map(tries).join("; "), withRules(devices));
  return printed.split("\n").filter((line) => line.endsWith("denied")).map((line) =>
    line.replace(": denied", "")
  );
}

const USUAL_DENIED = DEVICES.slice(0, -1);

Deno.test("root that may make nodes reaches no device of the machine, unless it is privileged", async () => {
  await using harness = new Harness();
  assert.deepEqual(await results(harness, undefined), USUAL_DENIED);
  assert.deepEqual(await results(harness, [{ allow: false, access: "rwm" }]), USUAL_DENIED);
  assert.deepEqual(await results(harness, [{ allow: true, access: "rwm" }]), []);
  const some = [
    { allow: false, access: "rwm" },
    { allow: true, type: "c", major: 1, minor: 11, access: "r" },
    { allow: true, type: "b", major: 7, access: "rwm" },
  ];
  assert.deepEqual(
    await results(harness, some),
    USUAL_DENIED.filter((name) => !["c 1:11", "b 7:0"].includes(name)),
  );
});

Deno.test("what every container has works under a filter", async () => {
  await using harness = new Harness();
  const script =
    `for d in null zero full random urandom; do dd if=/dev/$d of=/dev/null bs=1 count=1 2>/dev/null || exit 1
    done; echo x > /dev/null; mknod /tmp/pipe p && echo done`;
  assert.equal(await harness.output(script, withRules([{ allow: false, access: "rwm" }])), "done");
});

Deno.test("new rules take the place of the old ones at once, for processes that run, too", async () => {
  await using harness = new Harness();
  await using made = await harness.create(specOf(harness.rootfs, ["sleep", "100"]));
  const { container } = made;
  await container.start();
  const denied = async () => {
    const { stdout } = await made.exec({ args: ["sh", "-c", tries("b 7:0")] });
    return stdout.includes("denied");
  };
  const programs = () => {
    const folder = openFd(container.cgroupPath, O.RDONLY | O.DIRECTORY);
    try {
      return countDevicePrograms(folder);
    } finally {
      closeFd(folder);
    }
  };
  assert.deepEqual([await denied(), programs()], [true, 1]);
  container.update({ devices: [{ allow: true, type: "b", major: 7, minor: 0 }] });
  assert.deepEqual([await denied(), programs()], [false, 1]);
  // Other limits leave them alone.
  container.update({ unified: { "cgroup.max.depth": "5" } });
  assert.deepEqual([await denied(), programs()], [false, 1]);
  container.update({ devices: [{ allow: true }] });
  assert.deepEqual([await denied(), programs()], [false, 0]);
  container.update({ devices: [{ allow: false }] });
  assert.deepEqual([await denied(), programs()], [true, 1]);
  assert.throws(() => container.update({ devices: [{ allow: true, type: "x" }] }), {
    name: "SpecError",
    message: 'resources.devices[0].type must be "a", "b" or "c", as others are no devices: it is "x"',
  });
  assert.deepEqual([await denied(), programs()], [true, 1]);
});

Deno.test("cgroups that a container makes for itself are under its filter", async () => {
  await using harness = new Harness();
  const script = `mkdir /sys/fs/cgroup/own && echo $$ > /sys/fs/cgroup/own/cgroup.procs && ${tries("b 7:0")}`;
  const printed = await harness.output(script, (spec) => {
    spec.mounts?.push({ destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup" });
  });
  assert.equal(printed, "b 7:0: denied");
});

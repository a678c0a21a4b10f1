/**
 * Where a pod's processes and threads are on the host, and what they may use there.
 *
 * @module
 */

import assert from "node:assert/strict";
import { packAny } from "../../rpc/any.ts";
import { PodSandboxConfigSchema } from "../../rpc/gen/cri_pb.ts";
import { run } from "../../tools/process.ts";
import { writeConfiguration } from "./configuration.ts";
import { until } from "./containerd.ts";
import { type DirectShim, limits, memberOf, POD, startShim } from "./direct_shim.ts";
import {
  cgroupsOf,
  having,
  HIERARCHIES,
  membersOf,
  podCgroup,
  threadsOf,
  version,
  WITH_OVERHEAD,
  withoutOthers,
} from "./host_cgroups.ts";
import { leaksSince, ownId, traces } from "./leaks.ts";
import { temporaryRootfs } from "./rootfs.ts";

/** A shim whose pod is in a cgroup named after it. */
interface Bench {
  readonly shim: DirectShim;
  readonly rootfs: string;
  readonly folder: string;
  readonly id: string;
}

/** The whole life of a pod, after which nothing is left. */
async function withShim(only: boolean, use: (bench: Bench) => Promise<void>): Promise<void> {
  const id = ownId(`cgroup${only ? 1 : 0}`);
  const before = await traces();
  {
    await using rootfs = await temporaryRootfs();
    const configuration = writeConfiguration(rootfs.folder, { runtime: { sandbox_cgroup_only: only } });
    await using shim = await startShim(id, { configuration, ...(only && { wrapper: withoutOthers() }) });
    {
      using _pod = podCgroup(id);
      await use({ shim, rootfs: rootfs.path, folder: rootfs.folder, id });
    }
    assert.deepEqual(cgroupsOf(id), []);
  }
  assert.deepEqual(await leaksSince(before), []);
}

async function startPod({ shim, rootfs, id }: Bench): Promise<void> {
  const options = { args: ["sleep", "1000"], rootfs, annotations: POD, cgroupsPath: `/${id}/pod` };
  const bundle = shim.writeBundle(id, options);
  await shim.task.create({ id, bundle });
  await shim.task.start({ id });
}

async function remove({ task }: DirectShim, id: string): Promise<void> {
  const ended = task.wait({ id });
  await task.kill({ id, signal: 9, all: true });
  await ended;
  await task.delete({ id });
}

/** What a container is bound to on the host becomes what the sandbox's cgroup is bound to. */
async function bindContainers({ shim, rootfs, id }: Bench, cgroup: string): Promise<void> {
  const [cpuset] = having("cpuset");
  assert.ok(cpuset, "this machine has no cpuset controller");
  const bound = () => Deno.readTextFileSync(`${cpuset.root}/${cgroup}/cpuset.cpus`).trim();
  const free = bound();
  for (const [name, cpus] of [["one", "0"], ["two", "1"]] as const) {
    const options = { args: ["sleep", "1000"], rootfs, annotations: memberOf(id) };
    const bundle = shim.writeBundle(name, { ...options, resources: { cpu: { cpus } } });
    await shim.task.create({ id: name, bundle });
    await shim.task.start({ id: name });
  }
  assert.equal(bound(), "0-1");
  await shim.task.update({ id: "one", resources: limits({ cpu: { cpus: "1" } }) });
  assert.equal(bound(), "1");
  await remove(shim, "one");
  await remove(shim, "two");
  await until("nothing is bound any more", () => bound() === free);
}

Deno.test("by default virtual CPUs are in the pod's cgroup, and all else is in the overhead cgroup", async () => {
  await withShim(false, async (bench) => {
    const { shim, id } = bench;
    await startPod(bench);
    const overhead = `kata_overhead/${id}`;
    for (const hierarchy of WITH_OVERHEAD) {
      const members = membersOf(hierarchy, overhead);
      for (const name of [/^qemu/, /^virtiofsd/, /^(containerd-shim|kata)/]) {
        assert.ok(members.some((each) => name.test(each)), `${hierarchy.root}: ${members}`);
      }
    }
    const cgroup = version === 1 ? `${id}/kata_pod` : `${overhead}/vcpus`;
    for (const hierarchy of having("cpu", "cpuacct", "cpuset", "devices")) {
      const threads = threadsOf(hierarchy, cgroup);
      assert.ok(threads.length > 0 && threads.every((name) => name.startsWith("CPU ")), `${threads}`);
    }
    await bindContainers(bench, cgroup);
    await remove(shim, id);
    for (const { root } of HIERARCHIES) {
      assert.throws(() => Deno.statSync(`${root}/${overhead}`), Deno.errors.NotFound);
    }
  });
});

Deno.test("a shim that is killed leaves no cgroup", async () => {
  await withShim(false, async (bench) => {
    await startPod(bench);
    assert.ok(cgroupsOf(bench.id).some((path) => path.endsWith(`${bench.id}/kata_pod`)));
    Deno.kill(bench.shim.pid, "SIGKILL");
    await bench.shim.run("delete");
  });
});

/** Whether what is in a cgroup may open a device. */
async function mayOpen(cgroup: string, device: string): Promise<boolean> {
  const script = 'echo $$ > "$0/cgroup.procs" && true < "$1" && echo yes || echo no';
  return (await run(["sh", "-c", script, cgroup, device])).trim() === "yes";
}

Deno.test("sandbox_cgroup_only: all of a pod is in its cgroup, with the devices that it needs and no others", async () => {
  await withShim(true, async (bench) => {
    const { shim, rootfs, id, folder } = bench;
    await using taken = new AsyncDisposableStack();
    await startPod(bench);
    const cgroup = `${id}/kata_pod`;
    for (const hierarchy of HIERARCHIES) {
      const members = membersOf(hierarchy, cgroup);
      for (const name of [/^qemu/, /^virtiofsd/, /^(containerd-shim|kata)/]) {
        assert.ok(members.some((each) => name.test(each)), `${hierarchy.root}: ${members}`);
      }
      assert.throws(() => Deno.statSync(`${hierarchy.root}/kata_overhead/${id}`), Deno.errors.NotFound);
    }
    const [devices] = having("devices");
    assert.ok(devices);
    const own = `${devices.root}/${cgroup}`;
    assert.deepEqual(await Promise.all(["/dev/null", "/dev/net/tun"].map((each) => mayOpen(own, each))), [
      true,
      true,
    ]);
    assert.equal(await mayOpen(own, "/dev/kmsg"), false);

    // a disk that comes later
    await Deno.writeTextFile(`${folder}/disk`, "on the disk\n".padEnd(1_048_576));
    const node = (await run(["losetup", "--find", "--show", `${folder}/disk`])).trim();
    taken.defer(() => run(["losetup", "--detach", node]).then(() => {}));
    assert.equal(await mayOpen(own, node), false);
    const [major, minor] = (await run(["stat", "-c", "%Hr %Lr", node])).trim().split(" ").map(Number);
    const stdout = shim.outputFifo("disk");
    const bundle = shim.writeBundle("disk", {
      args: ["sh", "-c", "head -n 1 /dev/xvda; sleep 1000"],
      rootfs,
      annotations: memberOf(id),
      devices: [{ path: "/dev/xvda", type: "b", major, minor, fileMode: 0o600, uid: 0, gid: 0 }],
    });
    await shim.task.create({ id: "disk", bundle, stdout: stdout.path });
    await shim.task.start({ id: "disk" });
    assert.equal(await mayOpen(own, node), true);
    await remove(shim, "disk");
    assert.equal(await stdout.text, "on the disk\n");
    assert.equal(await mayOpen(own, node), false);
    Deno.kill(shim.pid, "SIGKILL");
    await shim.run("delete");
  });
});

Deno.test("a pod by the Sandbox API is in the cgroup that its configuration names", async () => {
  await withShim(true, async ({ shim, id: sandboxId }) => {
    const { sandbox } = shim;
    const options = packAny(PodSandboxConfigSchema, { linux: { cgroupParent: `/${sandboxId}/pod` } });
    await sandbox.createSandbox({ sandboxId, bundlePath: shim.bundle(sandboxId), options });
    await sandbox.startSandbox({ sandboxId });
    for (const hierarchy of HIERARCHIES) {
      assert.ok(
        membersOf(hierarchy, `${sandboxId}/pod/kata_${sandboxId}`).some((name) => /^qemu/.test(name)),
      );
    }
    await sandbox.stopSandbox({ sandboxId });
    await sandbox.shutdownSandbox({ sandboxId });
    const own = () => cgroupsOf(sandboxId).filter((path) => !path.endsWith(`/${sandboxId}`));
    await until("the cgroups are gone", () => own().length === 0);
    await shim.run("delete");
  });
});

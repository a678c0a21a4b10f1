import assert from "node:assert/strict";
import { addVolume, DirectVolumeError, removeVolume, sandboxOfVolume } from "../../fs/direct_volume.ts";
import { createSandbox } from "../create_sandbox.ts";
import { noIo } from "../io/streams.ts";
import { silentLog } from "../log/log.ts";
import { FakeHost, testConfig, testSpec } from "../testing/fake_host.ts";
import { SandboxDisks } from "./disks.ts";

Deno.test("a volume is the sandbox's until the last of the containers that use it has gone", async () => {
  await using host = new FakeHost();
  const id = crypto.randomUUID();
  const disk = `${host.folder}/disk.img`;
  const volume = `${host.folder}/volume`;
  await Deno.writeFile(disk, new Uint8Array(512));
  await addVolume(volume, JSON.stringify({ "volume-type": "block", device: disk, fstype: "ext4" }));
  try {
    const common = { config: testConfig(), log: silentLog, host, paths: host.paths };
    const sandbox = await createSandbox({ id, spec: testSpec(), ...common });
    const spec = testSpec({ mounts: [{ destination: "/data", type: "bind", source: volume }] });
    const create = (name: string) =>
      sandbox.createContainer({ id: name, bundle: host.bundle, spec, rootfs: [], io: noIo() });
    const [first, second] = [await create("c1"), await create("c2")];
    assert.equal(sandboxOfVolume(volume), id);
    await first.delete();
    assert.equal(sandboxOfVolume(volume), id);
    assert.ok(!host.steps.includes(`take disk ${disk}`));
    await second.delete();
    assert.throws(() => sandboxOfVolume(volume), DirectVolumeError);
    await sandbox[Symbol.asyncDispose]();
    assert.deepEqual(host.left(), []);
  } finally {
    removeVolume(volume);
  }
});

Deno.test("a volume that another sandbox uses is refused, and stays that one's", async () => {
  const folder = await Deno.makeTempDir();
  const volume = `${folder}/volume`;
  await addVolume(volume, "{}");
  const disks = () =>
    new SandboxDisks({ addDisk: () => Promise.reject(new Error("no disks")) }, silentLog, {
      useDevice: () => ({ [Symbol.dispose]() {} }),
    });
  try {
    const claimed = await disks().claim(volume, "/dev/a", "s1");
    await assert.rejects(disks().claim(volume, "/dev/a", "s2"), /is used by sandbox "s1" already/);
    assert.equal(sandboxOfVolume(volume), "s1");
    await claimed[Symbol.asyncDispose]();
    assert.throws(() => sandboxOfVolume(volume), DirectVolumeError);
  } finally {
    removeVolume(volume);
    await Deno.remove(folder);
  }
});

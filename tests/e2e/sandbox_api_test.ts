/**
 * The shim's Sandbox API, as containerd from 2.0 on uses it for runtimes with `sandboxer = "shim"`.
 *
 * @module
 */

import assert from "node:assert/strict";
import { packAny } from "../../rpc/any.ts";
import { PodSandboxConfigSchema } from "../../rpc/gen/cri_pb.ts";
import { writeConfiguration } from "./configuration.ts";
import { memberOf, startShim } from "./direct_shim.ts";
import { leaksSince, ownId, traces } from "./leaks.ts";
import { temporaryRootfs } from "./rootfs.ts";

const SANDBOX = ownId("sandboxapi");

Deno.test("a pod by the Sandbox API", async () => {
  const before = await traces();
  {
    await using rootfs = await temporaryRootfs();
    await using shim = await startShim(SANDBOX, { configuration: writeConfiguration(rootfs.folder) });
    const { sandbox, task } = shim;
    const options = packAny(PodSandboxConfigSchema, {
      hostname: "web-0",
      dnsConfig: { servers: ["192.0.2.53"] },
      linux: { sysctls: { "kernel.shmmni": "1234" } },
    });
    const sandboxId = SANDBOX;
    await sandbox.createSandbox({ sandboxId, bundlePath: shim.bundle(SANDBOX), options });
    const waiting = sandbox.waitSandbox({ sandboxId });
    // what else fails is to be seen
    waiting.catch(() => {});
    const { pid } = await sandbox.startSandbox({ sandboxId });
    await sandbox.pingSandbox({ sandboxId });
    assert.match(await Deno.readTextFile(`/proc/${pid}/cmdline`), /^[^\0]*qemu-system-/);

    const id = ownId("member");
    const bundle = shim.writeBundle(id, {
      args: ["sh", "-c", "cat /etc/resolv.conf /etc/hostname /proc/sys/kernel/shmmni"],
      rootfs: rootfs.path,
      annotations: memberOf(SANDBOX),
    });
    assert.equal(await shim.run("start", id), await Deno.readTextFile(`${shim.bundle(SANDBOX)}/address`));
    const stdout = shim.outputFifo(id);
    await task.create({ id, bundle, stdout: stdout.path });
    await task.start({ id });
    assert.equal((await task.wait({ id })).exitStatus, 0);
    assert.equal(await stdout.text, "nameserver 192.0.2.53\nweb-0\n1234\n");
    await task.delete({ id });
    // the pod outlives its last container
    await task.shutdown({ id });
    assert.equal((await sandbox.sandboxStatus({ sandboxId })).state, "SANDBOX_READY");

    await sandbox.stopSandbox({ sandboxId });
    assert.equal((await waiting).exitStatus, 0);
    assert.equal((await sandbox.sandboxStatus({ sandboxId })).state, "SANDBOX_NOTREADY");
    await sandbox.shutdownSandbox({ sandboxId });
    await shim.run("delete");
  }
  assert.deepEqual(await leaksSince(before), []);
});

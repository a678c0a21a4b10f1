/**
 * Ends of a shim's server that nobody asked for through its service.
 *
 * @module
 */

import assert from "node:assert/strict";
import { writeConfiguration } from "./configuration.ts";
import { until } from "./containerd.ts";
import { startShim } from "./direct_shim.ts";
import { leaksSince, ownId, traces } from "./leaks.ts";
import { temporaryRootfs } from "./rootfs.ts";
import { pidsOf } from "./victims.ts";

const [TERM, STUCK, STILL, OOM] = [ownId("term"), ownId("stuck"), ownId("still"), ownId("oom")];

/** Longest that a standing machine may stay unnoticed: the pause between two checks, and the patience with one. */
const NOTICE_MS = 120_000;

Deno.test("a server that gets SIGTERM ends its containers, tells of it, and takes everything with it", async () => {
  await using rootfs = await temporaryRootfs();
  const left = await traces();
  {
    const configuration = writeConfiguration(rootfs.folder);
    await using shim = await startShim(TERM, { configuration });
    const stdout = shim.outputFifo("out");
    const bundle = shim.writeBundle(TERM, {
      args: ["sh", "-c", "echo up; sleep 1000"],
      rootfs: rootfs.path,
    });
    await shim.task.create({ id: TERM, bundle, stdout: stdout.path });
    await shim.task.start({ id: TERM });
    const waiting = shim.task.wait({ id: TERM });
    Deno.kill(shim.pid, "SIGTERM");
    assert.equal((await waiting).exitStatus, 137);
    assert.equal(await stdout.text, "up\n");
    await until("the server is gone", async () => (await pidsOf("shim", TERM)).length === 0);
    assert.deepEqual(shim.events, [
      `/tasks/create ${TERM}`,
      `/tasks/start ${TERM}`,
      `/tasks/exit ${TERM} 137`,
    ]);
    // before any clean-up from outside
    assert.deepEqual(await leaksSince(left), []);
  }
});

Deno.test("a server that does not answer any more is cleaned up with all that it runs", async () => {
  await using rootfs = await temporaryRootfs();
  const left = await traces();
  {
    await using shim = await startShim(STUCK, { configuration: writeConfiguration(rootfs.folder) });
    const bundle = shim.writeBundle(STUCK, { args: ["sleep", "1000"], rootfs: rootfs.path });
    const spec = JSON.parse(await Deno.readTextFile(`${bundle}/config.json`));
    spec.hooks = { poststop: [{ path: "/bin/sh", args: ["sh", "-c", "cat > said"], env: ["PATH=/bin"] }] };
    await Deno.writeTextFile(`${bundle}/config.json`, JSON.stringify(spec));
    await shim.task.create({ id: STUCK, bundle });
    await shim.task.start({ id: STUCK });
    Deno.kill(shim.pid, "SIGSTOP");
    shim.disconnect();
    await shim.run("delete");
    assert.deepEqual(await leaksSince(left), []);
    const { id, status } = JSON.parse(await Deno.readTextFile(`${bundle}/said`));
    assert.deepEqual([id, status], [STUCK, "stopped"]);
  }
});

Deno.test("a machine that hangs is noticed, and its processes are reported as ended", async () => {
  await using rootfs = await temporaryRootfs();
  const left = await traces();
  {
    await using shim = await startShim(STILL, { configuration: writeConfiguration(rootfs.folder) });
    const bundle = shim.writeBundle(STILL, { args: ["sleep", "1000"], rootfs: rootfs.path });
    await shim.task.create({ id: STILL, bundle });
    await shim.task.start({ id: STILL });
    const [machine = 0] = await pidsOf("qemu", STILL);
    Deno.kill(machine, "SIGSTOP");
    assert.equal((await shim.task.wait({ id: STILL }, { timeoutMs: NOTICE_MS })).exitStatus, 255);
    await shim.task.delete({ id: STILL });
    await shim.task.shutdown({ id: STILL });
    await until("all is told", () => shim.events.includes(`/tasks/delete ${STILL} 255`));
    assert.deepEqual(shim.events.slice(2), [`/tasks/exit ${STILL} 255`, `/tasks/delete ${STILL} 255`]);
  }
  assert.deepEqual(await leaksSince(left), []);
});

Deno.test("an out-of-memory kill is published", async () => {
  await using rootfs = await temporaryRootfs();
  const left = await traces();
  {
    await using shim = await startShim(OOM, { configuration: writeConfiguration(rootfs.folder) });
    // "tail" keeps the last line, which has no end
    const bundle = shim.writeBundle(OOM, { args: ["tail", "/dev/zero"], rootfs: rootfs.path });
    const spec = JSON.parse(await Deno.readTextFile(`${bundle}/config.json`));
    spec.linux.resources = { memory: { limit: 32 * 1024 * 1024 } };
    await Deno.writeTextFile(`${bundle}/config.json`, JSON.stringify(spec));
    await shim.task.create({ id: OOM, bundle });
    await shim.task.start({ id: OOM });
    assert.equal((await shim.task.wait({ id: OOM })).exitStatus, 137);
    await shim.task.delete({ id: OOM });
    await shim.task.shutdown({ id: OOM });
    await until("all is told", () => shim.events.includes(`/tasks/delete ${OOM} 137`));
    assert.deepEqual(shim.events.slice(2), [
      `/tasks/oom ${OOM}`,
      `/tasks/exit ${OOM} 137`,
      `/tasks/delete ${OOM} 137`,
    ]);
  }
  assert.deepEqual(await leaksSince(left), []);
});

/**
 * Ends of a shim's server that nobody asked for through its service.
 *
 * @module
 */

import assert from "node:assert/strict";
import { writeConfiguration } from "./configuration.ts";
import { until } from "./containerd.ts";
import { startShim } from "./direct_shim.ts";
import { leaksSince, traces } from "./leaks.ts";
import { temporaryRootfs } from "./rootfs.ts";
import { pidsOf } from "./victims.ts";

/** Longest that a standing machine may stay unnoticed: the pause between two checks, and the patience with one. */
const NOTICE_MS = 60_000;

Deno.test("a server that gets SIGTERM ends its containers, tells of it, and takes everything with it", async () => {
  await using rootfs = await temporaryRootfs();
  const left = await traces();
  {
    const configuration = writeConfiguration(rootfs.folder);
    await using shim = await startShim("term", { configuration });
    const stdout = shim.outputFifo("out");
    const bundle = shim.writeBundle("term", {
      args: ["sh", "-c", "echo up; sleep 1000"],
      rootfs: rootfs.path,
    });
    await shim.task.create({ id: "term", bundle, stdout: stdout.path });
    await shim.task.start({ id: "term" });
    const waiting = shim.task.wait({ id: "term" });
    Deno.kill(shim.pid, "SIGTERM");
    assert.equal((await waiting).exitStatus, 137);
    assert.equal(await stdout.text, "up\n");
    await until("the server is gone", async () => (await pidsOf("shim", "term")).length === 0);
    assert.deepEqual(shim.events, ["/tasks/create term", "/tasks/start term", "/tasks/exit term 137"]);
    // before any clean-up from outside
    assert.deepEqual(await leaksSince(left), []);
  }
});

Deno.test("a server that does not answer any more is cleaned up with all that it runs", async () => {
  await using rootfs = await temporaryRootfs();
  const left = await traces();
  {
    await using shim = await startShim("stuck", { configuration: writeConfiguration(rootfs.folder) });
    const bundle = shim.writeBundle("stuck", { args: ["sleep", "1000"], rootfs: rootfs.path });
    await shim.task.create({ id: "stuck", bundle });
    await shim.task.start({ id: "stuck" });
    Deno.kill(shim.pid, "SIGSTOP");
    shim.disconnect();
    await shim.run("delete");
    assert.deepEqual(await leaksSince(left), []);
  }
});

Deno.test("a machine that stands still is noticed, and its processes are told to have ended", async () => {
  await using rootfs = await temporaryRootfs();
  const left = await traces();
  {
    await using shim = await startShim("still", { configuration: writeConfiguration(rootfs.folder) });
    const bundle = shim.writeBundle("still", { args: ["sleep", "1000"], rootfs: rootfs.path });
    await shim.task.create({ id: "still", bundle });
    await shim.task.start({ id: "still" });
    const [machine = 0] = await pidsOf("qemu", "still");
    Deno.kill(machine, "SIGSTOP");
    assert.equal((await shim.task.wait({ id: "still" }, { timeoutMs: NOTICE_MS })).exitStatus, 255);
    await shim.task.delete({ id: "still" });
    await shim.task.shutdown({ id: "still" });
    assert.deepEqual(shim.events.slice(2), ["/tasks/exit still 255", "/tasks/delete still 255"]);
  }
  assert.deepEqual(await leaksSince(left), []);
});

Deno.test("a container that needs more memory than it may have is told of", async () => {
  await using rootfs = await temporaryRootfs();
  const left = await traces();
  {
    await using shim = await startShim("oom", { configuration: writeConfiguration(rootfs.folder) });
    // "tail" keeps the last line, which has no end
    const bundle = shim.writeBundle("oom", { args: ["tail", "/dev/zero"], rootfs: rootfs.path });
    const spec = JSON.parse(await Deno.readTextFile(`${bundle}/config.json`));
    spec.linux.resources = { memory: { limit: 32 * 1024 * 1024 } };
    await Deno.writeTextFile(`${bundle}/config.json`, JSON.stringify(spec));
    await shim.task.create({ id: "oom", bundle });
    await shim.task.start({ id: "oom" });
    assert.equal((await shim.task.wait({ id: "oom" })).exitStatus, 137);
    await shim.task.delete({ id: "oom" });
    await shim.task.shutdown({ id: "oom" });
    await until("all is told", () => shim.events.includes("/tasks/delete oom 137"));
    assert.deepEqual(shim.events.slice(2), [
      "/tasks/oom oom",
      "/tasks/exit oom 137",
      "/tasks/delete oom 137",
    ]);
  }
  assert.deepEqual(await leaksSince(left), []);
});

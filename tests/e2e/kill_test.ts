/**
 * `kill -9` of each process of a sandbox at each moment of its life: the end is reported within a bounded time, the
 * clean-up succeeds, and nothing is left on the host.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type Containerd, startContainerd, until } from "./containerd.ts";
import { writeConfiguration } from "./configuration.ts";
import { startShim } from "./direct_shim.ts";
import { EventLog } from "./event_log.ts";
import { leaksSince, ownId, traces } from "./leaks.ts";
import { temporaryRootfs } from "./rootfs.ts";
import { kill, pidsOf, type Victim, VICTIMS } from "./victims.ts";

const PATH = ["--env", "PATH=/bin"];

/** Longest that a death may stay unreported, in milliseconds. */
const REPORT_MS = 120_000;

interface Scene {
  readonly containerd: Containerd;
  readonly events: EventLog;
  readonly rootfs: string;
  readonly id: string;
  readonly victim: Victim;
}

/** Moments of a container's life under containerd. */
const MOMENTS: Record<string, (scene: Scene) => Promise<void>> = {
  "during boot": async ({ containerd, rootfs, id, victim }) => {
    const running = containerd.run([
      "run",
      "-d",
      "--runtime",
      "io.containerd.kata.v2",
      "--rootfs",
      rootfs,
      id,
      "sleep",
      "1000",
    ], { timeoutMs: REPORT_MS });
    await until("the machine has been started", async () => (await pidsOf("qemu", id)).length > 0);
    await kill(victim, id);
    const { code, stderr } = await running;
    assert.equal(code, 1, stderr);
    assert(!stderr.includes("took too long"), stderr);
  },

  "while it runs": async (scene) => {
    await runs(scene);
    await kill(scene.victim, scene.id);
    await reported(scene);
  },

  "during an exec": async (scene) => {
    await runs(scene);
    const exec = scene.containerd.run(["task", "exec", "--exec-id", "e1", scene.id, "sleep", "1000"], {
      timeoutMs: REPORT_MS,
    });
    await until("the exec runs", async () => {
      const { stdout } = await scene.containerd.run([
        "task",
        "exec",
        "--exec-id",
        `ps${Date.now()}`,
        scene.id,
        "ps",
      ]);
      return stdout.split("sleep 1000").length > 2;
    });
    await kill(scene.victim, scene.id);
    const { code, stderr } = await exec;
    assert.notEqual(code, 0);
    assert(!stderr.includes("took too long"), stderr);
    await reported(scene);
  },

  "during the deletion": async (scene) => {
    await runs(scene);
    const removing = scene.containerd.run(["task", "rm", "--force", scene.id], { timeoutMs: REPORT_MS });
    // the deletion may be the faster one
    await kill(scene.victim, scene.id, 2_000).catch(() => {});
    const { stderr } = await removing;
    assert(!stderr.includes("took too long"), stderr);
    await reported(scene);
  },
};

async function runs({ containerd, rootfs, id }: Scene): Promise<void> {
  await containerd.runDetached(id, rootfs, ["sleep", "1000"], PATH);
}

/** The exit of the init is told, once, and the task can be removed. */
async function reported({ containerd, events, id }: Scene): Promise<void> {
  await until(
    `the end of "${id}" is reported`,
    async () => [undefined, "STOPPED"].includes(await containerd.taskStatus(id)),
    REPORT_MS,
  );
  await containerd.run(["task", "rm", "--force", id], { timeoutMs: REPORT_MS });
  assert.equal(await containerd.taskStatus(id), undefined);
  const exits = (await events.take(id, "/tasks/exit")).filter((event) =>
    event.startsWith(`/tasks/exit ${id} `)
  );
  assert.equal(exits.length, 1, exits.join());
  assert.match(exits[0] ?? "", / (137|255)$/);
}

Deno.test("a sandbox whose processes are killed under containerd", async (t) => {
  const before = await traces();
  {
    await using rootfs = await temporaryRootfs();
    const configuration = writeConfiguration(rootfs.folder);
    await using containerd = await startContainerd({ configuration });
    await using events = await EventLog.start(containerd);
    let count = 0;
    for (const [moment, scenario] of Object.entries(MOMENTS)) {
      for (const victim of VICTIMS) {
        await t.step(`${victim} ${moment}`, async () => {
          const left = await traces();
          const id = ownId(`k${count++}`);
          await scenario({ containerd, events, rootfs: rootfs.path, id, victim });
          await containerd.run(["task", "rm", "--force", id], { timeoutMs: REPORT_MS });
          await containerd.ctr(["container", "rm", id]).catch(() => {});
          assert.deepEqual(await leaksSince(left), []);
        });
      }
    }
  }
  assert.deepEqual(await leaksSince(before), []);
});

Deno.test("a sandbox whose processes are killed before the start", async (t) => {
  await using rootfs = await temporaryRootfs();
  const configuration = writeConfiguration(rootfs.folder);
  for (const victim of VICTIMS) {
    await t.step(victim, async () => {
      const left = await traces();
      {
        const id = ownId(`b${victim}`);
        await using shim = await startShim(id, { configuration });
        const bundle = shim.writeBundle(id, { args: ["sleep", "1000"], rootfs: rootfs.path });
        await shim.task.create({ id, bundle });
        const waiting = shim.task.wait({ id });
        await kill(victim, id);
        if (victim === "shim") {
          await assert.rejects(waiting, { name: "ConnectionClosed" });
          const { success, stdout } = await shim.output("delete");
          assert(success);
          // exit status 137, and a time
          assert.equal(stdout[0], 0x08);
          assert(new Uint8Array(stdout).join().includes("16,137,1,26"));
        } else {
          assert.equal((await waiting).exitStatus, 255);
          await assert.rejects(shim.task.start({ id }), { code: 9 });
          await shim.task.delete({ id });
          await shim.task.shutdown({ id });
        }
        assert.deepEqual(await pidsOf("qemu", id), []);
      }
      assert.deepEqual(await leaksSince(left), []);
    });
  }
});

Deno.test("clean-up can be repeated, and without anything to clean up", async () => {
  const left = await traces();
  {
    await using shim = await startShim(ownId("never"));
    for (let round = 0; round < 2; round++) {
      const { success, stdout } = await shim.output("delete");
      assert(success);
      assert.deepEqual([...stdout.subarray(0, 3)], [0x10, 137, 1]);
    }
  }
  assert.deepEqual(await leaksSince(left), []);
});

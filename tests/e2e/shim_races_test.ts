/**
 * A shim whose command line is run at the wrong moments, and one that has no room for what it notes down.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Status } from "../../rpc/gen/task_types_pb.ts";
import { run } from "../../tools/process.ts";
import { writeConfiguration } from "./configuration.ts";
import { pause, until } from "./containerd.ts";
import { execProcess, memberOf, POD, startShim } from "./direct_shim.ts";
import { leaksSince, ownId, traces } from "./leaks.ts";
import { temporaryRootfs } from "./rootfs.ts";
import { pidsOf } from "./victims.ts";

const [RACE, FULL, FILLED] = [ownId("race"), ownId("full"), ownId("filled")];
const SLEEP = ["sleep", "1000"];

Deno.test("starts that race with deletions, or are killed in the middle, leave nothing", async () => {
  const left = await traces();
  {
    await using shim = await startShim(RACE);
    for (let round = 0; round < 4; round++) {
      const [deletion] = await Promise.all([
        shim.output("delete"),
        pause(10 * round).then(() => shim.output("start")),
      ]);
      assert(deletion.success, new TextDecoder().decode(deletion.stderr));
    }
    await shim.run("delete");
    assert.deepEqual(await pidsOf("shim", RACE), []);
    await shim.run("start");
    // as a `start` leaves it that is killed between two of its steps
    await Deno.remove(`${shim.bundle(RACE)}/shim.pid`);
    await shim.run("delete");
    assert.deepEqual(await pidsOf("shim", RACE), []);
  }
  assert.deepEqual(await leaksSince(left), []);
});

/** Runs a shim with a small `/run/vc` of its own, of which so much is used already. */
function withSmallState(sizeKiB: number, usedKiB: number): string[] {
  const script = `mkdir -p /run/vc && mount -t tmpfs -o size=${sizeKiB}k,mode=700 none /run/vc &&
    head -c ${usedKiB * 1024} /dev/zero > /run/vc/used && exec "$0" "$@"`;
  return ["unshare", "--mount", "sh", "-c", script];
}

Deno.test("a host without room for the state refuses a pod in a sentence", async () => {
  const left = await traces();
  {
    await using rootfs = await temporaryRootfs();
    const configuration = writeConfiguration(rootfs.folder);
    await using shim = await startShim(FULL, { configuration, wrapper: withSmallState(64, 64) });
    const bundle = shim.writeBundle(FULL, { args: SLEEP, rootfs: rootfs.path, annotations: POD });
    await assert.rejects(shim.task.create({ id: FULL, bundle }), (error: Error) => {
      assert.match(
        error.message,
        /^cannot write the sandbox's state to "\/run\/vc\/sbs\/[^"]+": No space left on device/,
      );
      return true;
    });
    assert.deepEqual(await pidsOf("qemu", FULL), []);
    await shim.task.shutdown({ id: FULL });
    await until("the server is gone", async () => (await pidsOf("shim", FULL)).length === 0);
  }
  assert.deepEqual(await leaksSince(left), []);
});

Deno.test("a pod goes on when there is no more room for its state", async () => {
  const left = await traces();
  {
    await using rootfs = await temporaryRootfs();
    const configuration = writeConfiguration(rootfs.folder);
    await using shim = await startShim(FILLED, { configuration, wrapper: withSmallState(1024, 4) });
    const { task } = shim;
    const bundle = shim.writeBundle(FILLED, { args: SLEEP, rootfs: rootfs.path, annotations: POD });
    await task.create({ id: FILLED, bundle });
    await task.start({ id: FILLED });
    const state = `/proc/${shim.pid}/root/run/vc`;
    const filled = run(["dd", "if=/dev/zero", `of=${state}/more`, "bs=4096", "count=1000"]);
    await assert.rejects(filled, /No space left on device/);
    const annotations = memberOf(FILLED);
    const member = shim.writeBundle("member", { args: SLEEP, rootfs: rootfs.path, annotations });
    await task.create({ id: "member", bundle: member });
    await task.start({ id: "member" });
    const stdout = shim.outputFifo("e");
    const spec = execProcess(["sh", "-c", "echo out; exit 3"]);
    await task.exec({ id: "member", execId: "e", stdout: stdout.path, spec });
    await task.start({ id: "member", execId: "e" });
    assert.equal((await task.wait({ id: "member", execId: "e" })).exitStatus, 3);
    assert.equal(await stdout.text, "out\n");
    assert.equal((await task.state({ id: "member" })).status, Status.RUNNING);
    for (const id of ["member", FILLED]) {
      await task.kill({ id, signal: 9 });
      assert.equal((await task.wait({ id })).exitStatus, 137);
      await task.delete({ id });
    }
    assert.deepEqual([...Deno.readDirSync(`${state}/sbs`), ...Deno.readDirSync(`${state}/vm`)], []);
    await task.shutdown({ id: FILLED });
    await until("the server is gone", async () => (await pidsOf("shim", FILLED)).length === 0);
  }
  assert.deepEqual(await leaksSince(left), []);
});

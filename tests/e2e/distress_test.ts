/**
 * A pod of several containers in distress, driven as an engine does: much at once, everything twice, readers that do
 * not read, clients that vanish, a machine that stands still for a while, and the end of its kernel.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Code } from "../../rpc/errors.ts";
import { Status } from "../../rpc/gen/task_types_pb.ts";
import { code } from "../../rpc/testing/failure.ts";
import { O, openFd } from "../../sys/fd.ts";
import { AsyncFd } from "../../sys/poll.ts";
import { writeConfiguration } from "./configuration.ts";
import { pause, until } from "./containerd.ts";
import { type DirectShim, execProcess, memberOf, POD, startShim } from "./direct_shim.ts";
import { leaksSince, ownId, traces } from "./leaks.ts";
import { temporaryRootfs } from "./rootfs.ts";
import { pidsOf } from "./victims.ts";

const ID = ownId("distress");
const SLEEP = ["sleep", "1000"];

/** How long a machine stands still without being given up, in milliseconds. */
const PAUSE_MS = 8_000;

/** A pod, and what its engine does. */
class Pod {
  readonly shim: DirectShim;
  readonly #rootfs: string;

  constructor(shim: DirectShim, rootfs: string) {
    this.shim = shim;
    this.#rootfs = rootfs;
  }

  async create(id: string, args: readonly string[], stdout = ""): Promise<void> {
    const annotations = id === ID ? POD : memberOf(ID);
    const bundle = this.shim.writeBundle(id, { args, rootfs: this.#rootfs, annotations });
    await this.shim.task.create({ id, bundle, stdout });
  }

  async run(id: string, args: readonly string[], stdout = ""): Promise<void> {
    await this.create(id, args, stdout);
    await this.shim.task.start({ id });
  }

  async startExec(id: string, execId: string, script: string, stdout = ""): Promise<void> {
    const { task } = this.shim;
    await task.exec({ id, execId, stdout, spec: execProcess(["sh", "-c", script]) });
    await task.start({ id, execId });
  }

  /** @returns exit code and output */
  async exec(id: string, execId: string, script: string): Promise<[number, string]> {
    const { task } = this.shim;
    const stdout = this.shim.outputFifo(execId);
    await this.startExec(id, execId, script, stdout.path);
    const { exitStatus } = await task.wait({ id, execId });
    await task.delete({ id, execId });
    return [exitStatus, await stdout.text];
  }

  async end(id: string): Promise<void> {
    const { task } = this.shim;
    await task.kill({ id, signal: 9, all: true });
    await task.wait({ id });
    await task.delete({ id });
  }
}

Deno.test("a pod in distress", async (t) => {
  const before = await traces();
  {
    await using rootfs = await temporaryRootfs();
    await using shim = await startShim(ID, { configuration: writeConfiguration(rootfs.folder) });
    const pod = new Pod(shim, rootfs.path);
    await pod.run(ID, SLEEP);
    await pod.run("one", SLEEP);
    await t.step("thirty commands at once", async () => {
      const numbers = Array.from({ length: 30 }, (_, index) => index);
      const ended = numbers.map((n) => pod.exec("one", `many${n}`, `echo ${n}; exit ${n}`));
      assert.deepEqual(await Promise.all(ended), numbers.map((n) => [n, `${n}\n`]));
    });
    await t.step("what is asked for twice, or at once", () => twice(pod));
    await t.step("a container that is removed while it is created", () => removedEarly(pod));
    await t.step(
      "a reader that does not read holds up nobody else, and loses nothing",
      () => slowReader(pod),
    );
    await t.step("a command whose client vanishes", () => vanished(pod));
    await t.step("a machine that stands still for a while loses nothing", () => standsStill(pod));
    await t.step("the end of the guest's kernel is the end of everything, told once", () => panics(pod));
  }
  assert.deepEqual(await leaksSince(before), []);
});

async function twice(pod: Pod): Promise<void> {
  const { task } = pod.shim;
  const bundle = pod.shim.bundle("one");
  assert.equal(await code(task.create({ id: "one", bundle })), Code.AlreadyExists);
  assert.equal(await code(task.start({ id: "one" })), Code.FailedPrecondition);
  assert.equal(await code(task.delete({ id: "one" })), Code.FailedPrecondition);
  await pod.startExec("one", "e", "sleep 1000");
  const again = task.exec({ id: "one", execId: "e", spec: execProcess(SLEEP) });
  assert.equal(await code(again), Code.AlreadyExists);
  assert.equal(await code(task.start({ id: "one", execId: "e" })), Code.FailedPrecondition);
  const kills = Array.from({ length: 3 }, () => task.kill({ id: "one", execId: "e", signal: 9 }));
  const waits = Array.from({ length: 3 }, () => task.wait({ id: "one", execId: "e" }));
  await Promise.all(kills);
  for (const { exitStatus } of await Promise.all(waits)) assert.equal(exitStatus, 137);
  await task.delete({ id: "one", execId: "e" });
  assert.equal(await code(task.delete({ id: "one", execId: "e" })), Code.NotFound);

  // two that begin at the same time: one of them does
  const creations = await Promise.allSettled([pod.create("both", SLEEP), pod.create("both", SLEEP)]);
  assert.deepEqual(creations.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  const starts = await Promise.allSettled([task.start({ id: "both" }), task.start({ id: "both" })]);
  assert.deepEqual(starts.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  // two that ask it to end, and it has no handler for that
  await Promise.all([task.kill({ id: "both", signal: 15 }), task.kill({ id: "both", signal: 15 })]);
  assert.equal((await task.wait({ id: "both" })).exitStatus, 137);
  await task.delete({ id: "both" });
  await pod.run("both", ["sh", "-c", "exit 4"]);
  assert.equal((await task.wait({ id: "both" })).exitStatus, 4);
  await task.delete({ id: "both" });
}

async function removedEarly(pod: Pod): Promise<void> {
  const { task } = pod.shim;
  for (let round = 0; round < 3; round++) {
    const creation = pod.create("early", SLEEP).then(() => "created", () => "given up");
    await pause(round * 10);
    const removal = await task.delete({ id: "early" }).then(() => "removed", ({ code }) => code);
    const outcome = `${await creation}, ${removal}`;
    assert.match(outcome, new RegExp(`^(given up, ${Code.NotFound}|created, removed)$`));
    assert.equal(await code(task.state({ id: "early" })), Code.NotFound);
  }
  await pod.run("early", SLEEP);
  await pod.end("early");
}

async function slowReader(pod: Pod): Promise<void> {
  const { shim, shim: { task } } = pod;
  const bytes = 4 * 1024 * 1024;
  const { path } = shim.inputFifo("slow");
  await pod.run("slow", ["sh", "-c", `head -c ${bytes} /dev/zero; exec sleep 1000`], path);
  using reader = new AsyncFd(openFd(path, O.RDONLY | O.NONBLOCK));
  // long enough for every buffer on the way to be full
  await pause(500);
  assert.deepEqual(await pod.exec("one", "beside", "head -c 300000 /dev/zero | wc -c"), [0, "300000\n"]);
  assert.deepEqual(await pod.exec("slow", "same", "echo same"), [0, "same\n"]);
  const buffer = new Uint8Array(65_536);
  let total = 0;
  while (total < bytes) {
    await reader.readable();
    total += await reader.read(buffer);
  }
  assert.equal(total, bytes);
  await pod.end("slow");
  assert.equal(await code(task.state({ id: "slow" })), Code.NotFound);
}

async function vanished(pod: Pod): Promise<void> {
  const { shim } = pod;
  const { path } = shim.inputFifo("gone");
  const reader = new AsyncFd(openFd(path, O.RDONLY | O.NONBLOCK));
  await pod.startExec("one", "gone", "yes", path);
  await reader.readable();
  assert(await reader.read(new Uint8Array(1_000)) > 0);
  reader.close();
  shim.disconnect();
  await shim.reconnect();
  const { task } = shim;
  assert.equal((await task.state({ id: "one", execId: "gone" })).status, Status.RUNNING);
  await task.kill({ id: "one", execId: "gone", signal: 9 });
  assert.equal((await task.wait({ id: "one", execId: "gone" })).exitStatus, 137);
  await task.delete({ id: "one", execId: "gone" });
}

async function standsStill(pod: Pod): Promise<void> {
  const [machine = 0] = await pidsOf("qemu", ID);
  Deno.kill(machine, "SIGSTOP");
  const asked = [pod.exec("one", "during", "echo late"), pod.run("late", SLEEP)] as const;
  await pause(PAUSE_MS);
  Deno.kill(machine, "SIGCONT");
  assert.deepEqual(await asked[0], [0, "late\n"]);
  await asked[1];
  assert.equal((await pod.shim.task.state({ id: ID })).status, Status.RUNNING);
}

async function panics(pod: Pod): Promise<void> {
  const { shim, shim: { task } } = pod;
  for (const [id, execId] of [["one", "x1"], ["late", "x2"], ["late", "x3"]] as const) {
    await pod.startExec(id, execId, "sleep 1000");
  }
  const told = shim.events.length;
  const waits = [ID, "one", "late"].map((id) => task.wait({ id }));
  const waitsOfExecs = [["one", "x1"], ["late", "x2"], ["late", "x3"]].map(([id, execId]) =>
    task.wait({ id, execId })
  );
  await pod.startExec("one", "end", "echo c > /proc/sysrq-trigger; sleep 1000").catch(() => {});
  for (const { exitStatus } of await Promise.all([...waits, ...waitsOfExecs])) assert.equal(exitStatus, 255);
  for (const id of ["one", "late", ID]) {
    // an engine ends what it removes
    await task.kill({ id, signal: 9 });
    await task.delete({ id });
  }
  await until("all is told", () => shim.events.includes(`/tasks/delete ${ID} 255`));
  const exits = shim.events.slice(told).filter((event) =>
    event.startsWith("/tasks/exit ") && !event.includes(" end ")
  );
  const at = (id: string) => exits.indexOf(`/tasks/exit ${id} 255`);
  assert.equal(exits.length, 6, exits.join());
  for (const id of [ID, "one", "late", "x1", "x2", "x3"]) assert(at(id) >= 0, exits.join());
  assert(at("x1") < at("one") && at("x2") < at("late") && at("x3") < at("late"), exits.join());
  assert.match(shim.log, /the guest's kernel panicked/);
  await task.shutdown({ id: ID });
}

/**
 * The shim with a real machine behind it, driven as containerd would: orders and races that a client cannot bring
 * about on purpose. Containers are members of one pod, so that one machine serves many of them.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Code, RpcError } from "../../rpc/errors.ts";
import { hostCgroupVersion } from "../../cmd/shim/stats.ts";
import { countersIn } from "../../cmd/shim/testing/metrics.ts";
import { Status } from "../../rpc/gen/task_types_pb.ts";
import { code } from "../../rpc/testing/failure.ts";
import { until } from "./containerd.ts";
import { type DirectShim, execProcess, memberOf, POD, startShim } from "./direct_shim.ts";
import { leaksSince, ownId, traces } from "./leaks.ts";
import { temporaryRootfs } from "./rootfs.ts";

const SANDBOX = ownId("pod");

/** A pod with a container that sleeps, and the means to add more. */
class Pod implements AsyncDisposable {
  readonly shim: DirectShim;
  readonly #rootfs: string;

  constructor(shim: DirectShim, rootfs: string) {
    this.shim = shim;
    this.#rootfs = rootfs;
  }

  async boot(): Promise<void> {
    const bundle = this.shim.writeBundle(SANDBOX, {
      args: ["sleep", "1000"],
      rootfs: this.#rootfs,
      annotations: POD,
    });
    await this.shim.task.create({ id: SANDBOX, bundle });
    await this.shim.task.start({ id: SANDBOX });
  }

  async create(
    id: string,
    args: string[],
    streams: { stdin?: string; stdout?: string; stderr?: string; terminal?: boolean } = {},
  ) {
    const { terminal } = streams;
    const bundle = this.shim.writeBundle(id, {
      args,
      rootfs: this.#rootfs,
      annotations: memberOf(SANDBOX),
      terminal,
    });
    await this.shim.task.create({ id, bundle, ...streams });
  }

  /** Deletes a container and waits until all that is to be told of it has arrived. */
  async delete(id: string): Promise<void> {
    await this.shim.task.delete({ id });
    const isTold = () => this.shim.events.some((event) => event.startsWith(`/tasks/delete ${id} `));
    await until(`the deletion of "${id}" is told`, isTold);
  }

  /** The events that concern an id. */
  eventsOf(id: string): string[] {
    return this.shim.events.filter((event) => event.split(" ")[1] === id).map((event) =>
      event.replace(` ${id}`, "")
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shim[Symbol.asyncDispose]();
  }
}

Deno.test("a pod's containers on a real machine", async (t) => {
  const before = await traces();
  {
    await using rootfs = await temporaryRootfs();
    await using shim = await startShim(SANDBOX);
    const pod = new Pod(shim, rootfs.path);
    const { task } = shim;

    await t.step("the sandbox boots", () => pod.boot());

    await t.step(
      "a process that ends before its start returns: events in order, exit told once, every time",
      async () => {
        for (let round = 0; round < 10; round++) {
          const id = `fast${round}`;
          const stdout = shim.outputFifo(id);
          await pod.create(id, ["echo", "done"], { stdout: stdout.path });
          const waiting = task.wait({ id });
          await task.start({ id });
          assert.equal((await waiting).exitStatus, 0);
          // closed at its end, before anybody deletes it
          assert.equal(await stdout.text, "done\n");
          assert.equal((await task.state({ id })).status, Status.STOPPED);
          await pod.delete(id);
          assert.deepEqual(pod.eventsOf(id), [
            "/tasks/create",
            "/tasks/start",
            "/tasks/exit 0",
            "/tasks/delete 0",
          ]);
        }
      },
    );

    await t.step("an exec that ends while its container ends is told before it", async () => {
      for (let round = 0; round < 5; round++) {
        const id = `race${round}`;
        await pod.create(id, ["sh", "-c", "read line"], { stdin: shim.inputFifo(id).path });
        await task.start({ id });
        for (const execId of [`${id}a`, `${id}b`]) {
          await task.exec({ id, execId, spec: execProcess(["sleep", "1000"]) });
          await task.start({ id, execId });
        }
        const waits = [
          task.wait({ id, execId: `${id}a` }),
          task.wait({ id, execId: `${id}b` }),
          task.wait({ id }),
        ];
        await Promise.all([
          task.kill({ id, execId: `${id}a`, signal: 9 }).catch(() => {}),
          task.kill({ id, signal: 9, all: true }),
        ]);
        assert.deepEqual((await Promise.all(waits)).map(({ exitStatus }) => exitStatus), [137, 137, 137]);
        await pod.delete(id);
        const exits = shim.events.filter((event) => event.startsWith(`/tasks/exit ${id}`));
        assert.deepEqual(exits.slice(0, 2).sort(), [`/tasks/exit ${id}a 137`, `/tasks/exit ${id}b 137`]);
        assert.deepEqual(exits.slice(2), [`/tasks/exit ${id} 137`]);
      }
    });

    await t.step(
      "execs are started while their container dies: each start is answered, no exit without a start",
      async () => {
        const id = "dying";
        await pod.create(id, ["sleep", "1000"]);
        await task.start({ id });
        const starts = Array.from({ length: 8 }, async (_, index) => {
          const execId = `d${index}`;
          await task.exec({ id, execId, spec: execProcess(["true"]) });
          await task.start({ id, execId });
        });
        await starts[0];
        await task.kill({ id, signal: 9, all: true });
        await Promise.allSettled(starts);
        await task.wait({ id });
        await pod.delete(id);
        const events = shim.events.filter((event) => / d\d/.test(event) || event.includes(` ${id}`));
        assert.equal(events.at(-2), `/tasks/exit ${id} 137`);
        for (let index = 0; index < 8; index++) {
          const own = pod.eventsOf(`d${index}`).map((event) => event.split(" ")[0]);
          const complete = ["/tasks/exec-added", "/tasks/exec-started", "/tasks/exit"];
          const known = [[], complete.slice(0, 1), complete].some((list) => list.join() === own.join());
          assert(known, `exec d${index}: ${own}`);
        }
      },
    );

    await t.step("a second deletion is told that there is nothing", async () => {
      await pod.create("twice", ["true"]);
      await task.start({ id: "twice" });
      await task.wait({ id: "twice" });
      const codes = await Promise.allSettled([task.delete({ id: "twice" }), task.delete({ id: "twice" })]);
      assert.deepEqual(codes.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
      assert.equal(await code(task.delete({ id: "twice" })), Code.NotFound);
      await until("the deletion is told", () => pod.eventsOf("twice").includes("/tasks/delete 0"));
      assert.equal(pod.eventsOf("twice").filter((event) => event.startsWith("/tasks/delete")).length, 1);
    });

    await t.step("a kill during statistics", async () => {
      await pod.create("busy", ["sleep", "1000"]);
      await task.start({ id: "busy" });
      const stats = Array.from({ length: 10 }, () => task.stats({ id: "busy" }).catch((error) => error));
      await task.kill({ id: "busy", signal: 9 });
      for (const answer of await Promise.all(stats)) {
        if (answer instanceof Error) assert(answer instanceof RpcError, String(answer));
        else assert.equal(answer.stats?.typeUrl, `io.containerd.cgroups.v${hostCgroupVersion()}.Metrics`);
      }
      assert.equal((await task.wait({ id: "busy" })).exitStatus, 137);
      await task.delete({ id: "busy" });
    });

    await t.step("input is read to its last byte before its end", async () => {
      const [stdin, stdout] = [shim.inputFifo("cat-in"), shim.outputFifo("cat-out")];
      await pod.create("cat", ["cat"], { stdin: stdin.path, stdout: stdout.path });
      await task.start({ id: "cat" });
      {
        using writer = stdin.open();
        await writer.write(new TextEncoder().encode("x".repeat(300_000)));
        await task.closeIO({ id: "cat", stdin: true });
      }
      assert.equal((await stdout.text).length, 300_000);
      assert.equal((await task.wait({ id: "cat" })).exitStatus, 0);
      await task.delete({ id: "cat" });
    });

    await t.step("the client's going is no end of input; only CloseIO is", async () => {
      const [stdin, stdout] = [shim.inputFifo("keep-in"), shim.outputFifo("keep-out")];
      await pod.create("keep", ["cat"], { stdin: stdin.path, stdout: stdout.path });
      await task.start({ id: "keep" });
      for (const word of ["one ", "two"]) {
        using writer = stdin.open();
        await writer.write(new TextEncoder().encode(word));
      }
      await task.closeIO({ id: "keep", stdin: true });
      assert.equal(await stdout.text, "one two");
      await task.delete({ id: "keep" });
    });

    await t.step("a terminal has a size, and its changes", async () => {
      const sized = Promise.withResolvers<void>();
      const stdin = shim.inputFifo("tty-in");
      const stdout = shim.outputFifo("tty-out", (text) => {
        if (/30 100\r\n[^]*\/dev\//.test(text)) sized.resolve();
      });
      await pod.create("tty", ["sh"], {
        stdin: stdin.path,
        stdout: stdout.path,
        stderr: "/nowhere",
        terminal: true,
      });
      await task.resizePty({ id: "tty", width: 100, height: 30 });
      await task.start({ id: "tty" });
      using writer = stdin.open();
      await writer.write(new TextEncoder().encode("stty size; tty\n"));
      // the shell looks when it gets to it
      await sized.promise;
      await task.resizePty({ id: "tty", width: 120, height: 40 });
      await writer.write(new TextEncoder().encode("stty size; exit 3\n"));
      assert.equal((await task.wait({ id: "tty" })).exitStatus, 3);
      const text = await stdout.text;
      assert.match(text, /30 100\r\n/);
      assert.match(text, /40 120\r\n/);
      assert.match(text, /\/dev\/(pts|console)/);
      await task.delete({ id: "tty" });
    });

    await t.step("a reader that never comes does not hold up a killed process", async () => {
      const path = shim.inputFifo("unread").path;
      await pod.create("flood", ["yes"], { stdout: path });
      await task.start({ id: "flood" });
      await task.kill({ id: "flood", signal: 9 });
      assert.equal((await task.wait({ id: "flood" })).exitStatus, 137);
      await task.delete({ id: "flood" });
    });

    await t.step("limits can be changed while it runs", async () => {
      await pod.create("limits", ["sleep", "1000"]);
      await task.start({ id: "limits" });
      const typeUrl = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
      const value = new TextEncoder().encode(JSON.stringify({ memory: { limit: 64 * 1024 * 1024 } }));
      await task.update({ id: "limits", resources: { typeUrl, value } });
      const { stats } = await task.stats({ id: "limits" });
      assert.equal(countersIn(stats).memoryLimit, 64n * 1024n * 1024n);
      await task.kill({ id: "limits", signal: 9 });
      await task.wait({ id: "limits" });
      await task.delete({ id: "limits" });
    });

    await t.step("a paused container stands still", async () => {
      await pod.create("pause", ["sleep", "1000"]);
      await task.start({ id: "pause" });
      await task.pause({ id: "pause" });
      assert.equal((await task.state({ id: "pause" })).status, Status.PAUSED);
      const exec = task.exec({ id: "pause", execId: "p1", spec: execProcess(["true"]) });
      await exec.then(() => code(task.start({ id: "pause", execId: "p1" }))).then((found) =>
        assert.equal(found, Code.FailedPrecondition)
      );
      await task.resume({ id: "pause" });
      await task.kill({ id: "pause", signal: 9, all: true });
      await task.wait({ id: "pause" });
      await task.delete({ id: "pause" });
    });

    await t.step("what cannot be run is refused in a sentence, and leaves the pod alone", async () => {
      const cases: [string, string[], RegExp][] = [
        ["nosuch", ["nosuch"], /exec: "nosuch": executable file not found in \$PATH$/],
        ["nofile", ["/bin/nofile"], /exec: "\/bin\/nofile": .*no such file or directory$/],
        ["folder", ["/bin"], /exec: "\/bin": .*(permission denied|is a directory)/],
      ];
      for (const [id, args, message] of cases) {
        const run = pod.create(id, args).then(() => task.start({ id }));
        await assert.rejects(run, { message }, id);
        assert.notEqual(await code(run), Code.NotFound, id);
        await task.delete({ id }).catch(() => {});
        assert.equal(await code(task.state({ id })), Code.NotFound);
      }
    });

    await t.step("both names of the service, and what it does not have", async () => {
      assert.equal((await shim.taskV3.state({ id: SANDBOX })).status, Status.RUNNING);
      assert.equal(await code(task.checkpoint({ id: SANDBOX })), Code.Unimplemented);
      const bundle = shim.bundle(SANDBOX);
      assert.equal(await code(task.create({ id: "../up", bundle })), Code.InvalidArgument);
      assert.equal(await code(task.create({ id: SANDBOX, bundle })), Code.AlreadyExists);
      await task.shutdown({ id: SANDBOX });
      assert.deepEqual((await task.pids({ id: SANDBOX })).processes.length, 1);
    });

    await t.step("a second start for the pod's member gives the address of the same shim", async () => {
      shim.writeBundle("member", { args: ["true"], rootfs: rootfs.path, annotations: memberOf(SANDBOX) });
      const address = await shim.run("start", "member");
      assert.equal(address, await Deno.readTextFile(`${shim.bundle(SANDBOX)}/address`));
      assert.equal(address, await Deno.readTextFile(`${shim.bundle("member")}/address`));
    });

    await t.step("the end of the pod's own container is the end of the rest", async () => {
      await pod.create("last", ["sleep", "1000"]);
      await task.start({ id: "last" });
      await task.kill({ id: SANDBOX, signal: 9 });
      assert.equal((await task.wait({ id: SANDBOX })).exitStatus, 137);
      assert.equal((await task.wait({ id: "last" })).exitStatus, 137);
      await task.delete({ id: "last" });
      await task.delete({ id: SANDBOX });
      await task.shutdown({ id: SANDBOX });
    });
  }
  assert.deepEqual(await leaksSince(before), []);
});

import assert from "node:assert/strict";
import { Code, RpcError } from "../../rpc/errors.ts";
import { Status } from "../../rpc/gen/task_types_pb.ts";
import { testSpec } from "../../sandbox/testing/fake_host.ts";
import { within } from "../../sandbox/timing.ts";
import { code } from "../../rpc/testing/failure.ts";
import { Bench, execSpec } from "./testing/bench.ts";
import { hostCgroupVersion } from "./stats.ts";
import { countersIn } from "./testing/metrics.ts";

Deno.test("a container's life, and its events", async () => {
  await using bench = new Bench();
  const { task, host } = bench;
  const { pid } = await bench.create();
  assert(pid > 0);
  assert.equal((await task.state({ id: "c1" })).status, Status.CREATED);
  assert.deepEqual((await task.pids({ id: "c1" })).processes.map(({ pid }) => pid), [pid]);
  assert.equal((await task.connect({ id: "c1" })).taskPid, pid);
  const waiting = task.wait({ id: "c1" });
  assert.equal((await task.start({ id: "c1" })).pid, pid);
  assert.equal((await bench.v3.state({ id: "c1" })).status, Status.RUNNING);
  host.guest.process("c1").exit(7);
  assert.equal((await waiting).exitStatus, 7);
  const state = await task.state({ id: "c1" });
  assert.equal(state.status, Status.STOPPED);
  assert.equal(state.exitStatus, 7);
  assert((state.exitedAt?.seconds ?? 0n) > 0n);
  assert.deepEqual((await task.pids({ id: "c1" })).processes.map(({ pid }) => pid), [pid]);
  assert.equal((await task.wait({ id: "c1" })).exitStatus, 7);
  const deleted = await task.delete({ id: "c1" });
  assert.equal(deleted.exitStatus, 7);
  assert.equal(await code(task.delete({ id: "c1" })), Code.NotFound);
  assert.equal(await code(task.state({ id: "c1" })), Code.NotFound);
  assert.deepEqual(host.left(), []);
  await bench.events.flush(60_000);
  assert.deepEqual(bench.told, [
    "/tasks/create c1",
    "/tasks/start c1",
    "/tasks/exit c1 7",
    "/tasks/delete c1 7",
  ]);
});

Deno.test("the exit of a process that dies before its start is answered is published after its start", async () => {
  await using bench = new Bench();
  await bench.create();
  bench.host.guest.before.set("startContainer", async () => {
    bench.host.guest.process("c1").exit(0);
    await new Promise((resolve) => setTimeout(resolve, 10));
  });
  await bench.task.start({ id: "c1" });
  await bench.task.wait({ id: "c1" });
  await bench.task.delete({ id: "c1" });
  await bench.events.flush(60_000);
  assert.deepEqual(bench.told, [
    "/tasks/create c1",
    "/tasks/start c1",
    "/tasks/exit c1 0",
    "/tasks/delete c1 0",
  ]);
});

Deno.test("the exit of an exec that ends with its container is published first, in whatever order they end", async () => {
  for (const execFirst of [true, false]) {
    await using bench = new Bench();
    const { task, host } = bench;
    await bench.create();
    await task.start({ id: "c1" });
    await task.exec({ id: "c1", execId: "e1", spec: execSpec() });
    assert.equal((await task.state({ id: "c1", execId: "e1" })).status, Status.CREATED);
    await task.start({ id: "c1", execId: "e1" });
    const [init, exec] = [host.guest.process("c1"), host.guest.process("c1", "e1.0")];
    if (execFirst) exec.exit(5);
    init.exit(6);
    if (!execFirst) exec.exit(5);
    assert.equal((await task.wait({ id: "c1" })).exitStatus, 6);
    assert.equal((await task.wait({ id: "c1", execId: "e1" })).exitStatus, 5);
    assert.equal((await task.delete({ id: "c1", execId: "e1" })).exitStatus, 5);
    assert.equal(await code(task.delete({ id: "c1", execId: "e1" })), Code.NotFound);
    await task.delete({ id: "c1" });
    await bench.events.flush(60_000);
    assert.deepEqual(bench.told, [
      "/tasks/create c1",
      "/tasks/start c1",
      "/tasks/exec-added e1",
      "/tasks/exec-started e1",
      "/tasks/exit e1 5",
      "/tasks/exit c1 6",
      "/tasks/delete c1 6",
    ]);
  }
});

Deno.test("all events of an exec that is starting when its container ends are published, and first", async () => {
  await using bench = new Bench();
  const { task, host } = bench;
  await bench.create();
  await task.start({ id: "c1" });
  await task.exec({ id: "c1", execId: "e1", spec: execSpec() });
  const begun = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  host.guest.before.set("execProcess", () => {
    begun.resolve();
    return gate.promise;
  });
  const starting = task.start({ id: "c1", execId: "e1" });
  await begun.promise;
  host.guest.process("c1").exit(0);
  await new Promise((resolve) => setTimeout(resolve, 10));
  gate.resolve();
  await starting;
  (await host.guest.appeared("c1", "e1.0")).exit(137);
  await task.wait({ id: "c1" });
  await task.delete({ id: "c1" });
  await bench.events.flush(60_000);
  assert.deepEqual(bench.told.slice(3), [
    "/tasks/exec-started e1",
    "/tasks/exit e1 137",
    "/tasks/exit c1 0",
    "/tasks/delete c1 0",
  ]);
});

Deno.test("a start that fails publishes no event", async () => {
  await using bench = new Bench();
  const { task, host } = bench;
  await bench.create();
  host.guest.before.set("startContainer", () => {
    throw new RpcError(Code.NotFound, 'exec: "foo": executable file not found in $PATH');
  });
  await assert.rejects(task.start({ id: "c1" }), {
    // "not found" would mean the container
    code: Code.Unknown,
    message: 'exec: "foo": executable file not found in $PATH',
  });
  assert.equal((await task.wait({ id: "c1" })).exitStatus, 255);
  await task.delete({ id: "c1" });
  await bench.events.flush(60_000);
  assert.deepEqual(bench.told, ["/tasks/create c1", "/tasks/delete c1 255"]);
});

Deno.test("the machine's death is published as one exit per process, and containers can still be deleted", async () => {
  await using bench = new Bench();
  const { task, host } = bench;
  await bench.create();
  await task.start({ id: "c1" });
  await task.exec({ id: "c1", execId: "e1", spec: execSpec() });
  await task.start({ id: "c1", execId: "e1" });
  host.killVm();
  assert.equal((await task.wait({ id: "c1" })).exitStatus, 255);
  assert.equal(await code(task.kill({ id: "c1", signal: 10 })), Code.NotFound);
  await task.kill({ id: "c1", signal: 9 });
  assert.equal(await code(task.stats({ id: "c1" })), Code.NotFound);
  await task.delete({ id: "c1" });
  await bench.events.flush(60_000);
  assert.deepEqual(bench.told.slice(4), ["/tasks/exit e1 255", "/tasks/exit c1 255", "/tasks/delete c1 255"]);
  assert.deepEqual(host.left(), []);
});

Deno.test("an out-of-memory event is published before the exit", async () => {
  await using bench = new Bench();
  const { task, host } = bench;
  await bench.create();
  await task.start({ id: "c1" });
  host.guest.process("c1").exit(137);
  host.guest.runOutOfMemory("unknown");
  host.guest.runOutOfMemory("c1");
  await task.wait({ id: "c1" });
  await task.delete({ id: "c1" });
  await bench.events.flush(60_000);
  assert.deepEqual(bench.told.slice(2), ["/tasks/oom", "/tasks/exit c1 137", "/tasks/delete c1 137"]);
});

Deno.test("an engine that takes no events finds a file where memory ran out", async () => {
  await using bench = new Bench({ hasReader: false });
  const { task, host } = bench;
  await bench.create();
  await task.start({ id: "c1" });
  host.guest.runOutOfMemory("c1");
  host.guest.process("c1").exit(137);
  await task.wait({ id: "c1" });
  assert.equal((await Deno.stat(`${host.bundle}/oom`)).size, 0);
});

Deno.test("a kill during statistics reaches the process", async () => {
  await using bench = new Bench();
  const { task, host } = bench;
  await bench.create();
  await task.start({ id: "c1" });
  const gate = Promise.withResolvers<void>();
  host.guest.before.set("statsContainer", () => gate.promise);
  const stats = task.stats({ id: "c1" });
  await task.kill({ id: "c1", signal: 15 });
  assert.deepEqual(host.guest.process("c1").signals, [15]);
  gate.resolve();
  const any = (await stats).stats;
  assert.equal(any?.typeUrl, `io.containerd.cgroups.v${hostCgroupVersion()}.Metrics`);
  assert.equal(countersIn(any).cpuMicroseconds, 5_000n);
  host.guest.process("c1").exit(0);
});

Deno.test("signals go to the init alone, or to all if asked", async () => {
  await using bench = new Bench();
  const { task, host } = bench;
  await bench.create();
  await task.start({ id: "c1" });
  await task.kill({ id: "c1", signal: 10 });
  await task.kill({ id: "c1", signal: 12, all: true });
  assert.deepEqual(host.guest.process("c1").signals, [10, 12]);
  await task.exec({ id: "c1", execId: "e1", spec: execSpec() });
  assert.equal(await code(task.kill({ id: "c1", execId: "e1", signal: 9 })), Code.FailedPrecondition);
});

Deno.test("pausing and resuming are published, and shown as the state", async () => {
  await using bench = new Bench();
  const { task, host } = bench;
  await bench.create();
  await task.start({ id: "c1" });
  await task.pause({ id: "c1" });
  assert.equal((await task.state({ id: "c1" })).status, Status.PAUSED);
  await task.resume({ id: "c1" });
  assert.equal((await task.state({ id: "c1" })).status, Status.RUNNING);
  await bench.events.flush(60_000);
  assert.deepEqual(bench.told.slice(2), ["/tasks/paused", "/tasks/resumed"]);
  host.guest.process("c1").exit(0);
});

Deno.test("bad requests have the codes that containerd expects", async () => {
  await using bench = new Bench();
  const { task } = bench;
  assert.equal(await code(bench.create("a/b")), Code.InvalidArgument);
  assert.equal(await code(bench.create("c1", { bundle: "/nowhere" })), Code.InvalidArgument);
  bench.writeSpec({ ...testSpec(), process: { args: [] } });
  await assert.rejects(bench.create(), { code: Code.InvalidArgument, message: /^config\.json: process/ });
  bench.writeSpec(testSpec());
  const first = bench.create();
  assert.equal(await code(bench.create()), Code.AlreadyExists);
  await first;
  assert.equal(await code(bench.create()), Code.AlreadyExists);
  assert.equal(await code(bench.create("c2")), Code.AlreadyExists);
  assert.equal(await code(task.exec({ id: "c1", execId: "e1", spec: execSpec() })), Code.FailedPrecondition);
  await task.start({ id: "c1" });
  assert.equal(await code(task.start({ id: "c1" })), Code.FailedPrecondition);
  assert.equal(await code(task.delete({ id: "c1" })), Code.FailedPrecondition);
  assert.equal(
    await code(task.exec({ id: "c1", execId: "e1", spec: { typeUrl: "x" } })),
    Code.InvalidArgument,
  );
  assert.equal(await code(task.exec({ id: "c1", execId: "e1", spec: execSpec([]) })), Code.InvalidArgument);
  await task.exec({ id: "c1", execId: "e1", spec: execSpec() });
  assert.equal(await code(task.exec({ id: "c1", execId: "e1", spec: execSpec() })), Code.AlreadyExists);
  assert.equal(await code(task.start({ id: "c1", execId: "e2" })), Code.NotFound);
  assert.equal(await code(task.update({ id: "c1", resources: { typeUrl: "x" } })), Code.InvalidArgument);
  assert.equal(await code(task.checkpoint({ id: "c1" })), Code.Unimplemented);
  assert.equal((await task.connect({ id: "c9" })).taskPid, 0);
  for (
    const method of ["state", "start", "wait", "kill", "delete", "pids", "pause", "stats", "closeIO"] as const
  ) {
    assert.equal(await code(task[method]({ id: "c9", stdin: true } as never)), Code.NotFound, method);
  }
  bench.host.guest.process("c1").exit(0);
});

Deno.test("limits are passed on", async () => {
  await using bench = new Bench();
  await bench.create();
  const typeUrl = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
  const value = new TextEncoder().encode('{"memory":{"limit":1048576}}');
  await bench.task.update({ id: "c1", resources: { typeUrl, value } });
  assert(bench.host.guest.calls.includes("updateContainer"));
});

Deno.test("a creation that fails leaves nothing, and can be tried again", async () => {
  await using bench = new Bench();
  bench.host.guest.before.set("createContainer", () => {
    throw new RpcError(Code.Internal, "no such root");
  });
  await assert.rejects(bench.create(), { message: "no such root" });
  assert.deepEqual(bench.host.left(), []);
  assert.equal(await code(bench.task.delete({ id: "c1" })), Code.NotFound);
  assert.equal(bench.shim.isEmpty, true);
  await bench.events.flush(60_000);
  assert.deepEqual(bench.told, []);
});

Deno.test("of two sandboxes that are wanted at once, one is made and the other refused", async () => {
  await using bench = new Bench();
  const outcomes = await Promise.allSettled([bench.create("c1"), bench.create("c2")]);
  const codes = outcomes.map((outcome) => outcome.status === "rejected" ? outcome.reason.code : "made");
  assert.deepEqual(codes.sort(), [Code.AlreadyExists, "made"]);
  assert.equal(bench.host.steps.filter((step) => step === "vm").length, 1);
});

Deno.test("a deletion gives up a creation that is under way", async () => {
  await using bench = new Bench();
  const begun = Promise.withResolvers<void>();
  bench.host.guest.before.set("createContainer", () => {
    begun.resolve();
    return new Promise(() => {});
  });
  const creating = code(bench.create());
  await begun.promise;
  assert.equal(await code(bench.task.delete({ id: "c1" })), Code.NotFound);
  assert.equal(await creating, Code.Canceled);
  assert.deepEqual(bench.host.left(), []);
});

Deno.test("a server ends when its client vanishes while it creates the first container, and only then", async () => {
  for (const isFirst of [true, false]) {
    await using bench = new Bench();
    if (!isFirst) await bench.create();
    const begun = Promise.withResolvers<void>();
    bench.host.guest.before.set("createContainer", () => {
      begun.resolve();
      return new Promise(() => {});
    });
    const member = {
      "io.kubernetes.cri.container-type": "container",
      "io.kubernetes.cri.sandbox-id": "c1",
    };
    if (!isFirst) bench.writeSpec(testSpec({ annotations: member }));
    const creating = bench.create(isFirst ? "c1" : "c2").catch(() => {});
    await begun.promise;
    bench.vanish();
    await creating;
    if (isFirst) await bench.shim.exitRequested;
    const asked = await within(bench.shim.exitRequested, 100);
    assert.equal(asked, isFirst);
  }
});

Deno.test("a shutdown waits until the last container is gone", async () => {
  await using bench = new Bench();
  await bench.create();
  let ending = false;
  bench.shim.exitRequested.then(() => ending = true);
  await bench.task.shutdown({ id: "c1" });
  assert.equal(ending, false);
  await bench.task.delete({ id: "c1" });
  await bench.task.shutdown({ id: "c1" });
  assert.equal(ending, true);
});

Deno.test("a member of a pod joins the sandbox, and leaves it alone when it goes", async () => {
  await using bench = new Bench();
  const { task, host } = bench;
  const pod = { "io.kubernetes.cri.container-type": "sandbox" };
  const member = { "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "s1" };
  bench.writeSpec({ ...testSpec(), annotations: member });
  assert.equal(await code(bench.create("c1")), Code.FailedPrecondition);
  bench.writeSpec({ ...testSpec(), annotations: pod });
  const { pid } = await bench.create("s1");
  await task.start({ id: "s1" });
  // the pause container is known to clients only
  assert.deepEqual(host.guest.calls, ["createSandbox"]);
  await task.exec({ id: "s1", execId: "e", spec: execSpec() }).then(
    () => assert.fail("executed"),
    (error) =>
      assert.match(error.message, /^cannot execute in container "s1": it is the pause container of its pod/),
  );
  assert.equal(await code(task.stats({ id: "s1" })), Code.NotFound);
  await task.kill({ id: "s1", signal: 1 });
  bench.writeSpec({ ...testSpec(), annotations: member });
  const member1 = await bench.create("c1");
  assert.notEqual(member1.pid, pid);
  assert.equal((await task.start({ id: "c1" })).pid, member1.pid);
  // by its pid a container is told from the others, and from the pod
  const namespaces = (of: number) => [{ type: "pid", path: `/proc/${of}/ns/pid` }] as const;
  for (const [id, of, joined] of [["c2", member1.pid, "c1"], ["c3", pid, ""]] as const) {
    bench.writeSpec({ ...testSpec({ linux: { namespaces: [...namespaces(of)] } }), annotations: member });
    await bench.create(id);
    const { sandboxPidns, pidContainer } = host.guest.requests.at(-1) ?? {};
    assert.deepEqual([sandboxPidns, pidContainer], [true, joined]);
    await task.delete({ id });
  }
  host.guest.process("c1").exit(1);
  assert.equal((await task.wait({ id: "c1" })).exitStatus, 1);
  await task.delete({ id: "c1" });
  assert.equal(host.steps.filter((step) => step === "end stand-in").length, 3);
  assert.equal((await task.state({ id: "s1" })).status, Status.RUNNING);
  await task.kill({ id: "s1", signal: 9 });
  assert.equal((await task.wait({ id: "s1" })).exitStatus, 137);
  await task.delete({ id: "s1" });
  assert.deepEqual(host.left(), []);
});

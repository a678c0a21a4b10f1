import assert from "node:assert/strict";
import { Code, RpcError } from "../rpc/errors.ts";
import { code } from "../rpc/testing/failure.ts";
import { createSandbox } from "./create_sandbox.ts";
import { type IoSource, noIo, type OutputEnd } from "./io/streams.ts";
import { silentLog } from "./log/log.ts";
import type { Sandbox } from "./sandbox.ts";
import { FakeHost, testConfig, testSpec } from "./testing/fake_host.ts";

function create(host: FakeHost, change: Parameters<typeof testConfig>[0] = {}): Promise<Sandbox> {
  const config = testConfig(change);
  return createSandbox({ id: "s1", spec: testSpec(), config, log: silentLog, host, paths: host.paths });
}

function container(sandbox: Sandbox, host: FakeHost, io: IoSource = noIo(), id = "s1") {
  return sandbox.createContainer({ id, bundle: host.bundle, spec: testSpec(), rootfs: [], io });
}

/** Output that a test reads. */
class Collected implements OutputEnd {
  readonly chunks: string[] = [];
  closed = false;
  /** holds writes up */
  gate: Promise<void> = Promise.resolve();

  async write(data: Uint8Array): Promise<void> {
    await this.gate;
    assert.equal(this.closed, false, "a write after the end");
    this.chunks.push(new TextDecoder().decode(data));
  }
  ending(): void {}
  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

function collecting(stdout: Collected): IoSource {
  return {
    names: { terminal: false, stdin: "", stdout: "x", stderr: "" },
    open: () => Promise.resolve({ stdout }),
  };
}

Deno.test("a sandbox takes its parts in order and gives them back in reverse", async () => {
  await using host = new FakeHost();
  const sandbox = await create(host);
  const c = await container(sandbox, host);
  assert.deepEqual(host.guest.calls, ["createSandbox", "createContainer"]);
  await c.delete();
  await sandbox[Symbol.asyncDispose]();
  assert.deepEqual(host.steps.filter((step) => step !== "stop vm"), [
    "share",
    "virtiofsd",
    "vm",
    "share rootfs of s1",
    "unshare s1",
    "stop virtiofsd",
    "unshare",
  ]);
  assert(host.steps.indexOf("stop vm") < host.steps.indexOf("stop virtiofsd"));
  assert.deepEqual(host.left(), []);
});

for (const step of ["share", "virtiofsd", "vm"]) {
  Deno.test(`a failure of the step "${step}" is reported and leaves nothing behind`, async () => {
    await using host = new FakeHost();
    host.failing.add(step);
    await assert.rejects(create(host), { message: `${step} fails` });
    assert.deepEqual(host.left(), []);
    assert.equal(host.steps.includes("unshare"), step !== "share");
  });
}

Deno.test("a machine that ends while it boots is reported with what it said", async () => {
  await using host = new FakeHost();
  host.connect = () => {
    host.killVm('the guest\'s kernel panicked: "no init"');
    return Promise.reject(new Error("not yet"));
  };
  await assert.rejects(create(host), {
    message: 'the virtual machine ended while it booted: the guest\'s kernel panicked: "no init"',
  });
  assert.deepEqual(host.left(), []);
});

Deno.test("an agent that never answers is reported with the end of the console", async () => {
  await using host = new FakeHost();
  host.connect = () => Promise.reject(new Error("connection refused"));
  await assert.rejects(create(host, { dial_timeout: 1 }), {
    message: "the agent did not answer within 1 s; its console ends with:\nLinux version 6.1\nwaiting",
  });
  assert.deepEqual(host.left(), []);
});

Deno.test("an agent is asked again until it is there", async () => {
  await using host = new FakeHost();
  let tries = 0;
  host.connect = () => ++tries < 3 ? Promise.reject(new Error("connection refused")) : Promise.resolve();
  await using _sandbox = await create(host);
  assert.equal(tries, 3);
});

Deno.test("creation ends with the caller's patience", async () => {
  await using host = new FakeHost();
  const abort = new AbortController();
  host.connect = () => {
    abort.abort(new Error("no longer wanted"));
    return Promise.reject(new Error("not yet"));
  };
  const { signal } = abort;
  const options = {
    id: "s1",
    spec: testSpec(),
    config: testConfig(),
    log: silentLog,
    host,
    paths: host.paths,
  };
  await assert.rejects(createSandbox({ ...options, signal }), { message: "no longer wanted" });
  assert.deepEqual(host.left(), []);
});

Deno.test("a second sandbox with the same id is refused while the first lives", async () => {
  await using host = new FakeHost();
  await using other = new FakeHost();
  const again = () => {
    const options = { id: "s1", spec: testSpec(), config: testConfig(), log: silentLog };
    return createSandbox({ ...options, host: other, paths: host.paths });
  };
  {
    await using _first = await create(host);
    assert.equal(await code(again()), Code.AlreadyExists);
    assert.deepEqual(other.steps, []);
  }
  await using _second = await again();
});

for (const id of ["", "a/b", "..", "a..b", "-a", "x".repeat(77)]) {
  Deno.test(`the id "${id.slice(0, 10)}" is refused before anything is taken`, async () => {
    await using host = new FakeHost();
    const options = { id, spec: testSpec(), config: testConfig(), log: silentLog, host, paths: host.paths };
    assert.equal(await code(createSandbox(options)), Code.InvalidArgument);
    assert.deepEqual(host.steps, []);
  });
}

Deno.test("a container's output is delivered, its streams are closed, and only then has it ended", async () => {
  await using host = new FakeHost();
  await using sandbox = await create(host);
  const stdout = new Collected();
  const c = await container(sandbox, host, collecting(stdout));
  await c.start();
  const gate = Promise.withResolvers<void>();
  stdout.gate = gate.promise;
  const process = host.guest.process("s1");
  process.write("last words");
  process.exit(7);
  let ended = false;
  const exit = c.init.exited.then((exit) => {
    ended = true;
    assert.equal(stdout.closed, true);
    return exit;
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(ended, false);
  assert.equal(c.status, "running");
  gate.resolve();
  assert.equal((await exit).status, 7);
  assert.deepEqual(stdout.chunks, ["last words"]);
  assert.equal(c.status, "stopped");
});

Deno.test("a process that ends before its start is answered loses no output", async () => {
  await using host = new FakeHost();
  await using sandbox = await create(host);
  const stdout = new Collected();
  const c = await container(sandbox, host, collecting(stdout));
  host.guest.before.set("startContainer", async () => {
    const process = host.guest.process("s1");
    process.write("fast");
    process.exit(3);
    await new Promise((resolve) => setTimeout(resolve, 20));
  });
  await c.start();
  assert.equal((await c.init.exited).status, 3);
  assert.deepEqual(stdout.chunks, ["fast"]);
});

Deno.test("a failed start wakes those who wait, and says why", async () => {
  await using host = new FakeHost();
  await using sandbox = await create(host);
  const c = await container(sandbox, host);
  host.guest.before.set("startContainer", () => {
    throw new RpcError(Code.NotFound, 'exec: "foo": executable file not found in $PATH');
  });
  const waiting = c.init.exited;
  await assert.rejects(c.start(), { message: 'exec: "foo": executable file not found in $PATH' });
  assert.equal((await waiting).status, 255);
  assert.equal(c.status, "stopped");
});

Deno.test("the sandbox stops when its own container ends, and still answers", async () => {
  await using host = new FakeHost();
  await using sandbox = await create(host);
  const c = await container(sandbox, host);
  await c.start();
  host.guest.process("s1").exit(0);
  await c.init.exited;
  await sandbox.stop();
  assert(host.guest.calls.includes("destroySandbox"));
  assert(host.steps.includes("stop vm"));
  assert.equal(c.status, "stopped");
  assert.equal((await c.init.exited).status, 0);
  assert.equal((await c.delete()).status, 0);
});

for (
  const [what, breakDown] of Object.entries({
    "the machine dies": (host: FakeHost) => host.killVm(),
    "the shared folder's server dies": (host: FakeHost) => host.killShareServer(),
    "the agent's connection ends": (host: FakeHost) => host.guest.disconnect(),
  })
) {
  Deno.test(`every process is reported as ended when ${what}`, async () => {
    await using host = new FakeHost();
    await using sandbox = await create(host);
    const c = await container(sandbox, host);
    await c.start();
    const exec = c.exec({ id: "e1", process: testSpec().process, io: noIo() });
    await exec.start();
    breakDown(host);
    assert.equal((await exec.process.exited).status, 255);
    assert.equal((await c.init.exited).status, 255);
    await sandbox.failed;
    await sandbox.stop();
    assert(host.steps.includes("stop vm"));
    assert.equal(await code(c.init.signal(10, true)), Code.NotFound);
    await c.init.signal(9, true);
    await c.delete();
  });
}

Deno.test("what a machine cannot give back keeps neither its containers nor the rest of the host", async () => {
  for (const breaks of [false, true]) {
    await using host = new FakeHost();
    host.failing.add("stop vm");
    const sandbox = await create(host);
    const { init } = await container(sandbox, host);
    if (breaks) host.guest.disconnect();
    else await sandbox.stop();
    assert((await init.exited).status > 0);
    await sandbox[Symbol.asyncDispose]();
    assert.deepEqual(host.left(), []);
  }
});

Deno.test("execs end, and are reported as ended, before their container", async () => {
  await using host = new FakeHost();
  await using sandbox = await create(host);
  const c = await container(sandbox, host);
  await c.start();
  const exec = c.exec({ id: "e1", process: testSpec().process, io: noIo() });
  await exec.start();
  const order: string[] = [];
  exec.process.exited.then(() => order.push("exec"));
  const init = c.init.exited.then(() => order.push("init"));
  host.guest.process("s1").exit(0);
  await init;
  assert.deepEqual(order, ["exec", "init"]);
  assert.deepEqual((await host.guest.appeared("s1", "e1.0")).signals, [9]);
});

Deno.test("an exec's children that hold its output open do not hold up its end", async () => {
  await using host = new FakeHost();
  await using sandbox = await create(host);
  const c = await container(sandbox, host);
  await c.start();
  const stdout = new Collected();
  const exec = c.exec({ id: "e1", process: testSpec().process, io: collecting(stdout) });
  await exec.start();
  const process = host.guest.process("s1", "e1.0");
  process.write("its own");
  process.exit(0, { holdOutput: true });
  assert.equal((await exec.process.exited).status, 0);
  assert.deepEqual(stdout.chunks, ["its own"]);
  assert.equal(stdout.closed, true);
  process.write("a child's");
  process.endOutput();
});

Deno.test("an exec id can be used again after its deletion", async () => {
  await using host = new FakeHost();
  await using sandbox = await create(host);
  const c = await container(sandbox, host);
  await c.start();
  const options = { id: "e1", process: testSpec().process, io: noIo() };
  const first = c.exec(options);
  assert.throws(() => c.exec(options), { code: Code.AlreadyExists });
  await first.start();
  assert.equal(await code(c.deleteExec("e1")), Code.FailedPrecondition);
  host.guest.process("s1", "e1.0").exit(0);
  await first.process.exited;
  await c.deleteExec("e1");
  await c.exec(options).start();
  assert.equal(await code(c.deleteExec("e2")), Code.NotFound);
});

Deno.test("operations in the wrong state are refused by name", async () => {
  await using host = new FakeHost();
  await using sandbox = await create(host);
  const c = await container(sandbox, host);
  assert.throws(() => c.exec({ id: "e1", process: testSpec().process, io: noIo() }), {
    message: 'cannot execute in container "s1" as it must be running or paused or pausing: it is created',
  });
  assert.equal(await code(c.pause()), Code.FailedPrecondition);
  await c.start();
  assert.equal(await code(c.start()), Code.FailedPrecondition);
  assert.equal(await code(c.delete()), Code.FailedPrecondition);
  assert.equal(await code(c.resume()), Code.FailedPrecondition);
  await c.pause();
  assert.equal(c.status, "paused");
  assert.equal(await code(c.pause()), Code.FailedPrecondition);
  await c.resume();
  host.guest.process("s1").exit(0);
  await c.init.exited;
  assert.equal(await code(c.stats()), Code.NotFound);
  assert.equal(await code(c.update({})), Code.FailedPrecondition);
  await c.delete();
  assert.equal(await code(c.delete()), Code.NotFound);
});

Deno.test("updates at once, one refused, and one as the container ends, leave the machine as it should be", async () => {
  await using host = new FakeHost();
  const config = testConfig();
  Object.assign(config.hypervisor, { default_maxvcpus: 4 });
  const made = { id: "s1", spec: testSpec(), config, log: silentLog, host, paths: host.paths };
  await using sandbox = await createSandbox(made);
  const c = await container(sandbox, host, noIo(), "c1");
  await c.start();
  const cpu = { quota: 100_000, period: 100_000 };
  // each names what it changes, and neither takes back what the other has changed
  await Promise.all([c.update({ cpu }), c.update({ memory: { limit: 256 << 20 } })]);
  assert.deepEqual(host.size, { vcpus: 2, memoryMiB: 512 });
  host.guest.before.set("updateContainer", () => {
    throw new RpcError(Code.Internal, "busy");
  });
  await assert.rejects(c.update({ memory: { limit: 512 << 20 } }), { message: "busy" });
  assert.deepEqual(host.size, { vcpus: 2, memoryMiB: 512 }, "what is refused takes no room");
  const ended = Promise.withResolvers<void>();
  host.guest.before.set("updateContainer", () => ended.promise);
  const late = assert.rejects(c.update({ memory: { limit: 384 << 20 } }));
  const later = assert.rejects(c.update({ cpu }), { code: Code.FailedPrecondition });
  host.guest.process("c1").exit(0);
  await c.init.exited;
  ended.reject(new RpcError(Code.NotFound, "it has gone"));
  await Promise.all([late, later]);
  await container(sandbox, host, noIo(), "c2");
  assert.deepEqual(host.size, { vcpus: 1, memoryMiB: 256 });
});

Deno.test("a container that was never started can be killed or deleted, and waiters wake", async () => {
  await using host = new FakeHost();
  await using sandbox = await create(host);
  const killed = await container(sandbox, host, noIo(), "c1");
  await killed.init.signal(9, true);
  assert.equal((await killed.init.exited).status, 137);
  const deleted = await container(sandbox, host, noIo(), "c2");
  const waiting = deleted.init.exited;
  await deleted.delete();
  assert.equal((await waiting).status, 137);
});

Deno.test("a container that the guest refuses leaves nothing behind, and its id is free", async () => {
  await using host = new FakeHost();
  await using sandbox = await create(host);
  host.guest.before.set("createContainer", () => {
    throw new RpcError(Code.Internal, "no such root");
  });
  await assert.rejects(container(sandbox, host), { message: "no such root" });
  assert.equal(host.steps.at(-1), "unshare s1");
  host.guest.before.delete("createContainer");
  const first = container(sandbox, host);
  assert.equal(await code(container(sandbox, host)), Code.AlreadyExists);
  await first;
  assert.equal(await code(container(sandbox, host)), Code.AlreadyExists);
});

Deno.test("a terminal's size that was set before the start is applied at the start", async () => {
  await using host = new FakeHost();
  await using sandbox = await create(host);
  const c = await container(sandbox, host, noIo(true));
  await c.init.resize({ rows: 24, columns: 80 });
  assert.equal(host.guest.process("s1").size, undefined);
  await c.start();
  assert.equal(host.guest.process("s1").size, "24x80");
});

Deno.test("two containers share a sandbox; the end of one leaves the other alone", async () => {
  await using host = new FakeHost();
  await using sandbox = await create(host);
  const pod = await container(sandbox, host);
  const member = await container(sandbox, host, noIo(), "c2");
  await pod.start();
  await member.start();
  host.guest.process("c2").exit(1);
  assert.equal((await member.init.exited).status, 1);
  assert.equal(pod.status, "running");
  await member.delete();
  assert.equal(sandbox.isStopped, false);
  assert.equal(sandbox.container("c2"), undefined);
});

/**
 * The shim as CRI-O drives a runtime of the type `vm`: each container has a `start` and a connection of its own, the
 * task service is all that is used, nobody wants events, and `delete` is never run.
 *
 * @module
 */

import assert from "node:assert/strict";
import { OptionsSchema } from "../../rpc/gen/runtimeoptions_pb.ts";
import { Task } from "../../rpc/gen/task_pb.ts";
import { Status } from "../../rpc/gen/task_types_pb.ts";
import { packAny } from "../../rpc/any.ts";
import { TtrpcClient } from "../../rpc/ttrpc/client.ts";
import { type ServiceClient, serviceClient } from "../../rpc/ttrpc/typed.ts";
import { AT, mknodAt, O, openFd, OwnedFd, S } from "../../sys/fd.ts";
import { connectUnix } from "../../sys/socket.ts";
import { TestNamespace } from "../../sys/test_helpers.ts";
import { writeConfiguration } from "./configuration.ts";
import { until } from "./containerd.ts";
import { type ContainerOptions, type DirectShim, execProcess, startShim } from "./direct_shim.ts";
import { leaksSince, ownId, traces } from "./leaks.ts";
import { temporaryRootfs } from "./rootfs.ts";
import { kill, pidsOf } from "./victims.ts";

const [FIRST, SECOND, THIRD] = [ownId("crio"), ownId("crash"), ownId("next")];

const [SIGKILL, SIGTERM] = [9, 15];

/** A container, and the connection that is its own. */
class CrioContainer {
  readonly id: string;
  readonly #engine: Crio;
  #client: TtrpcClient | undefined;

  constructor(engine: Crio, id: string) {
    this.id = id;
    this.#engine = engine;
  }

  get task(): ServiceClient<typeof Task.methods> {
    assert(this.#client);
    return serviceClient(Task, this.#client);
  }

  connect(address: string): Promise<void> {
    return connectUnix(address.trim().replace("unix://", "")).then((stream) => {
      this.#client = new TtrpcClient(stream);
    });
  }

  disconnect(): void {
    this.#client?.close();
  }

  /** An engine that was started again knows the bundle, and nothing else. */
  async reconnect(): Promise<void> {
    this.disconnect();
    await this.connect(await Deno.readTextFile(`${this.#engine.shim.bundle(this.id)}/address`));
  }

  async status(): Promise<Status> {
    return (await this.task.state({ id: this.id })).status;
  }

  async isAlive(): Promise<boolean> {
    return await this.task.kill({ id: this.id, signal: 0 }).then(() => true, () => false);
  }

  /** @returns exit code and output */
  async exec(execId: string, script: string, timeoutMs?: number): Promise<[number, string]> {
    const { id, task } = this;
    const stdout = this.#engine.shim.outputFifo(execId);
    await task.exec({ id, execId, stdout: stdout.path, spec: execProcess(["sh", "-c", script]) });
    await task.start({ id, execId });
    const ended = task.wait({ id, execId });
    const timer = timeoutMs && setTimeout(() => task.kill({ id, execId, signal: SIGKILL }), timeoutMs);
    const { exitStatus } = await ended;
    clearTimeout(timer);
    await task.delete({ id, execId });
    return [exitStatus, await stdout.text];
  }

  /** Asks it to end, then makes it. @returns the exit code */
  async stop(graceMs: number): Promise<number> {
    const { id, task } = this;
    const ended = task.wait({ id });
    await task.kill({ id, signal: SIGTERM });
    let timer;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, graceMs));
    await Promise.race([ended, late]);
    clearTimeout(timer);
    // it may have ended at this moment
    await task.kill({ id, signal: SIGKILL });
    return (await ended).exitStatus;
  }

  async remove(): Promise<void> {
    await this.task.delete({ id: this.id });
    // the connection may be gone before the answer is there
    await this.task.shutdown({ id: this.id }).catch((error) => assert.equal(error.name, "ConnectionClosed"));
    this.disconnect();
  }
}

/** The engine with one pod. */
class Crio implements AsyncDisposable {
  readonly shim: DirectShim;
  readonly #options: Pick<ContainerOptions, "rootfs" | "netns">;
  readonly #configuration: string;
  readonly #taken = new AsyncDisposableStack();

  constructor(shim: DirectShim, configuration: string, options: Pick<ContainerOptions, "rootfs" | "netns">) {
    this.shim = shim;
    this.#configuration = configuration;
    this.#options = options;
  }

  /** Runs `start` in a container's bundle and connects. */
  async start(id: string, script: string, more: Partial<ContainerOptions> = {}): Promise<CrioContainer> {
    const sandbox = this.shim.id;
    const bundle = this.shim.writeBundle(id, {
      args: ["sh", "-c", script],
      annotations: {
        "io.kubernetes.cri-o.ContainerType": id === sandbox ? "sandbox" : "container",
        "io.kubernetes.cri-o.SandboxID": sandbox,
      },
      ...this.#options,
      ...more,
    });
    mknodAt(AT.FDCWD, `${bundle}/log`, S.IFIFO | 0o700);
    this.#taken.use(new OwnedFd(openFd(`${bundle}/log`, O.RDONLY | O.NONBLOCK)));
    const container = new CrioContainer(this, id);
    await container.connect(await this.shim.run("start", id));
    this.#taken.defer(() => container.disconnect());
    return container;
  }

  async create(container: CrioContainer, stdout = ""): Promise<void> {
    const options = packAny(OptionsSchema, { configPath: this.#configuration });
    const bundle = this.shim.bundle(container.id);
    await container.task.create({ id: container.id, bundle, stdout, options });
  }

  async run(
    id: string,
    script: string,
    more: Partial<ContainerOptions> = {},
    stdout = "",
  ): Promise<CrioContainer> {
    const container = await this.start(id, script, more);
    await this.create(container, stdout);
    await container.task.start({ id });
    return container;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#taken.disposeAsync();
  }
}

Deno.test("a pod as CRI-O runs it, without events and without a clean-up from outside", async (t) => {
  await using rootfs = await temporaryRootfs();
  const configuration = writeConfiguration(rootfs.folder);
  using namespace = new TestNamespace();
  const left = await traces();
  await using shim = await startShim(FIRST, { engine: "cri-o" });
  await using crio = new Crio(shim, configuration, { rootfs: rootfs.path, netns: namespace.path });
  const sandbox = await crio.run(FIRST, "sleep 1000");
  const stdout = shim.outputFifo("member");
  const member = await crio.run("member", "echo up; exec sleep 1000", {}, stdout.path);

  await t.step("all containers are at one address, and are alive", async () => {
    const address = (id: string) => Deno.readTextFileSync(`${shim.bundle(id)}/address`);
    assert.equal(address("member"), address(FIRST));
    assert.deepEqual([await sandbox.status(), await member.status()], [Status.RUNNING, Status.RUNNING]);
    assert.deepEqual([await sandbox.isAlive(), await member.isAlive()], [true, true]);
    assert((await member.task.state({ id: "member" })).pid > 0);
  });

  await t.step("commands, and one that takes too long", async () => {
    assert.deepEqual(await member.exec("e1", "echo out; exit 3"), [3, "out\n"]);
    assert.equal((await member.exec("e2", "sleep 1000", 500))[0], 137);
  });

  await t.step("an engine that was started again finds containers by their bundles", async () => {
    await Promise.all([sandbox.reconnect(), member.reconnect()]);
    const { status, stdout: path } = await member.task.state({ id: "member" });
    assert.deepEqual([status, path], [Status.RUNNING, stdout.path]);
    assert.deepEqual(await member.exec("e3", "echo again"), [0, "again\n"]);
  });

  await t.step("want of memory is marked in the bundle before the end is known", async () => {
    const resources = { memory: { limit: 32 * 1024 * 1024 } };
    const hungry = await crio.run("hungry", "exec tail /dev/zero", { resources });
    assert.equal((await hungry.task.wait({ id: "hungry" })).exitStatus, 137);
    assert((await Deno.stat(`${shim.bundle("hungry")}/oom`)).isFile);
    assert.deepEqual([await hungry.isAlive(), await hungry.status()], [false, Status.STOPPED]);
    await hungry.remove();
  });

  await t.step("the end of a container and of the pod", async () => {
    assert.equal(await member.stop(300), 137);
    assert.equal(await stdout.text, "up\n");
    assert.equal(await sandbox.stop(10_000), 0);
    assert.equal(await member.status(), Status.STOPPED);
    await member.remove();
    await sandbox.remove();
    await until("the server is gone", async () => (await pidsOf("shim", FIRST)).length === 0);
    assert.deepEqual(await leaksSince(left), []);
  });
});

Deno.test("what CRI-O gives up, and what is left of a shim that was killed", async (t) => {
  await using rootfs = await temporaryRootfs();
  const configuration = writeConfiguration(rootfs.folder);
  const left = await traces();

  await t.step("a creation that takes too long is deleted", async () => {
    await using shim = await startShim(FIRST, { engine: "cri-o" });
    await using crio = new Crio(shim, configuration, { rootfs: rootfs.path });
    const sandbox = await crio.start(FIRST, "sleep 1000");
    const creation = assert.rejects(crio.create(sandbox), { code: 1 });
    await until("the machine boots", async () => (await pidsOf("qemu", FIRST)).length > 0);
    const { task } = sandbox;
    await task.delete({ id: FIRST }).catch(({ code }) => assert.equal(code, 5));
    await creation;
    await task.shutdown({ id: FIRST }).catch(() => {});
    await until("the server is gone", async () => (await pidsOf("shim", FIRST)).length === 0);
    assert.deepEqual(await leaksSince(left), []);
  });

  await t.step("the next pod takes away what a killed shim has left", async () => {
    await using shim = await startShim(SECOND, { engine: "cri-o" });
    await using crio = new Crio(shim, configuration, { rootfs: rootfs.path });
    const sandbox = await crio.start(SECOND, "sleep 1000");
    const creation = assert.rejects(crio.create(sandbox), { name: "ConnectionClosed" });
    await until("the machine boots", async () => (await pidsOf("qemu", SECOND)).length > 0);
    await kill("shim", SECOND);
    await creation;
    // the engine removes what it has made itself, and asks nobody else
    await Deno.remove(shim.bundle(SECOND), { recursive: true });
    assert.notDeepEqual([...await traces()].filter((trace) => !left.has(trace)), []);

    await using next = await startShim(THIRD, { engine: "cri-o" });
    await using other = new Crio(next, configuration, { rootfs: rootfs.path });
    const container = await other.start(THIRD, "true");
    await until(
      "the server has looked around",
      async () => [...await traces()].every((trace) => !trace.includes(SECOND)),
    );
    await container.task.shutdown({ id: THIRD }).catch(() => {});
    await until("the server is gone", async () => (await pidsOf("shim", THIRD)).length === 0);
  });
  assert.deepEqual(await leaksSince(left), []);
});

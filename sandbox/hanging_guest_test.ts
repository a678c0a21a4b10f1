import assert from "node:assert/strict";
import { createSandbox } from "./create_sandbox.ts";
import { noIo } from "./io/streams.ts";
import type { Log } from "./log/log.ts";
import type { Sandbox } from "./sandbox.ts";
import { FakeHost, testConfig, testSpec } from "./testing/fake_host.ts";

const STANDS_STILL = /^the agent does not answer, and its machine has not run for 3 s$/;

/** A sandbox whose guest does not answer any more, with a process for its machine that does nothing. */
class Hanging implements AsyncDisposable {
  readonly host = new FakeHost();
  readonly lines: string[] = [];
  readonly #machine = new Deno.Command("/bin/sleep", { args: ["1000"] }).spawn();

  constructor() {
    this.host.vmPid = this.#machine.pid;
  }

  async create(): Promise<Sandbox> {
    const { host } = this;
    const log: Log = { write: (_level, message) => void this.lines.push(message) };
    const sandbox = await createSandbox({
      id: "s1",
      spec: testSpec(),
      config: testConfig(),
      log,
      host,
      paths: host.paths,
    });
    await sandbox.createContainer({
      id: "c1",
      bundle: host.bundle,
      spec: testSpec(),
      rootfs: [],
      io: noIo(),
    });
    await sandbox.container("c1")?.start();
    return sandbox;
  }

  hang(): void {
    const never = () => new Promise<never>(() => {});
    this.host.guest.checked = never;
    for (const call of ["signalProcess", "removeContainer", "destroySandbox"] as const) {
      this.host.guest.before.set(call, never);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#machine.kill("SIGKILL");
    } catch {
      // what a sandbox leaves running is killed by its saved state
    }
    await this.#machine.status;
    await this.host[Symbol.asyncDispose]();
  }
}

async function signalled(): Promise<void> {
  await using hanging = new Hanging();
  const sandbox = await hanging.create();
  const container = sandbox.container("c1") ?? assert.fail();
  hanging.hang();
  // all ask at once, as a node agent that has lost its patience
  await Promise.all([container.init.signal(9, true), container.init.signal(15, false)]);
  assert.equal((await container.init.exited).status, 255);
  assert.match((await sandbox.failed).message, STANDS_STILL);
  assert.equal((await container.delete()).status, 255);
  await sandbox[Symbol.asyncDispose]();
  assert.deepEqual(hanging.host.left(), []);
}

async function stopped(): Promise<void> {
  await using hanging = new Hanging();
  const sandbox = await hanging.create();
  const container = sandbox.container("c1") ?? assert.fail();
  hanging.hang();
  await sandbox.stop();
  assert.equal((await container.init.exited).status, 137);
  assert.match(hanging.lines.find((line) => line.startsWith("the agent")) ?? "", STANDS_STILL);
  await sandbox[Symbol.asyncDispose]();
  assert.deepEqual(hanging.host.left(), []);
}

// at once, as each waits for seconds
Deno.test("a signal or a stop that a machine at a standstill does not answer ends the sandbox", async () => {
  await Promise.all([signalled(), stopped()]);
});

Deno.test("a slow answer to a signal is waited for, if the agent says that it is there", async () => {
  await using hanging = new Hanging();
  const sandbox = await hanging.create();
  const container = sandbox.container("c1") ?? assert.fail();
  const answered = Promise.withResolvers<void>();
  let asked = 0;
  hanging.host.guest.before.set("signalProcess", () => answered.promise);
  hanging.host.guest.checked = () => {
    if (++asked === 1) answered.resolve();
  };
  await container.init.signal(9, true);
  assert.equal((await container.init.exited).status, 137);
  assert.equal(asked, 1, "it was asked once");
  await sandbox[Symbol.asyncDispose]();
});

import assert from "node:assert/strict";
import { specToWire } from "../oci/wire.ts";
import { AgentService } from "../rpc/gen/agent_pb.ts";
import { Health } from "../rpc/gen/health_pb.ts";
import { TtrpcClient } from "../rpc/ttrpc/client.ts";
import { serviceClient } from "../rpc/ttrpc/typed.ts";
import { isErrno } from "../sys/errors.ts";
import { loopIdle } from "../sys/poll.ts";
import { connectUnix } from "../sys/socket.ts";
import { Harness, specOf } from "./container/testing/harness.ts";

const PROGRAM = new URL("../main.ts", import.meta.url).pathname;

/** The agent as a process of its own, as in a guest that has another init. */
class AgentProcess implements AsyncDisposable {
  readonly socket: string;
  readonly #process: Deno.ChildProcess;
  readonly #output: Promise<string>;

  constructor(machine: Harness, ...args: readonly string[]) {
    this.socket = `${machine.folder}/agent.sock`;
    const command = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--allow-all", "--quiet", "--no-check", PROGRAM, "agent"],
        ...["--server-addr", `unix://${this.socket}`, "--cgroup-root", machine.cgroupRoot],
        ...["--run-dir", `${machine.folder}/run`, ...args],
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    });
    this.#process = command.spawn();
    this.#output = new Response(this.#process.stdout).text();
  }

  /** Connects as soon as it listens. */
  async connect(): Promise<TtrpcClient> {
    for (;;) {
      try {
        return new TtrpcClient(await connectUnix(this.socket));
      } catch (error) {
        if (!isErrno(error, "ENOENT", "ECONNREFUSED")) throw error;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }

  signal(name: Deno.Signal): void {
    this.#process.kill(name);
  }

  /** Waits for its end. */
  async end(): Promise<{ code: number; output: string }> {
    const { code } = await this.#process.status;
    return { code, output: await this.#output };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.end();
    await loopIdle();
  }
}

Deno.test("an agent that is a process among others serves several clients, and ends with its sandbox", async () => {
  await using machine = new Harness();
  await using process = new AgentProcess(machine);
  using first = await process.connect();
  using second = await process.connect();
  assert.equal((await serviceClient(Health, first).check({})).status, 1);
  const agent = serviceClient(AgentService, first);
  await agent.createSandbox({ hostname: "h" });
  await agent.createContainer({
    containerId: "c1",
    OCI: specToWire(specOf(machine.rootfs, ["sleep", "100"])),
  });
  await agent.startContainer({ containerId: "c1" });
  const waiting = serviceClient(AgentService, second).waitProcess({ containerId: "c1" });
  await agent.destroySandbox({});
  assert.equal((await waiting).status, 137);
  const { code, output } = await process.end();
  assert.equal(code, 0);
  assert.match(output, /^kata-agent info: ready address="unix:/);
});

Deno.test("an agent that gets SIGTERM removes its containers", async () => {
  await using machine = new Harness();
  await using process = new AgentProcess(machine, "--log", "error");
  using client = await process.connect();
  const agent = serviceClient(AgentService, client);
  await agent.createSandbox({ hostname: "h" });
  await agent.createContainer({
    containerId: "c1",
    OCI: specToWire(specOf(machine.rootfs, ["sleep", "100"])),
  });
  await agent.startContainer({ containerId: "c1" });
  process.signal("SIGTERM");
  assert.deepEqual(await process.end(), { code: 0, output: "" });
});

Deno.test("an agent that cannot start says why in one line", async () => {
  await using machine = new Harness();
  Deno.writeTextFileSync(`${machine.folder}/agent.sock`, "in the way");
  await using process = new AgentProcess(machine);
  const { code, output } = await process.end();
  assert.equal(code, 70);
  assert.match(output, /^kata-agent critical: the agent ends: cannot bind ".*agent\.sock": EADDRINUSE\n$/);
});

Deno.test("invalid arguments are reported before anything is done", async () => {
  await using machine = new Harness();
  await using process = new AgentProcess(machine, "--log", "error", "--nonsense");
  assert.deepEqual(await process.end(), { code: 1, output: "" });
  assert.throws(() => Deno.statSync(`${machine.folder}/run`), Deno.errors.NotFound);
});

/**
 * For tests: an agent's services on this machine, called over a connection in memory, with a busybox to run.
 *
 * Needs root. Everything is removed again by `await using`, and what is left over fails the test.
 */

import assert from "node:assert/strict";
import type { Spec } from "../../oci/spec.ts";
import { specToWire } from "../../oci/wire.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import { AgentService } from "../../rpc/gen/agent_pb.ts";
import { Health } from "../../rpc/gen/health_pb.ts";
import type { Methods, Service } from "../../rpc/service.ts";
import { streamPair } from "../../rpc/stream.ts";
import { TtrpcClient } from "../../rpc/ttrpc/client.ts";
import { TtrpcServer } from "../../rpc/ttrpc/server.ts";
import { type ServiceClient, serviceClient } from "../../rpc/ttrpc/typed.ts";
import { Harness, specOf } from "../container/testing/harness.ts";
import { createLogger } from "../log.ts";
import { Sandbox } from "../sandbox.ts";
import { agentServices } from "../service/services.ts";

/** Calls to the agent, by method. */
export type AgentClient = ServiceClient<typeof AgentService.methods>;

/** An agent for one test. */
export class TestAgent implements AsyncDisposable {
  readonly machine = new Harness();
  readonly sandbox: Sandbox;
  readonly client: AgentClient;
  readonly health: ServiceClient<typeof Health.methods>;
  /** Whether DestroySandbox has told the agent to end. */
  destroyed = false;
  readonly #ttrpc: TtrpcClient;
  readonly #served: Promise<void>;

  constructor() {
    const base = `${this.machine.folder}/run`;
    Deno.mkdirSync(base);
    const devices = { need() {}, loadByName() {} };
    const log = createLogger("critical");
    this.sandbox = new Sandbox({
      base,
      pipeSize: 0,
      cgroupRoot: this.machine.cgroupRoot,
      devices,
      hotplugTimeoutMs: 100,
      log,
    });
    const destroyed = () => void (this.destroyed = true);
    const services = agentServices(this.sandbox, {
      base,
      init: false,
      devices,
      hotplugTimeoutMs: 0,
      log,
      debugConsole: false,
      setLogLevel: log.setLevel,
      destroyed,
    });
    const [here, there] = streamPair();
    this.#served = new TtrpcServer(services).serve(there);
    this.#ttrpc = new TtrpcClient(here);
    this.client = serviceClient(AgentService, this.#ttrpc);
    this.health = serviceClient(Health, this.#ttrpc);
  }

  /** Calls of another of its services. */
  service<M extends Methods>(service: Service<M>): ServiceClient<M> {
    return serviceClient(service, this.#ttrpc);
  }

  /** Folder of everything the agent makes. */
  get base(): string {
    return `${this.machine.folder}/run`;
  }

  /** Makes the sandbox that containers need. */
  async createSandbox(): Promise<void> {
    await this.client.createSandbox({ sandboxId: "pod", hostname: "pod-host" });
  }

  /** Creates and starts a container; `change` edits its specification. */
  async run(
    containerId: string,
    args: readonly string[],
    change: (spec: Spec) => void = () => {},
  ): Promise<void> {
    await this.create(containerId, args, change);
    await this.client.startContainer({ containerId });
  }

  /** Creates a container. */
  async create(
    containerId: string,
    args: readonly string[],
    change: (spec: Spec) => void = () => {},
  ): Promise<void> {
    await this.client.createContainer({ containerId, execId: containerId, OCI: this.spec(args, change) });
  }

  /** A specification as it travels. */
  spec(args: readonly string[], change: (spec: Spec) => void = () => {}): ReturnType<typeof specToWire> {
    const spec = specOf(this.machine.rootfs, args);
    change(spec);
    return specToWire(spec);
  }

  /** Reads an output to its end. */
  async readAll(containerId: string, stream: "stdout" | "stderr" = "stdout", execId = ""): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    const read = stream === "stdout" ? this.client.readStdout : this.client.readStderr;
    for (;;) {
      try {
        const { data } = await read({ containerId, execId, len: 32768 });
        assert.notEqual(data.length, 0);
        text += decoder.decode(data, { stream: true });
      } catch (error) {
        assert.ok(isStatus(error, Code.OutOfRange) && /eof/.test(error.message), String(error));
        return text;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.destroyed) await this.client.destroySandbox({}).catch((error) => assert.fail(String(error)));
    this.#ttrpc.close();
    await this.#served;
    const left = [...Deno.readDirSync(this.base)].map((entry) => entry.name);
    await this.machine[Symbol.asyncDispose]();
    assert.deepEqual(left, []);
  }
}

/** Whether it is an error with this code. */
function isStatus(error: unknown, code: number): error is RpcError {
  return error instanceof RpcError && error.code === code;
}

/** Fails unless the call fails with this code and text. */
export async function rejects(call: Promise<unknown>, code: number, message: RegExp): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof RpcError, String(error));
    assert.match(error.message, message);
    assert.equal(error.code, code, `${error.code}: ${error.message}`);
    return true;
  });
}

/**
 * A shim for tests, with clients on either side.
 *
 * @module
 */

import type { Envelope } from "../../../rpc/gen/envelope_pb.ts";
import {
  TaskCreateSchema,
  TaskDeleteSchema,
  TaskExecAddedSchema,
  TaskExecStartedSchema,
  TaskExitSchema,
  TaskStartSchema,
} from "../../../rpc/gen/events_pb.ts";
import { Events } from "../../../rpc/gen/events_ttrpc_pb.ts";
import { Sandbox as SandboxService } from "../../../rpc/gen/sandbox_pb.ts";
import { CreateTaskRequestSchema, Task } from "../../../rpc/gen/task_pb.ts";
import { create, fromBinary, type Init, type Schema } from "../../../rpc/message.ts";
import { streamPair } from "../../../rpc/stream.ts";
import { TtrpcClient } from "../../../rpc/ttrpc/client.ts";
import { TtrpcServer } from "../../../rpc/ttrpc/server.ts";
import { implement, type ServiceClient, serviceClient } from "../../../rpc/ttrpc/typed.ts";
import { silentLog } from "../../../sandbox/log/log.ts";
import { FakeHost, testConfig, testSpec } from "../../../sandbox/testing/fake_host.ts";
import { EventPublisher } from "../events.ts";
import { sandboxService } from "../sandbox_service.ts";
import { Shim } from "../shim.ts";
import { taskServices } from "../task_service.ts";

const SCHEMAS: Record<string, Schema<Record<string, unknown>>> = Object.fromEntries(
  [
    TaskCreateSchema,
    TaskStartSchema,
    TaskExitSchema,
    TaskDeleteSchema,
    TaskExecAddedSchema,
    TaskExecStartedSchema,
  ]
    .map((schema) => [schema.typeName, schema as Schema<unknown> as Schema<Record<string, unknown>>]),
);

/** A shim with a task client and an event service on either side, all in memory. */
export class Bench implements AsyncDisposable {
  readonly host = new FakeHost();
  readonly shim: Shim;
  readonly task: ServiceClient<typeof Task.methods>;
  readonly sandbox: ServiceClient<typeof SandboxService.methods>;
  readonly v3: ServiceClient<typeof Task.methods>;
  readonly events: EventPublisher;
  /** topics with ids, in the order of their arrival */
  readonly told: string[] = [];
  readonly #client: TtrpcClient;
  readonly #server: TtrpcServer;

  /** @param hasReader whether the engine takes events */
  constructor({ hasReader = true }: { hasReader?: boolean } = {}) {
    this.events = new EventPublisher({
      namespace: "ns",
      connect: hasReader ? () => Promise.resolve(this.#listen()) : undefined,
      log: silentLog,
    });
    const { host, events } = this;
    this.shim = new Shim({
      namespace: "ns",
      log: silentLog,
      events,
      host,
      paths: host.paths,
      config: testConfig(),
      forgottenMs: 1,
    });
    this.#server = new TtrpcServer([...taskServices(this.shim), sandboxService(this.shim)]);
    const [ours, theirs] = streamPair();
    this.#server.serve(theirs);
    this.#client = new TtrpcClient(ours);
    this.task = serviceClient(Task, this.#client);
    this.sandbox = serviceClient(SandboxService, this.#client);
    this.v3 = serviceClient(Task, this.#client, { name: "containerd.task.v3.Task" });
    this.writeSpec(testSpec());
  }

  writeSpec(spec: unknown): void {
    Deno.writeTextFileSync(`${this.host.bundle}/config.json`, JSON.stringify(spec));
  }

  #listen() {
    const [ours, theirs] = streamPair();
    const forward = ({ envelope }: { envelope?: Envelope }) => {
      if (envelope) this.told.push(describe(envelope));
      return {};
    };
    new TtrpcServer([implement(Events, { forward })]).serve(theirs).catch(() => {});
    return ours;
  }

  create(id = "c1", change: Init<ReturnType<typeof request>> = {}) {
    return this.task.create(request(id, this.host.bundle, change));
  }

  /** The client goes without a word. */
  vanish(): void {
    this.#client.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shim[Symbol.asyncDispose]();
    await this.events.flush(1_000);
    this.events.close();
    this.#client.close();
    await this.#server.shutdown(0);
    await this.host[Symbol.asyncDispose]();
  }
}

function request(id: string, bundle: string, change: object = {}) {
  return { ...create(CreateTaskRequestSchema, { id, bundle }), ...change };
}

function describe({ topic, event }: Envelope): string {
  const schema = SCHEMAS[event?.typeUrl ?? ""];
  if (schema === undefined || event === undefined) return topic;
  const { id, execId, containerId, exitStatus } = fromBinary(schema, event.value);
  return [topic, id || execId || containerId, exitStatus].filter((part) => part !== undefined).join(" ");
}

/** What to execute. */
export function execSpec(args = ["sh"]) {
  const json = JSON.stringify({ ...testSpec().process, args });
  const typeUrl = "types.containerd.io/opencontainers/runtime-spec/1/Process";
  return { typeUrl, value: new TextEncoder().encode(json) };
}

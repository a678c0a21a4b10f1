import assert from "node:assert/strict";
import { unpackAny } from "../../rpc/any.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import { TaskStartSchema } from "../../rpc/gen/events_pb.ts";
import { Events } from "../../rpc/gen/events_ttrpc_pb.ts";
import { type ByteStream, streamPair } from "../../rpc/stream.ts";
import { TtrpcServer } from "../../rpc/ttrpc/server.ts";
import { implement } from "../../rpc/ttrpc/typed.ts";
import { type Log, silentLog } from "../../sandbox/log/log.ts";
import { EventPublisher } from "./events.ts";

/** containerd's side: it can be away, refuse, or vanish in the middle of a call. */
class Containerd {
  readonly received: string[] = [];
  readonly namespaces = new Set<string>();
  isUp = true;
  /** what to do with the next events */
  readonly faults: ("refuse" | "vanish")[] = [];
  connections = 0;
  #current: ByteStream | undefined;

  readonly connect = (): Promise<ByteStream> => {
    if (!this.isUp) return Promise.reject(new Error("connection refused"));
    this.connections++;
    const [ours, theirs] = streamPair();
    this.#current = theirs;
    const service = implement(Events, {
      forward: ({ envelope }) => {
        const fault = this.faults.shift();
        if (fault === "refuse") throw new RpcError(Code.InvalidArgument, "no");
        if (fault === "vanish") this.vanish();
        this.namespaces.add(envelope?.namespace ?? "");
        assert(envelope?.timestamp);
        this.received.push(`${envelope.topic} ${unpackAny(TaskStartSchema, envelope.event)?.pid}`);
        return {};
      },
    });
    new TtrpcServer([service]).serve(theirs).catch(() => {});
    return Promise.resolve(ours);
  };

  vanish(): void {
    this.#current?.close();
  }
}

function publisher(containerd: Containerd, log: Log = silentLog): EventPublisher {
  return new EventPublisher({ namespace: "ns", connect: containerd.connect, log });
}

function publish(events: EventPublisher, ...pids: number[]): void {
  for (const pid of pids) events.publish("/tasks/start", TaskStartSchema, { containerId: "c1", pid });
}

Deno.test("events arrive in order, over one connection", async () => {
  const containerd = new Containerd();
  const events = publisher(containerd);
  publish(events, 1, 2);
  publish(events, 3);
  assert(await events.flush(60_000));
  assert.deepEqual(containerd.received, ["/tasks/start 1", "/tasks/start 2", "/tasks/start 3"]);
  assert.deepEqual([...containerd.namespaces], ["ns"]);
  assert.equal(containerd.connections, 1);
  events.close();
});

Deno.test("events wait for a containerd that is away", async () => {
  const containerd = new Containerd();
  containerd.isUp = false;
  const events = publisher(containerd);
  publish(events, 1, 2);
  assert.equal(await events.flush(100), false);
  assert.deepEqual(containerd.received, []);
  containerd.isUp = true;
  publish(events, 3);
  assert(await events.flush(60_000));
  assert.deepEqual(containerd.received, ["/tasks/start 1", "/tasks/start 2", "/tasks/start 3"]);
  events.close();
});

Deno.test("an event about something of which one waits already is not put behind it", async () => {
  const containerd = new Containerd();
  containerd.isUp = false;
  const events = publisher(containerd);
  for (const about of ["c1", "c2", "c1", "c1", "c2"]) {
    events.publish(
      "/tasks/start",
      TaskStartSchema,
      { containerId: about, pid: Number(about.slice(1)) },
      about,
    );
  }
  publish(events, 3, 3);
  containerd.isUp = true;
  assert(await events.flush(60_000));
  assert.deepEqual(containerd.received, [1, 2, 3, 3].map((pid) => `/tasks/start ${pid}`));
  events.publish("/tasks/start", TaskStartSchema, { containerId: "c1", pid: 1 }, "c1");
  assert(await events.flush(60_000));
  assert.equal(containerd.received.length, 5);
  events.close();
});

Deno.test("a containerd that was restarted between two events is found again", async () => {
  const containerd = new Containerd();
  const events = publisher(containerd);
  publish(events, 1);
  assert(await events.flush(60_000));
  containerd.vanish();
  publish(events, 2);
  assert(await events.flush(60_000));
  assert.deepEqual(containerd.received, ["/tasks/start 1", "/tasks/start 2"]);
  assert.equal(containerd.connections, 2);
  events.close();
});

Deno.test("an event whose answer was lost is sent again", async () => {
  const containerd = new Containerd();
  containerd.faults.push("vanish");
  const events = publisher(containerd);
  publish(events, 1, 2);
  assert(await events.flush(60_000));
  assert.equal(containerd.received.at(-2), "/tasks/start 1");
  assert.equal(containerd.received.at(-1), "/tasks/start 2");
  events.close();
});

Deno.test("an event that is refused again and again is dropped, and the next one goes on", async () => {
  const containerd = new Containerd();
  containerd.faults.push("refuse", "refuse", "refuse", "refuse", "refuse");
  const lines: string[] = [];
  const events = publisher(containerd, { write: (level, message) => lines.push(`${level} ${message}`) });
  publish(events, 1, 2);
  assert(await events.flush(60_000));
  assert.deepEqual(containerd.received, ["/tasks/start 2"]);
  assert(lines.includes("error event /tasks/start is lost: no"));
  events.close();
});

Deno.test("without an address events are only logged", async () => {
  const lines: string[] = [];
  const log: Log = { write: (level, message) => lines.push(`${level} ${message}`) };
  const events = new EventPublisher({ namespace: "ns", connect: undefined, log });
  publish(events, 1);
  assert(await events.flush(0));
  assert.deepEqual(lines, ["debug event /tasks/start"]);
});

Deno.test("closing gives up what waits", async () => {
  const containerd = new Containerd();
  containerd.isUp = false;
  const events = publisher(containerd);
  publish(events, 1);
  events.close();
  assert.equal(await events.flush(1_000), false);
});

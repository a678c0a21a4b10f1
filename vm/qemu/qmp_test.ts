import assert from "node:assert/strict";
import { type ByteStream, streamPair } from "../../rpc/stream.ts";
import { QmpClient, QmpClosed, QmpError, type QmpEvent } from "./qmp.ts";

const GREETING = { QMP: { version: { qemu: { major: 7, minor: 2, micro: 22 } }, capabilities: ["oob"] } };
const PATIENCE = { timeoutMs: 10_000 };

interface Request {
  readonly execute: string;
  readonly arguments: Record<string, unknown>;
  readonly id: number;
}

/** The other side of the protocol; hands out requests one by one. */
class FakeQemu {
  #rest = "";
  constructor(readonly stream: ByteStream) {}

  send(...messages: unknown[]): Promise<void> {
    const text = messages.map((message) => JSON.stringify(message) + "\r\n").join("");
    return this.stream.write(new TextEncoder().encode(text));
  }

  async next(): Promise<Request> {
    const buffer = new Uint8Array(4096);
    while (!this.#rest.includes("\n")) {
      const count = await this.stream.read(buffer);
      if (count === 0) throw new Error("the client closed the connection");
      this.#rest += new TextDecoder().decode(buffer.subarray(0, count));
    }
    const [line = "", ...rest] = this.#rest.split("\n");
    this.#rest = rest.join("\n");
    return JSON.parse(line);
  }

  async greet(): Promise<void> {
    await this.send(GREETING);
    const request = await this.next();
    assert.equal(request.execute, "qmp_capabilities");
    await this.send({ return: {}, id: request.id });
  }
}

async function connected(onEvent?: (event: QmpEvent) => void): Promise<[QmpClient, FakeQemu]> {
  const [ours, theirs] = streamPair();
  const fake = new FakeQemu(theirs);
  const [client] = await Promise.all([QmpClient.connect(ours, { ...PATIENCE, onEvent }), fake.greet()]);
  return [client, fake];
}

Deno.test("a QmpClient answers commands by their ids, with events in between", async () => {
  const events: QmpEvent[] = [];
  const [client, fake] = await connected((event) => events.push(event));
  const first = client.execute("query-status");
  const second = client.execute("device_add", { driver: "virtio-net-pci" });
  const [a, b] = [await fake.next(), await fake.next()];
  assert.deepEqual(b.arguments, { driver: "virtio-net-pci" });
  await fake.send(
    { event: "RESUME", timestamp: { seconds: 1, microseconds: 2 } },
    { return: "b", id: b.id },
    { event: "SHUTDOWN", data: { guest: true, reason: "guest-reset" } },
    { return: { status: "running" }, id: a.id },
  );
  assert.deepEqual(await first, { status: "running" });
  assert.equal(await second, "b");
  assert.deepEqual(events, [
    { name: "RESUME", data: {} },
    { name: "SHUTDOWN", data: { guest: true, reason: "guest-reset" } },
  ]);
  client.close();
});

Deno.test("QEMU's refusal names the command and keeps the class", async () => {
  const [client, fake] = await connected();
  const answer = client.execute("device_del", { id: "x" });
  const { id } = await fake.next();
  await fake.send({ error: { class: "DeviceNotFound", desc: "Device 'x' not found" }, id });
  await assert.rejects(answer, (error) => {
    assert.ok(error instanceof QmpError);
    assert.equal(error.errorClass, "DeviceNotFound");
    assert.equal(error.message, `QEMU cannot do "device_del": Device 'x' not found`);
    return true;
  });
  client.close();
});

Deno.test("a connection that ends rejects what is pending and what comes after", async () => {
  const [client, fake] = await connected();
  const pending = client.execute("cont");
  await fake.next();
  fake.stream.close();
  await assert.rejects(pending, QmpClosed);
  await assert.rejects(client.execute("stop"), /QEMU closed its control connection/);
});

Deno.test("QEMU that ends before its machine is built is noticed at once", async () => {
  const [ours, theirs] = streamPair();
  const attempt = QmpClient.connect(ours, PATIENCE);
  await new FakeQemu(theirs).send(GREETING);
  theirs.close();
  await assert.rejects(attempt, QmpClosed);
});

Deno.test("QEMU that never answers is an error after the time that was given", async () => {
  const [ours] = streamPair();
  await assert.rejects(
    QmpClient.connect(ours, { timeoutMs: 5 }),
    /^Error: QEMU did not answer on its control socket within 5 ms$/,
  );
  const [client, fake] = await connected();
  const slow = client.execute("query-status", {}, { timeoutMs: 5 });
  const { id } = await fake.next();
  await assert.rejects(slow, /^Error: QEMU did not answer "query-status" within 5 ms$/);
  await fake.send({ return: {}, id }); // late, and no harm
  const next = client.execute("cont");
  await fake.send({ return: 1, id: (await fake.next()).id });
  assert.equal(await next, 1);
  client.close();
});

Deno.test("a QEMU that is too old is refused with its version", async () => {
  const [ours, theirs] = streamPair();
  const attempt = QmpClient.connect(ours, PATIENCE);
  await new FakeQemu(theirs).send({ QMP: { version: { qemu: { major: 4, minor: 2, micro: 1 } } } });
  await assert.rejects(attempt, /^Error: QEMU must be of version 5.0 or newer: it is 4.2.1$/);
});

Deno.test("bytes that are no protocol end the connection with what was wrong", async () => {
  for (const garbage of ["not json\n", "[]\n", "x".repeat(5 * 1024 * 1024)]) {
    const [ours, theirs] = streamPair(8 * 1024 * 1024);
    const attempt = QmpClient.connect(ours, PATIENCE);
    await theirs.write(new TextEncoder().encode(garbage));
    await assert.rejects(attempt, /^QmpClosed: the control connection to QEMU broke: /);
  }
});

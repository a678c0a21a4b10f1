import assert from "node:assert/strict";
import { requestUnix, upgradeUnix } from "../../rpc/http/client.ts";
import type { HttpHandler } from "../../rpc/http/server.ts";
import type { ByteStream } from "../../rpc/stream.ts";
import { connectUnix } from "../../sys/socket.ts";
import { silentLog } from "../log/log.ts";
import { ManagementSocket } from "./socket.ts";

const LIMIT = { timeoutMs: 60_000 };
const encode = (text: string) => new TextEncoder().encode(text);

/** A socket that answers "/", and talks at "/talk" until the other side is done. */
class Served implements AsyncDisposable {
  readonly #folder = Deno.makeTempDirSync({ prefix: "kata-test-" });
  readonly path = `${this.#folder}/s`;
  readonly #socket = ManagementSocket.listen(this.path, silentLog);
  readonly #done: Promise<void>;

  constructor() {
    const handler: HttpHandler = (request) =>
      Promise.resolve(
        request.path === "/talk"
          ? { upgrade: "talk", run: async (stream) => void await stream.read(new Uint8Array(1)) }
          : { status: 200, body: request.method },
      );
    this.#done = this.#socket.serve(() => Promise.resolve(handler));
  }

  async ask(): Promise<number> {
    return (await requestUnix({ socket: this.path, path: "/", ...LIMIT })).status;
  }

  /** @returns a stream, or the status of a refusal */
  async talk(): Promise<ByteStream | number> {
    const answer = await upgradeUnix({ socket: this.path, path: "/talk", ...LIMIT }, "talk");
    return "status" in answer ? answer.status : answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket[Symbol.dispose]();
    await this.#done;
    await Deno.remove(this.#folder, { recursive: true });
  }
}

Deno.test("connections that stay for long keep nobody waiting, and are not many", async () => {
  await using served = new Served();
  const talks: ByteStream[] = [];
  let refusal: number | undefined;
  while (refusal === undefined && talks.length < 40) {
    const talk = await served.talk();
    if (typeof talk === "number") refusal = talk;
    else talks.push(talk);
  }
  assert.deepEqual([talks.length, refusal], [16, 503]);
  const answers = await Promise.all(Array.from({ length: 80 }, () => served.ask()));
  assert.ok(answers.every((status) => status === 200));
  talks.pop()?.close();
  // its place is free as soon as the other side has noticed
  let again = await served.talk();
  while (typeof again === "number") again = await served.talk();
  for (const talk of [...talks, again]) talk.close();
});

Deno.test("requests in a row, halves and rubbish on many connections leave the socket as it was", async () => {
  await using served = new Served();
  const texts = [
    "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "GET / HT",
    "\0\xff\xfe",
    "PUT / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
    `GET /${"x".repeat(100_000)} HTTP/1.1\r\n\r\n`,
    "PUT / HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf",
  ];
  for (const text of texts) {
    const connections = await Promise.all(Array.from({ length: 6 }, () => connectUnix(served.path)));
    for (const connection of connections) {
      await connection.write(encode(text)).catch(() => {});
    }
    if (text === texts[0]) {
      const buffer = new Uint8Array(1000);
      const [first] = connections;
      const count = await first?.read(buffer) ?? 0;
      const answer = new TextDecoder().decode(buffer.subarray(0, count));
      assert.match(
        answer,
        /^HTTP\/1\.1 200 OK\r\n(.*\r\n)*Connection: close\r\n\r\nGET$/,
        "one per connection",
      );
    }
    assert.equal(await served.ask(), 200);
    for (const connection of connections) connection.close();
  }
});

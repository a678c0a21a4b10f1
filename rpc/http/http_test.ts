import assert from "node:assert/strict";
import * as fc from "fast-check";
import { type Listener, listenUnix } from "../../sys/socket.ts";
import { type ByteStream, streamPair } from "../stream.ts";
import { requestUnix, upgradeUnix } from "./client.ts";
import { type HttpHandler, MAX_REQUEST_BODY_BYTES, serveHttp } from "./server.ts";

/** More than enough for an answer, in milliseconds. */
const PATIENCE_MS = 60_000;

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Answers with what was asked. */
const echo: HttpHandler = ({ method, path, query, body }) => {
  if (path === "/fail") return Promise.reject(new Error("it failed"));
  if (path === "/shout") return Promise.resolve({ upgrade: "shout", run: shout });
  const text = `${method} ${path} ${[...query].join(";")} ${decode(body)}`;
  return Promise.resolve({ status: 200, body: text });
};

async function shout(stream: ByteStream): Promise<void> {
  const buffer = new Uint8Array(100);
  for (let count; (count = await stream.read(buffer)) > 0;) {
    await stream.write(encode(decode(buffer.subarray(0, count)).toUpperCase()));
  }
}

/** What the server sends to a client that sends this and waits. */
async function answer(
  sent: string | Uint8Array,
  options: { handler?: HttpHandler; transferMs?: number } = {},
): Promise<string> {
  const [client, server] = streamPair();
  const served = serveHttp(server, options.handler ?? echo, { transferMs: options.transferMs ?? 5000 });
  // a server that hangs up early lets the write fail
  client.write(typeof sent === "string" ? encode(sent) : sent).catch(() => {});
  const text = await readToEnd(client);
  client.close();
  await served;
  return text;
}

async function readToEnd(stream: ByteStream): Promise<string> {
  let text = "";
  const buffer = new Uint8Array(65_536);
  for (let count; (count = await stream.read(buffer)) > 0;) text += decode(buffer.subarray(0, count));
  return text;
}

const statusOf = (text: string) => Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1]);

Deno.test("a request is taken apart, and its answer has length and type", async () => {
  const text = await answer(
    "PUT /a%20b?path=%2Fdev%2Fx&y HTTP/1.1\r\nHost: shim\r\nContent-Length: 4\r\n\r\nbody and more",
  );
  assert.match(
    text,
    /^HTTP\/1\.1 200 OK\r\nContent-Type: text\/plain; charset=utf-8\r\nContent-Length: 28\r\n/,
  );
  assert.ok(text.endsWith("\r\n\r\nPUT /a b path,/dev/x;y, body"), text);
  assert.match(await answer("GET http://shim/metrics HTTP/1.1\r\n\r\n"), /\r\nGET \/metrics {2}$/);
  assert.equal(await answer("", { transferMs: 50 }).then(statusOf), 408);
});

Deno.test("requests that break the rules are refused with the status that says so", async () => {
  const requests: readonly (readonly [number, string])[] = [
    [400, "nonsense\r\n\r\n"],
    [400, "get / HTTP/1.1\r\n\r\n"],
    [400, "GET  / HTTP/1.1\r\n\r\n"],
    [400, "GET relative HTTP/1.1\r\n\r\n"],
    [400, "GET /%zz HTTP/1.1\r\n\r\n"],
    [400, "GET / HTTP/1.1\r\nno header\r\n\r\n"],
    [400, "GET / HTTP/1.1\r\nbad name: x\r\n\r\n"],
    [400, "GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n"],
    [400, "GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx"],
    [411, "PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"],
    [413, `PUT / HTTP/1.1\r\ncontent-length: ${MAX_REQUEST_BODY_BYTES + 1}\r\n\r\n`],
    [431, `GET / HTTP/1.1\r\nx: ${"y".repeat(20_000)}`],
    [505, "GET / HTTP/2.0\r\n\r\n"],
    [500, "GET /fail HTTP/1.1\r\n\r\n"],
  ];
  for (const [status, request] of requests) {
    const text = await answer(request);
    assert.equal(statusOf(text), status, `${request.slice(0, 60)}: ${text}`);
    assert.doesNotMatch(text, / at .*\.ts/);
  }
  assert.match(await answer("GET /fail HTTP/1.1\r\n\r\n"), /it failed\n$/);
});

Deno.test("a client that stalls in its head, in its body, or while it should read is disconnected", async () => {
  for (const stalled of ["GET / HTTP/1.1\r\n", "PUT / HTTP/1.1\r\ncontent-length: 5\r\n\r\nab"]) {
    const [client, server] = streamPair();
    const served = serveHttp(server, echo, { transferMs: 30 });
    await client.write(encode(stalled));
    assert.equal(statusOf(await readToEnd(client)), 408);
    await served;
  }
  const [client, server] = streamPair(1000);
  const handler: HttpHandler = () => Promise.resolve({ status: 200, body: new Uint8Array(100_000) });
  const served = serveHttp(server, handler, { transferMs: 30 });
  await client.write(encode("GET / HTTP/1.1\r\n\r\n"));
  await served;
  client.close();
});

Deno.test("any bytes get an answer or a disconnect", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 200 }),
      fc.constantFrom("", "GET / HTTP/1.1\r\n", "PUT /x HTTP/1.1\r\ncontent-length: 3\r\n"),
      async (noise, begin) => {
        const bytes = new Uint8Array([...encode(begin), ...noise, 13, 10, 13, 10]);
        const text = await answer(bytes, { transferMs: 20 });
        assert.ok(text === "" || statusOf(text) >= 200, text);
      },
    ),
    { numRuns: 300 },
  );
});

/** A server at a socket that sends fixed bytes, or nothing. */
class Canned implements AsyncDisposable {
  readonly path: string;
  readonly #folder = Deno.makeTempDirSync({ prefix: "kata-http-" });
  readonly #listener: Listener;
  readonly #open: ByteStream[] = [];

  constructor(serve: (stream: ByteStream) => void) {
    this.path = `${this.#folder}/s`;
    this.#listener = listenUnix(this.path);
    this.#accept(serve);
  }

  async #accept(serve: (stream: ByteStream) => void): Promise<void> {
    try {
      for (;;) {
        const stream = await this.#listener.accept();
        this.#open.push(stream);
        serve(stream);
      }
    } catch {
      // closed
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const stream of this.#open) stream.close();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

const canned = (text: string) =>
  new Canned(async (stream) => {
    await stream.read(new Uint8Array(1000));
    await stream.write(encode(text));
    stream.close();
  });

Deno.test("client and server understand each other over a socket", async () => {
  await using server = new Canned((stream) => void serveHttp(stream, echo));
  const body = new Uint8Array(500_000).fill(97);
  const asked = Array.from(
    { length: 5 },
    () => requestUnix({ socket: server.path, method: "PUT", path: "/p?q=1", body, timeoutMs: PATIENCE_MS }),
  );
  for (const { status, body: text } of await Promise.all(asked)) {
    assert.equal(status, 200);
    assert.equal(text.length, 500_000 + "PUT /p q,1 ".length);
  }
  const refused = await requestUnix({ socket: server.path, path: "/fail", timeoutMs: PATIENCE_MS });
  assert.deepEqual([refused.status, decode(refused.body)], [500, "it failed\n"]);

  const stream = await upgradeUnix({ socket: server.path, path: "/shout", timeoutMs: PATIENCE_MS }, "shout");
  assert.ok("read" in stream);
  await stream.write(encode("hello"));
  const buffer = new Uint8Array(10);
  assert.equal(decode(buffer.subarray(0, await stream.read(buffer))), "HELLO");
  stream.close();
  const not = await upgradeUnix({ socket: server.path, path: "/x", timeoutMs: PATIENCE_MS }, "shout");
  assert.ok("status" in not && not.status === 200);
});

Deno.test("answers of other servers are understood: in chunks, without a length, after a 100", async () => {
  const answers: readonly (readonly [string, string])[] = [
    [
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n",
      "hello world",
    ],
    ["HTTP/1.0 200 OK\r\n\r\nto the end", "to the end"],
    ["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "ok"],
  ];
  for (const [text, body] of answers) {
    await using server = canned(text);
    const answered = await requestUnix({ socket: server.path, path: "/", timeoutMs: PATIENCE_MS });
    assert.deepEqual([answered.status, decode(answered.body)], [200, body]);
  }
});

Deno.test("a server that is silent, absent or sends garbage is one clear error", async () => {
  await using silent = new Canned(() => {});
  await assert.rejects(
    requestUnix({ socket: silent.path, path: "/", timeoutMs: 30 }),
    (error: Error) => error.message === `"${silent.path}" did not answer within 0.03 s`,
  );
  for (
    const [text, message] of [
      ["", /without an answer/],
      ["SSH-2.0-OpenSSH\r\n\r\n", /not an answer: "SSH-2\.0-OpenSSH"/],
      ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", /ends after 2 of 9 bytes/],
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", /not a chunk's size/],
    ] as const
  ) {
    await using server = canned(text);
    await assert.rejects(requestUnix({ socket: server.path, path: "/", timeoutMs: PATIENCE_MS }), message);
  }
  await assert.rejects(requestUnix({ socket: "/nowhere/s", path: "/", timeoutMs: PATIENCE_MS }), /ENOENT/);
});

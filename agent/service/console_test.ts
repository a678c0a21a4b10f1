import assert from "node:assert/strict";
import { serveConsole } from "../debug_console/serve.ts";
import { createLogger, type LogLevel } from "../log.ts";
import { rejects } from "../testing/harness.ts";
import { Code } from "../../rpc/errors.ts";
import { GuestConsole } from "../../rpc/gen/console_pb.ts";
import { streamPair } from "../../rpc/stream.ts";
import { TtrpcClient } from "../../rpc/ttrpc/client.ts";
import { TtrpcServer } from "../../rpc/ttrpc/server.ts";
import { implement, type ServiceClient, serviceClient } from "../../rpc/ttrpc/typed.ts";
import { consoleHandlers, type ConsoleOptions } from "./console.ts";

const SHELLS = ["/nowhere/bash", "/bin/sh"];
const encode = (text: string) => new TextEncoder().encode(text);

/** The console service of an agent on this machine. */
class Consoles implements AsyncDisposable {
  readonly client: ServiceClient<typeof GuestConsole.methods>;
  readonly levels: LogLevel[] = [];
  readonly #ttrpc: TtrpcClient;
  readonly #served: Promise<void>;

  constructor(change: Partial<ConsoleOptions> = {}) {
    const handlers = consoleHandlers({
      debugConsole: true,
      log: createLogger("critical"),
      setLogLevel: (level) => void this.levels.push(level),
      shells: SHELLS,
      ...change,
    });
    const [here, there] = streamPair();
    this.#served = new TtrpcServer([implement(GuestConsole, handlers)]).serve(there);
    this.#ttrpc = new TtrpcClient(here);
    this.client = serviceClient(GuestConsole, this.#ttrpc);
  }

  /** Reads until the text appears, or to the end. @returns what was read, and the status if it ended */
  async read(id: number, until?: RegExp): Promise<{ text: string; status?: number }> {
    let text = "";
    for (;;) {
      const { data, ended, status } = await this.client.read({ id });
      if (ended) return { text, status };
      text += new TextDecoder().decode(data);
      if (until?.test(text)) return { text };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ttrpc.close();
    await this.#served;
  }
}

Deno.test("a shell without a terminal takes its input to the end and tells its status", async () => {
  await using consoles = new Consoles();
  const { id, shell } = await consoles.client.open({});
  assert.equal(shell, "/bin/sh");
  await consoles.client.write({
    id,
    data: encode("echo $HOME $PATH; tty; echo error >&2; exit 7\n"),
    end: true,
  });
  const { text, status } = await consoles.read(id);
  assert.match(text, /^\/root \/usr\/local\/sbin:.*\nnot a tty\nerror\n$/);
  assert.equal(status, 7);
  // the end stays the end, until it is closed
  assert.equal((await consoles.client.read({ id })).ended, true);
  await consoles.client.close({ id });
  await consoles.client.close({ id });
  await rejects(consoles.client.read({ id }), Code.NotFound, /console 1 does not exist/);
});

Deno.test("much output arrives whole though it is read late", async () => {
  await using consoles = new Consoles();
  const { id } = await consoles.client.open({});
  await consoles.client.write({ id, data: encode("seq 1 100000; exit\n") });
  await new Promise((resolve) => setTimeout(resolve, 300));
  const { text, status } = await consoles.read(id);
  assert.deepEqual([text.length, status], [588_895, 0]);
  await consoles.client.close({ id });
});

Deno.test("a shell with a terminal controls it: size, changes of size, interrupts, the key for the end", async () => {
  await using consoles = new Consoles();
  const { id } = await consoles.client.open({
    terminal: true,
    rows: 33,
    columns: 101,
    term: "xterm-256color",
  });
  const type = (text: string) => consoles.client.write({ id, data: encode(text) });
  await type("PS1=; stty size; echo $TERM; : </dev/tty && echo con''trolled\n");
  assert.match((await consoles.read(id, /controlled\r\n/)).text, /33 101\r\nxterm-256color\r\n/);
  await consoles.client.resize({ id, rows: 40, columns: 90 });
  await type("stty size\n");
  await consoles.read(id, /40 90\r\n/);
  await type("trap 'echo interr''upted' INT; echo re''ady\n");
  await consoles.read(id, /ready\r\n/);
  await type("\x03");
  await type("\n");
  await consoles.read(id, /interrupted\r\n/);
  await consoles.client.write({ id, end: true });
  assert.equal((await consoles.read(id)).status, 0);
  await consoles.client.close({ id });
});

Deno.test("closing a console ends its shell and what runs in its foreground", async () => {
  await using consoles = new Consoles();
  for (const terminal of [true, false]) {
    const { id } = await consoles.client.open({ terminal, rows: 24, columns: 80 });
    await consoles.client.write({ id, data: encode("sh -c 'echo pid:$$:; exec sleep 1000'\n") });
    const { text } = await consoles.read(id, /pid:\d+:/);
    const pid = /pid:(\d+):/.exec(text)?.[1];
    const reading = consoles.client.read({ id });
    await consoles.client.close({ id });
    await reading.catch(() => {});
    for (let tries = 0; isAlive(`/proc/${pid}/stat`); tries++) {
      assert.ok(tries < 500, `process ${pid} is still there`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
});

Deno.test("a guest without a shell, and one whose console is off, say what to do", async () => {
  await using without = new Consoles({ shells: ["/nowhere/bash", "/nowhere/sh"] });
  await rejects(
    without.client.open({}),
    Code.FailedPrecondition,
    /no shell: there is neither "\/nowhere\/bash" nor "\/nowhere\/sh"; .*"kata-runtime guest build --with/,
  );
  await using off = new Consoles({ debugConsole: false });
  await rejects(off.client.open({}), Code.FailedPrecondition, /"debug_console_enabled = true"/);
});

Deno.test("requests that make no sense are refused, and there is a limit to shells", async () => {
  await using consoles = new Consoles();
  const { client } = consoles;
  await rejects(client.write({ id: 9, data: encode("x") }), Code.NotFound, /console 9/);
  await rejects(client.open({ terminal: true, rows: 70_000 }), Code.InvalidArgument, /at most 65535/);
  const opened = await Promise.all(Array.from({ length: 16 }, () => client.open({})));
  await rejects(client.open({}), Code.ResourceExhausted, /16 consoles are open/);
  for (const { id } of opened) await client.close({ id });
  await client.setLogLevel({ level: "debug" });
  await rejects(
    client.setLogLevel({ level: "loud" }),
    Code.InvalidArgument,
    /must be one of trace, .*"loud"/,
  );
  assert.deepEqual(consoles.levels, ["debug"]);
});

Deno.test("a plain connection is a shell with a terminal, and ends with it", async () => {
  const [here, there] = streamPair();
  const served = serveConsole(there, createLogger("critical"), { shells: SHELLS });
  await here.write(encode("echo si''ze $(stty size); exit\n"));
  let text = "";
  const buffer = new Uint8Array(4096);
  for (let count; (count = await here.read(buffer)) > 0;) {
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
  assert.match(text, /size 24 80\r\n/);
  await served;
  here.close();
  // a client that goes takes the shell with it
  const [gone, other] = streamPair();
  const ended = serveConsole(other, createLogger("critical"), { shells: SHELLS });
  await gone.write(encode("echo\n"));
  gone.close();
  await ended;
});

/** A zombie that nobody has reaped yet is not. */
function isAlive(path: string): boolean {
  try {
    return !/\) Z /.test(Deno.readTextFileSync(path));
  } catch {
    return false;
  }
}

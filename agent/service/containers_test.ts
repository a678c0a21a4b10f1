import assert from "node:assert/strict";
import { processToWire } from "../../oci/wire.ts";
import { Code } from "../../rpc/errors.ts";
import { processOf } from "../container/testing/harness.ts";
import { rejects, TestAgent } from "../testing/harness.ts";
import { fitting } from "./streams.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const shell = (script: string) => ["sh", "-c", script];

Deno.test("a container runs from creation to removal", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  await agent.create("c1", shell("hostname; echo wrong >&2; exit 3"));
  const waiting = agent.client.waitProcess({ containerId: "c1", execId: "c1" });
  await agent.client.startContainer({ containerId: "c1" });
  const [out, err] = await Promise.all([agent.readAll("c1"), agent.readAll("c1", "stderr")]);
  assert.deepEqual([out, err], ["pod-host\n", "wrong\n"]);
  assert.equal((await waiting).status, 3);
  assert.equal((await agent.client.waitProcess({ containerId: "c1" })).status, 3);
  await agent.client.removeContainer({ containerId: "c1" });
  await rejects(
    agent.client.waitProcess({ containerId: "c1" }),
    Code.NotFound,
    /container "c1" does not exist/,
  );
  await agent.run("c1", ["true"]);
  assert.equal((await agent.client.waitProcess({ containerId: "c1" })).status, 0);
});

Deno.test("output is there to the last byte when the process has long ended", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  await agent.run("c1", shell("seq 1 5000"));
  assert.equal((await agent.client.waitProcess({ containerId: "c1" })).status, 0);
  const lines = (await agent.readAll("c1")).trimEnd().split("\n");
  assert.deepEqual([lines.length, lines.at(-1)], [5000, "5000"]);
});

Deno.test("megabytes go through a process while others wait, and the end of input comes last", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  await agent.run("c1", ["cat"]);
  await agent.run("idle", ["cat"]);
  const idle = agent.client.readStdout({ containerId: "idle", len: 1 });
  const chunk = new Uint8Array(65536).map((_, i) => i % 251);
  const chunks = 64;
  const write = async () => {
    for (let i = 0; i < chunks; i++) {
      assert.equal((await agent.client.writeStdin({ containerId: "c1", data: chunk })).len, chunk.length);
    }
    await agent.client.closeStdin({ containerId: "c1" });
  };
  let received = 0;
  const read = async () => {
    for (;;) {
      const answer = await agent.client.readStdout({ containerId: "c1", len: 32768 }).catch(() => undefined);
      if (!answer) return;
      for (const byte of answer.data) {
        if (byte !== chunk[received++ % chunk.length]) assert.fail(`byte ${received}`);
      }
    }
  };
  await Promise.all([write(), read()]);
  assert.equal(received, chunks * chunk.length);
  assert.equal((await agent.client.waitProcess({ containerId: "c1" })).status, 0);
  await rejects(
    agent.client.writeStdin({ containerId: "c1", data: chunk }),
    Code.FailedPrecondition,
    /input .* is closed/,
  );
  await agent.client.writeStdin({ containerId: "idle", data: encode("x") });
  assert.equal((await idle).data.length, 1);
});

Deno.test("the end of input waits for writes that the process has not taken yet", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  await agent.run("c1", shell("read line; wc -c"));
  const data = new Uint8Array(300_000).fill(97);
  const written = agent.client.writeStdin({ containerId: "c1", data });
  await agent.client.closeStdin({ containerId: "c1" });
  await assert.rejects(agent.client.writeStdin({ containerId: "c1", data }), /is closed/);
  const started = agent.client.signalProcess({ containerId: "c1", execId: "c1", signal: 0 });
  await Promise.all([written, started]);
  assert.equal(await agent.readAll("c1"), "0\n");
});

Deno.test("several readers of one stream get what comes in the order in which they asked", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  await agent.run("c1", ["cat"]);
  const reads = [1, 2, 3].map((len) => agent.client.readStdout({ containerId: "c1", len }));
  await agent.client.writeStdin({ containerId: "c1", data: encode("122333") });
  const texts = (await Promise.all(reads)).map(({ data }) => new TextDecoder().decode(data));
  assert.deepEqual(texts, ["1", "22", "333"]);
});

Deno.test("a terminal has the size it is given, one output, and is at its end when all have left it", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  await agent.run("c1", shell("tty; read line; echo got:$line; exec sleep 100"), ({ process }) => {
    process.terminal = true;
    process.consoleSize = { height: 24, width: 80 };
  });
  await agent.client.ttyWinResize({ containerId: "c1", row: 50, column: 132 });
  await agent.client.writeStdin({ containerId: "c1", data: encode("hello\n") });
  let text = "";
  while (!text.includes("got:hello")) {
    text += new TextDecoder().decode((await agent.client.readStdout({ containerId: "c1", len: 1000 })).data);
  }
  assert.match(text, /^\/dev\/(console|pts\/\d+)\r$/m);
  await rejects(agent.client.readStderr({ containerId: "c1", len: 1 }), Code.OutOfRange, /^eof$/);
  const huge = agent.client.ttyWinResize({ containerId: "c1", row: 70000, column: 1 });
  await rejects(huge, Code.InvalidArgument, /at most 65535/);
  await agent.client.signalProcess({ containerId: "c1", execId: "c1", signal: 9 });
  assert.equal(await agent.readAll("c1"), "");
  assert.equal((await agent.client.waitProcess({ containerId: "c1" })).status, 137);
});

Deno.test("processes are executed beside the first one, each with streams of its own", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  await agent.run("c1", ["sleep", "100"]);
  const exec = (execId: string, args: string[]) =>
    agent.client.execProcess({ containerId: "c1", execId, process: processToWire(processOf(args)) });
  await Promise.all([exec("e1", shell("echo one; exit 1")), exec("e2", shell("kill -TERM $$"))]);
  assert.equal(await agent.readAll("c1", "stdout", "e1"), "one\n");
  assert.equal((await agent.client.waitProcess({ containerId: "c1", execId: "e2" })).status, 143);
  await rejects(exec("e1", ["true"]), Code.AlreadyExists, /process "e1" of container "c1" exists already/);
  await rejects(exec("c1", ["true"]), Code.AlreadyExists, /process "c1"/);
  await rejects(exec("", ["true"]), Code.InvalidArgument, /"exec_id" is empty/);
  assert.equal((await agent.client.waitProcess({ containerId: "c1", execId: "e1" })).status, 1);
  await exec("e1", ["true"]);
  await rejects(exec("e3", ["nothing-of-that-name"]), Code.NotFound, /executable file not found/);
  await rejects(
    agent.client.execProcess({ containerId: "c1", execId: "e4" }),
    Code.InvalidArgument,
    /"process" is missing/,
  );
  await exec("e3", ["true"]);
});

Deno.test("an executed process that ended and was waited for can still be read, then it is forgotten", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  await agent.run("c1", ["sleep", "100"]);
  const process = processToWire(processOf(shell("echo late")));
  await agent.client.execProcess({ containerId: "c1", execId: "e1", process });
  assert.equal((await agent.client.waitProcess({ containerId: "c1", execId: "e1" })).status, 0);
  assert.equal(await agent.readAll("c1", "stdout", "e1"), "late\n");
  assert.equal(await agent.readAll("c1", "stderr", "e1"), "");
  assert.equal((await agent.client.waitProcess({ containerId: "c1", execId: "e1" })).status, 0);
  const again = agent.client.waitProcess({ containerId: "c1", execId: "e1" });
  await rejects(again, Code.NotFound, /process "e1" of container "c1" does not exist/);
});

Deno.test("many ended processes that nobody reads do not pile up", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  await agent.run("c1", ["sleep", "100"]);
  const process = processToWire(processOf(["true"]));
  const count = 70;
  for (let i = 0; i < count; i++) {
    await agent.client.execProcess({ containerId: "c1", execId: `e${i}`, process });
    await agent.client.waitProcess({ containerId: "c1", execId: `e${i}` });
  }
  const last = agent.client.readStdout({ containerId: "c1", execId: `e${count - 1}`, len: 1 });
  await rejects(last, Code.OutOfRange, /eof/);
  await rejects(agent.client.readStdout({ containerId: "c1", execId: "e0", len: 1 }), Code.NotFound, /"e0"/);
});

Deno.test("a signal without an exec id reaches all processes, with the container's id only the first", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  await agent.run("c1", shell("trap 'echo first' USR1; echo up; while :; do sleep 0.05; done"));
  // Before its handler is there, it would not hear of the signal.
  const ready = await agent.client.readStdout({ containerId: "c1", len: 100 });
  assert.equal(new TextDecoder().decode(ready.data), "up\n");
  const process = processToWire(
    processOf(shell("trap 'echo second; exit 5' USR1; echo up; while :; do sleep 0.05; done")),
  );
  await agent.client.execProcess({ containerId: "c1", execId: "e1", process });
  const up = await agent.client.readStdout({ containerId: "c1", execId: "e1", len: 100 });
  assert.equal(new TextDecoder().decode(up.data), "up\n");
  await agent.client.signalProcess({ containerId: "c1", execId: "c1", signal: 10 });
  const first = await agent.client.readStdout({ containerId: "c1", len: 100 });
  assert.equal(new TextDecoder().decode(first.data), "first\n");
  await agent.client.signalProcess({ containerId: "c1", signal: 10 });
  assert.equal(await agent.readAll("c1", "stdout", "e1"), "second\n");
  assert.equal((await agent.client.waitProcess({ containerId: "c1", execId: "e1" })).status, 5);
  // A shell without a handler would never hear of a SIGTERM as the first process of its namespace.
  await agent.client.signalProcess({ containerId: "c1", execId: "c1", signal: 15 });
  assert.equal((await agent.client.waitProcess({ containerId: "c1" })).status, 137);
  await agent.client.signalProcess({ containerId: "c1", execId: "c1", signal: 9 });
  await rejects(
    agent.client.signalProcess({ containerId: "c1", signal: 65 }),
    Code.InvalidArgument,
    /from 0 to 64: it is 65/,
  );
  await rejects(
    agent.client.signalProcess({ containerId: "c1", execId: "x", signal: 9 }),
    Code.NotFound,
    /process "x"/,
  );
});

Deno.test("a container that was never started can be killed, and a wait that came before hears of it", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  await agent.create("c1", ["true"]);
  const waiting = agent.client.waitProcess({ containerId: "c1" });
  await agent.client.signalProcess({ containerId: "c1", execId: "c1", signal: 15 });
  assert.equal((await waiting).status, 137);
  await rejects(
    agent.client.startContainer({ containerId: "c1" }),
    Code.FailedPrecondition,
    /must be created: it is stopped/,
  );
});

Deno.test("concurrent starts, pauses and removals are refused by name", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  await agent.create("c1", ["sleep", "100"]);
  const starts = await Promise.allSettled(
    [1, 2].map(() => agent.client.startContainer({ containerId: "c1" })),
  );
  assert.deepEqual(starts.map(({ status }) => status), ["fulfilled", "rejected"]);
  const pauses = await Promise.allSettled(
    [1, 2].map(() => agent.client.pauseContainer({ containerId: "c1" })),
  );
  assert.deepEqual(pauses.map(({ status }) => status), ["fulfilled", "rejected"]);
  const process = processToWire(processOf(["true"]));
  const exec = agent.client.execProcess({ containerId: "c1", execId: "e1", process });
  await rejects(exec, Code.FailedPrecondition, /must be created or running: it is paused/);
  await agent.client.resumeContainer({ containerId: "c1" });
  await rejects(
    agent.client.resumeContainer({ containerId: "c1" }),
    Code.FailedPrecondition,
    /must be paused: it is running/,
  );
  const both = [1, 2].map(() => agent.client.removeContainer({ containerId: "c1", timeout: 10 }));
  const started = agent.client.startContainer({ containerId: "c1" });
  await rejects(started, Code.FailedPrecondition, /is being removed/);
  await Promise.all(both);
});

Deno.test("statistics count what the container has used", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  await agent.run("c1", ["sleep", "100"]);
  const { cgroupStats, networkStats } = await agent.client.statsContainer({ containerId: "c1" });
  assert.ok(cgroupStats);
  assert.ok(networkStats.every((entry) => entry.name !== "lo"));
  await agent.client.updateContainer({ containerId: "c1" });
});

Deno.test("an answer fills whole units of its channel, or less than one", () => {
  const unit = 32768;
  for (const wanted of [1, 100, unit - 64]) assert.equal(fitting(wanted, unit), wanted);
  for (const wanted of [unit - 63, unit, 2 * unit - 65]) assert.equal(fitting(wanted, unit), unit - 64);
  for (const wanted of [2 * unit - 64, 2 * unit, 3 * unit - 65]) {
    assert.equal(fitting(wanted, unit), 2 * unit - 64);
  }
  assert.equal(fitting(0xffff_ffff, undefined), 0xffff_ffff);
});

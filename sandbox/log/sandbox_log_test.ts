import assert from "node:assert/strict";
import type { Log, LogFields } from "./log.ts";
import { SandboxLog } from "./sandbox_log.ts";

/** A log that is looked at. */
class Lines implements Log {
  readonly lines: string[] = [];
  write(level: string, message: string, fields: LogFields = {}): void {
    this.lines.push(
      [level, message, ...Object.entries(fields).map(([key, value]) => `${key}=${value}`)].join(" "),
    );
  }
}

async function withLog(body: (log: SandboxLog, front: Lines, folder: string) => void, now?: () => number) {
  const folder = await Deno.makeTempDir({ prefix: "kata-log-" });
  const front = new Lines();
  const log = SandboxLog.open(front, folder, { sandbox: "s1" }, now);
  try {
    body(log, front, folder);
  } finally {
    log[Symbol.dispose]();
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("lines are kept with the sandbox's id, for root only, and go to the front end", async () => {
  await withLog((log, front, folder) => {
    log.write("debug", 'it says "x"', { container: "c 1" });
    const text = Deno.readTextFileSync(`${folder}/log`);
    assert.match(text, /^time="\S+Z" level=debug msg="it says \\"x\\"" sandbox=s1 container="c 1"\n$/);
    assert.equal((Deno.statSync(`${folder}/log`).mode ?? 0) & 0o777, 0o600);
    assert.deepEqual(front.lines, ['debug it says "x" container=c 1']);
    log[Symbol.dispose]();
    log.write("info", "later");
    assert.equal(Deno.readTextFileSync(`${folder}/log`), text);
    assert.equal(front.lines.length, 2);
  });
});

Deno.test("the agent's lines have their levels, and raise no alarm with the front end", async () => {
  await withLog((log, front, folder) => {
    log.guestLine("Linux version 6.1");
    log.guestLine('kata-agent info: ready address="x"');
    log.guestLine("kata-agent error: it is: broken");
    log.guestLine("kata-agent toString: odd");
    const lines = Deno.readTextFileSync(`${folder}/log`).trimEnd().split("\n").map((line) =>
      line.replace(/^time="\S+" /, "")
    );
    assert.deepEqual(lines, [
      'level=debug msg="Linux version 6.1" sandbox=s1 source=guest',
      'level=info msg="ready address=\\"x\\"" sandbox=s1 source=agent',
      'level=error msg="it is: broken" sandbox=s1 source=agent',
      'level=debug msg="kata-agent toString: odd" sandbox=s1 source=guest',
    ]);
    assert.deepEqual(front.lines.map((line) => line.split(" ")[0]), ["debug", "debug", "warning", "debug"]);
  });
});

Deno.test("a guest that writes without end fills neither the disk nor the front end's log", async () => {
  let now = 0;
  await withLog((log, front, folder) => {
    const noise = "x".repeat(1000);
    for (let i = 0; i < 3000; i++) log.guestLine(`${i} ${noise}`);
    const sizes = ["log", "log.1"].map((name) => Deno.statSync(`${folder}/${name}`).size);
    assert.ok(sizes.every((size) => size > 0 && size <= 256 * 1024), String(sizes));
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), ["log", "log.1"]);
    assert.match(Deno.readTextFileSync(`${folder}/log`), /msg="2999 x/);
    assert.equal(front.lines.length, 500);
    now += 1000;
    for (let i = 0; i < 100; i++) log.guestLine("more");
    assert.equal(front.lines.length, 551);
    assert.equal(front.lines[500], "warning 2500 lines of the guest were left out here source=guest");
    // what the owner itself says is never left out
    log.write("info", "own");
    assert.equal(front.lines.at(-1), "info own");
  }, () => now);
});

Deno.test("what a guest makes the monitor say counts as the guest's", async () => {
  await withLog((log, front, folder) => {
    for (let i = 0; i < 600; i++) log.write("info", `qemu: bad queue ${i}`, { source: "vmm" });
    for (let i = 0; i < 10; i++) log.write("debug", "bad request", { source: "virtiofsd" });
    assert.equal(front.lines.length, 500);
    assert.match(Deno.readTextFileSync(`${folder}/log`), /bad queue 599/);
  }, () => 0);
});

Deno.test("no line does anything to the terminal that shows it", async () => {
  await withLog((log, _front, folder) => {
    log.guestLine('\x1b[2J\x9b2J\x7f\u202etxt\u2028\r\n" level=fatal');
    const text = Deno.readTextFileSync(`${folder}/log`);
    const shown =
      'msg="\\u001b[2J\\u009b2J\\u007f\\u202etxt\\u2028\\r\\n\\" level=fatal" sandbox=s1 source=guest\n';
    assert.equal(text.replace(/^.* level=debug /, ""), shown);
  });
});

Deno.test("a line that is too long is cut, and a folder that is gone costs lines only", async () => {
  await withLog((log, _front, folder) => {
    log.write("info", "ü".repeat(10_000));
    const [line = ""] = Deno.readTextFileSync(`${folder}/log`).split("\n");
    assert.equal(Deno.statSync(`${folder}/log`).size, 4096);
    assert.ok(line.endsWith('…"'));
  });
  const front = new Lines();
  const log = SandboxLog.open(front, "/nowhere/at/all", {});
  log.write("info", "x");
  assert.match(front.lines[0] ?? "", /^warning the sandbox has no log of its own: .*ENOENT/);
  assert.equal(front.lines[1], "info x");
  log[Symbol.dispose]();
});

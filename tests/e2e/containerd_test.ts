/**
 * A stock containerd with this product as one of its runtimes: what a client sees is what it sees with runc.
 *
 * @module
 */

import assert from "node:assert/strict";
import { AsyncFd } from "../../sys/poll.ts";
import { openPty, setWindowSize } from "../../sys/pty.ts";
import { spawn } from "../../sys/spawn.ts";
import { SIGNALS } from "../../sys/signals.ts";
import { type Containerd, pause, RUNTIME, startContainerd, until } from "./containerd.ts";
import { writeConfiguration } from "./configuration.ts";
import { EventLog } from "./event_log.ts";
import { leaksSince, ownId, traces } from "./leaks.ts";
import { temporaryRootfs } from "./rootfs.ts";

/** The reference: what it does is right by definition. */
const RUNC = "io.containerd.runc.v2";

const PATH = ["--env", "PATH=/bin"];

const ID = {
  same: ownId("same"),
  life: ownId("life"),
  twice: ownId("twice"),
  survivor: ownId("survivor"),
  alone: ownId("alone"),
};

/** Runs a scenario with runc, then with this product, and expects the same. */
async function sameAsRunc<T>(scenario: (runtime: string) => Promise<T>): Promise<T> {
  const expected = await scenario(RUNC);
  const actual = await scenario(RUNTIME);
  assert.deepEqual(actual, expected);
  return actual;
}

Deno.test("containers through containerd", async (t) => {
  const before = await traces();
  {
    await using rootfs = await temporaryRootfs();
    await using containerd = await startContainerd({ configuration: writeConfiguration(rootfs.folder) });
    await using events = await EventLog.start(containerd);
    const root = rootfs.path;

    await t.step("a container has a kernel of its own", async () => {
      const { code, stdout, stderr } = await containerd.runContainer(ownId("kernel"), root, ["uname", "-r"]);
      assert.equal(stderr, "");
      assert.equal(code, 0);
      const host = (await new Deno.Command("uname", { args: ["-r"] }).output()).stdout;
      assert.match(stdout, /^\d+\.\d+/);
      assert.notEqual(stdout, new TextDecoder().decode(host));
    });

    await t.step("output, exit codes and events are those of runc", async () => {
      // Neither the kernel's log nor mounting is for a container, whatever its root may do with files.
      const script = `echo out; echo err >&2; grep Seccomp: /proc/self/status; mount -t tmpfs x /tmp 2>&1
        mknod /tmp/kmsg c 1 11; head -c 1 /tmp/kmsg 2>&1; rm /tmp/kmsg; exit 7`;
      const seen = await sameAsRunc(async (runtime) => {
        const flags = [
          "run",
          "--rm",
          "--runtime",
          runtime,
          "--seccomp",
          ...PATH,
          "--rootfs",
          root,
          ID.same,
          "sh",
          "-c",
          script,
        ];
        const finished = await containerd.run(flags);
        return { finished, events: await events.take(ID.same, "/tasks/delete") };
      });
      assert.equal(seen.events.length, 4);
      assert.match(seen.finished.stdout, /^Seccomp:\t2\n.*denied.*\n.*not permitted$/m);
    });

    await t.step(
      "a running container can be looked at, executed in, paused, measured and killed as with runc",
      async () => {
        const seen = await sameAsRunc((runtime) => life(containerd, events, runtime, root));
        assert.equal(seen.exec.code, 5);
        assert(seen.metrics.length >= 5);
        assert(seen.events.length > 10);
      },
    );

    await t.step("64 MiB through standard input to standard output arrive as they were", async () => {
      const data = new Uint8Array(64 * 1024 * 1024);
      for (let at = 0; at < data.length; at += 65_536) crypto.getRandomValues(data.subarray(at, at + 65_536));
      const child = containerd.spawn(
        ["run", "--rm", "--runtime", RUNTIME, "--rootfs", root, ownId("copy"), "/bin/cat"],
        "piped",
      );
      const writer = child.stdin.getWriter();
      const writing = writer.write(data).then(() => writer.close());
      const { stdout, stderr, code } = await child.output();
      await writing;
      assert.equal(new TextDecoder().decode(stderr), "");
      assert.equal(code, 0);
      assert.equal(stdout.length, data.length);
      assert.deepEqual(await digest(stdout), await digest(data));
    });

    await t.step("a terminal: size, its change, control characters, exit code", async () => {
      const { code, text } = await onTerminal(containerd, root);
      assert.equal(code, 3);
      assert.match(text, /30 100\r+\n/);
      assert.match(text, /41 121\r+\n/);
      assert.match(text, /interrupted\r+\n/);
    });

    await t.step("an unknown command is an error in runc's words", async () => {
      for (const command of ["nosuch", "/bin/nosuch"]) {
        const { code, stderr } = await containerd.runContainer(ownId("unknown"), root, [command], {
          flags: PATH,
        });
        assert.equal(code, 1);
        assert.match(
          stderr,
          /^ctr: .*exec: ".*nosuch": .*(executable file not found in \$PATH|no such file or directory)/,
        );
      }
    });

    await t.step("a rootfs that is not there, and a duplicate id, are errors", async () => {
      const missing = await containerd.runContainer(ownId("missing"), "/nowhere/rootfs", ["true"]);
      assert.equal(missing.code, 1);
      assert.match(missing.stderr, /"\/nowhere\/rootfs"/);
      await containerd.runDetached(ID.twice, root, ["sleep", "1000"], PATH);
      const twice = await containerd.runContainer(ID.twice, root, ["true"]);
      assert.equal(twice.code, 1);
      assert.match(twice.stderr, /already exists/);
      // ids of another namespace are other containers, but there is one such sandbox on the host
      const flags = ["run", "--rm", "--runtime", RUNTIME, ...PATH, "--rootfs", root, ID.twice, "true"];
      const elsewhere = await containerd.run(["--namespace", "other", ...flags]);
      assert.equal(elsewhere.code, 1);
      assert.match(elsewhere.stderr, /already exists/);
      assert.equal(await containerd.taskStatus(ID.twice), "RUNNING");
      await containerd.ctr(["task", "rm", "--force", ID.twice]);
      await containerd.ctr(["container", "rm", ID.twice]);
    });

    await t.step("ten containers at once, each writing: none starves", async () => {
      const lines = 2_000;
      const script = `i=0; while [ $i -lt ${lines} ]; do echo line $i; i=$((i+1)); done`;
      const runs = Array.from(
        { length: 10 },
        (_, index) =>
          containerd.runContainer(ownId(`many${index}`), root, ["sh", "-c", script], {
            flags: PATH,
            timeoutMs: 300_000,
          }),
      );
      const expected = Array.from({ length: lines }, (_, index) => `line ${index}\n`).join("");
      for (const { code, stdout, stderr } of await Promise.all(runs)) {
        assert.equal(stderr, "");
        assert.equal(code, 0);
        assert.equal(stdout, expected);
      }
    });

    await t.step("containerd is restarted while a container runs: nothing is lost", async () => {
      await containerd.runDetached(ID.survivor, root, [
        "sh",
        "-c",
        "while [ ! -e /tmp/go ]; do sleep 0.1; done; exit 9",
      ], PATH);
      assert.deepEqual(await events.take(ID.survivor, "/tasks/start"), [
        `/tasks/create ${ID.survivor}`,
        `/tasks/start ${ID.survivor}`,
      ]);
      await events.stop();
      const pid = await containerd.shimPid(ID.survivor);
      await containerd.stop("SIGKILL");
      await containerd.start();
      await events.restart();
      assert.equal(await containerd.taskStatus(ID.survivor), "RUNNING");
      assert.equal(await containerd.shimPid(ID.survivor), pid);
      await Deno.writeTextFile(`${root}/tmp/go`, "");
      await containerd.untilTask(ID.survivor, "STOPPED");
      assert.deepEqual(await events.take(ID.survivor, "/tasks/exit"), [`/tasks/exit ${ID.survivor} 9`]);
      await containerd.run(["task", "rm", ID.survivor]);
      await containerd.ctr(["container", "rm", ID.survivor]);
    });

    await t.step("a container ends while containerd is away: its exit is told when it is back", async () => {
      await Deno.remove(`${root}/tmp/go`);
      await containerd.runDetached(ID.alone, root, [
        "sh",
        "-c",
        "while [ ! -e /tmp/go ]; do sleep 0.1; done; exit 8",
      ], PATH);
      await events.stop();
      await containerd.stop();
      await Deno.writeTextFile(`${root}/tmp/go`, "");
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      await containerd.start();
      await containerd.untilTask(ID.alone, "STOPPED");
      const { stderr } = await containerd.run(["task", "rm", ID.alone]);
      assert.match(stderr, /exit code 8/);
      await containerd.ctr(["container", "rm", ID.alone]);
    });
  }
  assert.deepEqual(await leaksSince(before), []);
});

/** A container's life in the hands of `ctr`; what differs between any two runs is taken out. */
async function life(containerd: Containerd, events: EventLog, runtime: string, root: string) {
  await containerd.ctr([
    "run",
    "-d",
    "--runtime",
    runtime,
    ...PATH,
    "--rootfs",
    root,
    ID.life,
    "sleep",
    "1000",
  ]);
  const run = (...args: string[]) => containerd.run(["task", ...args]);
  const statuses = [await containerd.taskStatus(ID.life)];
  const exec = await run("exec", "--exec-id", "e1", ID.life, "sh", "-c", "echo in; echo er >&2; exit 5");
  const missing = await run("exec", "--exec-id", "e2", ID.life, "nosuch");
  const table = (await run("exec", "--exec-id", "e3", ID.life, "ps")).stdout;
  const metrics = (await run("metrics", ID.life)).stdout.split("\n").map((line) => line.split(/\s+/)[0])
    .filter((name) => name !== "");
  const ps = (await run("ps", ID.life)).stdout.trim().split("\n").length;
  const pause = [await run("pause", ID.life), await run("pause", ID.life)].map(({ code }) => code);
  statuses.push(await containerd.taskStatus(ID.life));
  const resume = [await run("resume", ID.life), await run("resume", ID.life)].map(({ code }) => code);
  const update = (await run("kill", "-s", "SIGUSR1", ID.life)).code;
  statuses.push(await containerd.taskStatus(ID.life));
  const kill = (await run("kill", "-s", "SIGKILL", ID.life)).code;
  await containerd.untilTask(ID.life, "STOPPED");
  // signals that shall end what has ended succeed here, unlike runc's
  const killAgain = (await run("kill", "-s", "SIGUSR1", ID.life)).code;
  const removed = await run("rm", ID.life);
  await containerd.ctr(["container", "rm", ID.life]);
  return {
    statuses,
    exec,
    missing: missing.code,
    // pids in the container are its own with both
    processes: table.trim().split("\n").slice(1).map((line) => line.trim().split(/\s+/).slice(-2).join(" ")),
    metrics: metrics.filter((name) => METRICS.has(name ?? "")),
    ps,
    pause,
    resume,
    update,
    kill,
    killAgain,
    removed: removed.stderr.replace(/time="[^"]*"/, ""),
    events: await events.take(ID.life, "/tasks/delete"),
  };
}

/** What both tell of cgroups, of version 2 or of version 1 as the host has them. */
const METRICS = new Set([
  "pids.current",
  "cpu.usage_usec",
  "cpu.user_usec",
  "cpu.system_usec",
  "cpuacct.usage",
  "memory.usage",
  "memory.usage_limit",
  "memory.usage_in_bytes",
  "memory.limit_in_bytes",
  "memory.stat.cache",
]);

async function digest(data: Uint8Array): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(data)));
  return bytes.join(" ");
}

/** `ctr run -t` with a terminal of the test's. */
async function onTerminal(containerd: Containerd, root: string): Promise<{ code: number; text: string }> {
  const pty = openPty();
  setWindowSize(pty.master.fd, { rows: 30, columns: 100 });
  const args = ["run", "--rm", "-t", "--runtime", RUNTIME, ...PATH, "--rootfs", root, ownId("tty"), "sh"];
  const ctr = await spawn({
    argv: [containerd.program("ctr"), "--address", containerd.address, ...args],
    fds: new Map([[0, pty.slave], [1, pty.slave], [2, pty.slave]]),
    session: true,
  });
  const screen = new Screen(pty.master);
  const type = (text: string) => pty.master.write(new TextEncoder().encode(text));
  await until("there is a prompt", () => screen.text.includes("# "));
  await type("stty size\r");
  await until("the size is told", () => /\d+ \d+\r*\n/.test(screen.text));
  setWindowSize(pty.master.fd, { rows: 41, columns: 121 });
  ctr.signal(SIGNALS.SIGWINCH);
  await until("the new size has arrived", async () => {
    await type("stty size\r");
    return screen.text.includes("41 121");
  });
  await type("trap 'echo inter''rupted' INT; echo wai''ting; sleep 30\r");
  await until("the trap is set", () => screen.text.includes("waiting"));
  await until("the signal has arrived", async () => {
    // one that comes before the program that it is to end has begun ends nothing
    await type("\x03");
    await pause(500);
    return screen.text.includes("interrupted");
  });
  await type("exit 3\r");
  const { code } = await ctr.wait();
  screen.close();
  new AsyncFd(pty.slave).close();
  return { code, text: screen.text };
}

/** What a terminal shows. */
class Screen {
  text = "";
  readonly #master: AsyncFd;

  constructor(master: AsyncFd) {
    this.#master = master;
    this.#read().catch(() => {});
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(4096);
    for (let count; (count = await this.#master.read(buffer)) > 0;) {
      this.text += new TextDecoder().decode(buffer.subarray(0, count));
    }
  }

  close(): void {
    this.#master.close();
  }
}

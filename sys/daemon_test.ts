import assert from "node:assert/strict";
import { Daemon, describeStatus } from "./daemon.ts";
import { isErrno } from "./errors.ts";
import { O, openFd, OwnedFd } from "./fd.ts";
import { killProcess } from "./process.ts";

function isAlive(pid: number): boolean {
  try {
    killProcess(pid, 0);
  } catch (error) {
    if (isErrno(error, "ESRCH")) return false;
    throw error;
  }
  // A zombie takes signals, too: what counts is that it does not run any more.
  return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
}

async function gone(pid: number): Promise<void> {
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 2));
}

Deno.test("a Daemon tells what the program writes on both streams, and how it ended", async () => {
  const lines: string[] = [];
  const daemon = await Daemon.start({
    argv: ["sh", "-c", "echo out; echo err >&2; printf rest; exit 3"],
    onLine: (line) => lines.push(line),
  });
  const { status, lastLines } = await daemon.exited;
  assert.deepEqual(status, { code: 3, signal: 0 });
  assert.deepEqual(lines, ["out", "err", "rest"]);
  assert.deepEqual(lastLines, lines);
});

Deno.test("a Daemon gets the descriptors it was given, and of the environment only PATH", async () => {
  const lines: string[] = [];
  using file = new OwnedFd(openFd("/dev/null", O.RDONLY));
  const daemon = await Daemon.start({
    argv: ["sh", "-c", "ls /proc/$$/fd; env -u PWD -u SHLVL -u _ -u OLDPWD"],
    fds: new Map([[5, file.fd]]),
    onLine: (line) => lines.push(line),
  });
  await daemon.exited;
  assert.deepEqual(lines, ["0", "1", "2", "5", `PATH=${Deno.env.get("PATH")}`]);
});

Deno.test("disposing of a Daemon kills all processes of its group", async () => {
  const pids = Promise.withResolvers<number>();
  const daemon = await Daemon.start({
    argv: ["sh", "-c", "sleep 1000 & echo $!; wait"],
    onLine: (line) => pids.resolve(Number(line)),
  });
  const grandchild = await pids.promise;
  await daemon[Symbol.asyncDispose]();
  await gone(grandchild);
  assert.deepEqual((await daemon.exited).status, { code: 0, signal: 9 });
  await daemon[Symbol.asyncDispose](); // nothing more to do
});

Deno.test("when a Daemon ends by itself, the rest of its group is killed and does not hold up the answer", async () => {
  const daemon = await Daemon.start({ argv: ["sh", "-c", "sleep 1000 & echo $!"], onLine: () => {} });
  const { status, lastLines } = await daemon.exited;
  assert.deepEqual(status, { code: 0, signal: 0 });
  await gone(Number(lastLines[0]));
});

Deno.test("a Daemon whose program is missing is an error that names it", async () => {
  const start = (name: string) => Daemon.start({ argv: [name], onLine: () => {} });
  await assert.rejects(start("/nonexistent/program"), /execve \/nonexistent\/program: ENOENT/);
  await assert.rejects(start("no-such-program"), /find "no-such-program" in PATH .*: ENOENT/);
});

Deno.test("describeStatus() says how a process ended", () => {
  assert.equal(describeStatus({ code: 2, signal: 0 }), "exited with 2");
  assert.equal(describeStatus({ code: 0, signal: 11 }), "was killed by SIGSEGV");
});

import assert from "node:assert/strict";
import { AsyncFd, loopIdle, POLL, pollNow } from "./poll.ts";
import { closeFd } from "./fd.ts";
import { ChildProcess, killProcess, pidfdOpen } from "./process.ts";
import { SIGNALS } from "./signals.ts";
import { runModule, startRaw } from "./test_helpers.ts";

const shell = (script: string) => ChildProcess.adopt(startRaw(["sh", "-c", script]));
const exists = (pid: number) => {
  try {
    killProcess(pid, 0);
    return true;
  } catch {
    return false;
  }
};

Deno.test("an exit code is reported to all waiters", async () => {
  const child = shell("exit 7");
  const [first, second] = await Promise.all([child.wait(), child.wait()]);
  assert.deepEqual(first, { code: 7, signal: 0 });
  assert.equal(second, first);
  assert.equal(await child.wait(), first);
  assert.equal(child.status, first);
  assert.equal(child.pidfd, -1);
  assert.ok(!exists(child.pid), "it was not reaped");
  await loopIdle();
});

Deno.test("a child that ended long before it is waited for is not lost", async () => {
  const child = shell("exit 3");
  while (pollNow(child.pidfd, POLL.IN) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.equal(child.status, undefined);
  assert.deepEqual(await child.wait(), { code: 3, signal: 0 });
});

Deno.test("a signal that ended a child is reported", async () => {
  const child = shell("exec sleep 1000");
  const ended = child.wait();
  child.signal(SIGNALS.SIGTERM);
  assert.deepEqual(await ended, { code: 0, signal: 15 });
  assert.throws(() => child.signal(SIGNALS.SIGTERM), { code: "ESRCH", subject: String(child.pid) });
  const crashed = shell("kill -SEGV $$");
  assert.deepEqual(await crashed.wait(), { code: 0, signal: 11 });
});

Deno.test("disposing kills and reaps, or only reaps", async () => {
  let pid: number;
  {
    await using child = shell("trap '' TERM; exec sleep 1000");
    pid = child.pid;
    assert.ok(exists(pid));
  }
  assert.ok(!exists(pid));
  {
    await using child = shell("exit 0");
    await child.wait();
  }
  await using child = shell("exit 5");
  while (pollNow(child.pidfd, POLL.IN) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
});

Deno.test("a hundred children that end in any order get each its own status", async () => {
  const children = Array.from(
    { length: 100 },
    (_, i) => shell(i % 2 ? `exit ${i}` : `sleep 0.0${i % 10}; exit ${i}`),
  );
  const statuses = await Promise.all(children.map((child) => child.wait()));
  assert.deepEqual(statuses.map(({ code }) => code), children.map((_, i) => i));
  await loopIdle();
});

Deno.test("there is no child of an id that is none, and one owner of each", async () => {
  assert.throws(() => ChildProcess.adopt(0x3fffff), { code: "ESRCH" });
  await using child = shell("exec sleep 1000");
  assert.throws(() => ChildProcess.adopt(child.pid), /is adopted already/);
  await assert.rejects(ChildProcess.adopt(1).wait(), { syscall: "waitid", code: "ECHILD" });
  await assert.rejects(ChildProcess.adopt(1).wait(), { code: "ECHILD" }); // it is forgotten by then
});

Deno.test("a pidfd stands for any process, and becomes readable when it ends", async () => {
  await using child = shell("exec sleep 1000");
  using pidfd = new AsyncFd(pidfdOpen(child.pid));
  killProcess(child.pid, SIGNALS.SIGKILL);
  await pidfd.readable();
  assert.deepEqual(await child.wait(), { code: 0, signal: 9 });
});

Deno.test("a pidfd can be handed over with the pid", async () => {
  const pid = startRaw(["sh", "-c", "exit 9"]);
  const pidfd = pidfdOpen(pid);
  const child = ChildProcess.adopt(pid, pidfd);
  assert.equal(child.pidfd, pidfd);
  assert.equal((await child.wait()).code, 9);
  assert.throws(() => closeFd(pidfd), { code: "EBADF" });
});

Deno.test("orphans are reaped, adopted children are left to their owners", async () => {
  assert.equal(await runModule("orphans.ts"), "");
});

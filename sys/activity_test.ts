import assert from "node:assert/strict";
import { activityOf, parseThread } from "./activity.ts";
import { delay } from "./timer.ts";

Deno.test("a thread's counters are read past a command with brackets", () => {
  assert.deepEqual(parseThread("12 34 5\n", "7 (a) S (b) D 1 1 0\n"), {
    ranNs: 12,
    waitedNs: 34,
    wants: true,
  });
  assert.equal(parseThread("1 2 3\n", "7 (CPU 0/TCG) S 1 1\n")?.wants, false);
  assert.equal(parseThread("", "7 (x) S 1 1\n"), undefined, "a kernel that does not count");
});

/** A shell that does this. */
function shell(script: string): Deno.ChildProcess {
  return new Deno.Command("/bin/sh", { args: ["-c", script] }).spawn();
}

/** Nanoseconds that a process ran, or would have, while this waited. */
async function activeNs(pid: number): Promise<number> {
  const sum = () =>
    [...activityOf(pid)?.values() ?? []].reduce((all, { ranNs, waitedNs }) => all + ranNs + waitedNs, 0);
  const before = sum();
  await delay(300);
  return sum() - before;
}

Deno.test("a process that runs is told from one that is stopped", async () => {
  const child = shell("while :; do :; done");
  try {
    await delay(50);
    assert.ok(await activeNs(child.pid) > 100e6);
    child.kill("SIGSTOP");
    await delay(100);
    assert.ok(await activeNs(child.pid) < 10e6);
    assert.deepEqual([...activityOf(child.pid)?.values() ?? []].map(({ wants }) => wants), [false]);
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
  assert.equal(activityOf(child.pid), undefined);
});

Deno.test("children of a process count, and those of several", async () => {
  const children = [shell("sleep 100 & wait"), shell("sleep 100 & wait")];
  const pids = children.map(({ pid }) => pid);
  try {
    await delay(100);
    assert.equal(activityOf(...pids)?.size, 4);
    assert.equal(activityOf(pids[0] ?? 0)?.size, 2);
  } finally {
    for (const { pid } of children) {
      const sleeping = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim();
      Deno.kill(Number(sleeping), "SIGKILL");
    }
    await Promise.all(children.map(({ status }) => status));
  }
});

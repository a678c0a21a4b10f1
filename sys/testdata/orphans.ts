// In a process of its own, as it becomes the reaper of all its descendants.
import assert from "node:assert/strict";
import { POLL, pollNow } from "../poll.ts";
import { ChildProcess, killProcess, pidfdOpen, reapOrphans, setChildSubreaper } from "../process.ts";
import { closeFd } from "../fd.ts";
import { startRaw, tempDir } from "../test_helpers.ts";

const pause = () => new Promise((resolve) => setTimeout(resolve, 1));
const untilEnded = async (pidfd: number) => {
  while (pollNow(pidfd, POLL.IN) === 0) await pause();
};

setChildSubreaper();
using folder = tempDir();
assert.deepEqual(reapOrphans(), []); // no children at all

// Grandchildren whose parents end first become children of this process; they tell their pids by files.
const parents = Array.from({ length: 5 }, (_, i) =>
  ChildProcess.adopt(startRaw([
    "sh",
    "-c",
    `(while [ ! -e ${folder.path}/go ]; do sleep 0.01; done; exit 4) & echo $! > ${folder.path}/${i}`,
  ])));
for (const parent of parents) assert.deepEqual(await parent.wait(), { code: 0, signal: 0 });
const orphans = parents.map((_, i) => Number(Deno.readTextFileSync(`${folder.path}/${i}`)));
assert.deepEqual(reapOrphans(), []); // they run

// An adopted child that has ended, and whose owner has not asked yet, is among them.
const adopted = ChildProcess.adopt(startRaw(["sh", "-c", "exit 6"]));
await untilEnded(adopted.pidfd);
const pidfds = orphans.map(pidfdOpen);
Deno.writeTextFileSync(`${folder.path}/go`, "");
for (const pidfd of pidfds) await untilEnded(pidfd);
pidfds.forEach(closeFd);

const reaped = reapOrphans();
assert.deepEqual(reaped.sort(), orphans.sort());
for (const pid of orphans) assert.throws(() => killProcess(pid, 0), { code: "ESRCH" });
assert.deepEqual(await adopted.wait(), { code: 6, signal: 0 });
assert.deepEqual(reapOrphans(), []);

// While somebody waits for a child already, its status still reaches them.
const waited = ChildProcess.adopt(startRaw(["sh", "-c", "exit 8"]));
const status = waited.wait();
while (!waited.status) {
  reapOrphans();
  await pause();
}
assert.deepEqual(await status, { code: 8, signal: 0 });

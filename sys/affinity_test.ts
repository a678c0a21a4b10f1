import assert from "node:assert/strict";
import { getAffinity, setAffinity } from "./affinity.ts";
import { isErrno } from "./errors.ts";

Deno.test("a process is bound to CPUs, and to others again", async () => {
  const child = new Deno.Command("sleep", { args: ["1000"], stdin: "null" }).spawn();
  try {
    const all = getAffinity(child.pid);
    assert.deepEqual(all, getAffinity(0));
    const last = all.slice(-1);
    setAffinity(child.pid, last);
    assert.deepEqual(getAffinity(child.pid), last);
    const status = await Deno.readTextFile(`/proc/${child.pid}/status`);
    assert.match(status, new RegExp(`^Cpus_allowed_list:\\s+${last}$`, "m"));
    setAffinity(child.pid, all);
    assert.deepEqual(getAffinity(child.pid), all);
    assert.throws(() => setAffinity(child.pid, []), (error) => isErrno(error, "EINVAL"));
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
  assert.throws(() => setAffinity(child.pid, [0]), (error) => isErrno(error, "ESRCH"));
});

import assert from "node:assert/strict";
import { run } from "../tools/process.ts";
import { exists } from "../sys/exists.ts";
import { startStandIn } from "./stand_in.ts";

Deno.test("a stand-in is a process in the network of another one, and ends when it is given up", async () => {
  const other = new Deno.Command("unshare", { args: ["--net", "sleep", "100"], stdin: "null" }).spawn();
  const network = async (pid: number) => (await run(["readlink", `/proc/${pid}/ns/net`])).trim();
  while (await network(other.pid) === await network(Deno.pid)) {
    await new Promise((done) => setTimeout(done, 5));
  }
  const folder = await (async () => {
    await using standIn = await startStandIn(other.pid);
    assert.equal(await network(standIn.pid), await network(other.pid));
    const line = await Deno.readTextFile(`/proc/${standIn.pid}/cmdline`);
    assert.equal(line, "kata-container\0");
    return `/proc/${standIn.pid}`;
  })();
  assert.equal(exists(folder), false);
  other.kill();
  await other.status;
});

Deno.test("nobody can be stood in for whose network is gone", async () => {
  await assert.rejects(startStandIn(4_194_303), /\/proc\/4194303\/ns\/net: ENOENT/);
});

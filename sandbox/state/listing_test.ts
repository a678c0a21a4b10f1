import assert from "node:assert/strict";
import { createSandbox } from "../create_sandbox.ts";
import { noIo } from "../io/streams.ts";
import { silentLog } from "../log/log.ts";
import { FakeHost, testConfig, testSpec } from "../testing/fake_host.ts";
import { checkSandboxId, listSandboxes, resolveSandboxId } from "./listing.ts";

function create(host: FakeHost, id: string) {
  const config = testConfig({});
  return createSandbox({ id, spec: testSpec(), config, log: silentLog, host, paths: host.paths });
}

Deno.test("sandboxes are listed with their containers; one whose owner is gone is dead", async () => {
  await using host = new FakeHost();
  assert.deepEqual(await listSandboxes(host.paths), []);
  await using sandbox = await create(host, "web-1");
  await sandbox.createContainer({
    id: "c1",
    bundle: host.bundle,
    spec: testSpec(),
    rootfs: [],
    io: noIo(),
  });
  const state = JSON.parse(Deno.readTextFileSync(`${host.paths.state}/web-1/persist.json`));
  Deno.mkdirSync(`${host.paths.state}/dead`);
  const left = { ...state, id: "dead", owner: { pid: 4_194_303, startTime: "1" } };
  Deno.writeTextFileSync(`${host.paths.state}/dead/persist.json`, JSON.stringify(left));
  Deno.mkdirSync(`${host.paths.state}/being-made`);

  const [dead, web, ...more] = await listSandboxes(host.paths);
  assert.deepEqual(more, []);
  assert.deepEqual([dead?.id, dead?.state, dead?.shimPid, dead?.memoryBytes], ["dead", "dead", 0, 0]);
  assert.deepEqual([web?.id, web?.state, web?.shimPid], ["web-1", "running", Deno.pid]);
  assert.deepEqual(web?.containers, [{ id: "c1", state: "created" }]);
  assert.ok((web?.memoryBytes ?? 0) > 1e6);
  assert.ok((web?.ageSeconds ?? -1) >= 0);
});

Deno.test("an id may be shortened as long as it means one sandbox", async () => {
  await using host = new FakeHost();
  for (const id of ["web", "web-1", "web-2", "data-1"]) {
    Deno.mkdirSync(`${host.paths.state}/${id}`, { recursive: true });
  }
  assert.equal(resolveSandboxId("da", host.paths), "data-1");
  assert.equal(resolveSandboxId("web", host.paths), "web");
  assert.equal(resolveSandboxId("none", host.paths), "none");
  assert.throws(
    () => resolveSandboxId("web-", host.paths),
    { message: '"web-" is the beginning of 2 sandboxes: web-1, web-2' },
  );
});

Deno.test("what is no id is refused before it becomes a path", () => {
  assert.throws(() => checkSandboxId(""), { message: "ID cannot be blank" });
  for (const id of ["a", "../x", "a/b", "-x", "a b", "é1"]) {
    assert.throws(() => checkSandboxId(id), /invalid container\/sandbox ID \(should match "/, id);
  }
});

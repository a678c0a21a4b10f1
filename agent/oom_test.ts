import assert from "node:assert/strict";
import { tempDir } from "../sys/test_helpers.ts";
import { OomWatch } from "./oom.ts";

const count = (folder: string, kills: number) =>
  Deno.writeTextFileSync(`${folder}/memory.events`, `low 0\noom ${kills}\noom_kill ${kills}\n`);

Deno.test("who looks knows of a kill before the kernel tells of it, and is told once", async () => {
  using folder = tempDir();
  using oom = new OomWatch();
  count(folder.path, 2);
  using _watched = oom.watch("c1", folder.path);
  oom.look("c1");
  const first = oom.next();
  const second = oom.next();
  count(folder.path, 3);
  oom.look("other");
  oom.look("c1");
  assert.equal(await first, "c1");
  // what the kernel tells of the same kill is nothing new, that of the next one is
  count(folder.path, 4);
  assert.equal(await second, "c1");
  count(folder.path, 5);
  oom.look("c1");
  assert.equal(await oom.next(), "c1", "kept until somebody asks");
});

Deno.test("a container whose cgroup is gone, or counts no memory, is not told of", async () => {
  using folder = tempDir();
  using oom = new OomWatch();
  using _nothing = oom.watch("none", folder.path);
  oom.look("none");
  count(folder.path, 1);
  using _watched = oom.watch("gone", folder.path);
  Deno.removeSync(`${folder.path}/memory.events`);
  oom.look("gone");
  const next = oom.next();
  oom[Symbol.dispose]();
  await assert.rejects(next, /being destroyed/);
});

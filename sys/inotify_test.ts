import assert from "node:assert/strict";
import { isErrno } from "./errors.ts";
import { IN, Inotify } from "./inotify.ts";

const HOW_MANY_FOR_SURE = 200;

Deno.test("changes in a folder are reported in order, with names, up to its removal", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kata-inotify-test-" });
  using changes = new Inotify();
  const watch = changes.add(folder, IN.CREATE | IN.CLOSE_WRITE | IN.MOVED_TO | IN.DELETE | IN.ONLYDIR);
  const name = `${"long ".repeat(50)}é`;
  Deno.writeTextFileSync(`${folder}/${name}`, "x");
  Deno.renameSync(`${folder}/${name}`, `${folder}/b`);
  assert.deepEqual(await take(changes, 3), [
    { watch, mask: IN.CREATE, name },
    { watch, mask: IN.CLOSE_WRITE, name },
    { watch, mask: IN.MOVED_TO, name: "b" },
  ]);
  const removed = take(changes, 2);
  Deno.removeSync(folder, { recursive: true });
  assert.deepEqual(await removed, [
    { watch, mask: IN.DELETE, name: "b" },
    { watch, mask: IN.IGNORED, name: "" },
  ]);
  changes.remove(watch); // it is gone, and that is all right
});

Deno.test("nothing is lost that comes faster than it is read", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kata-inotify-test-" });
  using changes = new Inotify();
  changes.add(folder, IN.CREATE | IN.DELETE);
  const names = Array.from({ length: HOW_MANY_FOR_SURE }, (_, index) => `file ${index}`);
  for (const name of names) Deno.writeTextFileSync(`${folder}/${name}`, "");
  Deno.removeSync(folder, { recursive: true });
  const told = await take(changes, 2 * HOW_MANY_FOR_SURE + 1);
  assert.deepEqual(told.filter(({ mask }) => mask === IN.CREATE).map(({ name }) => name), names);
  assert.equal(told.at(-1)?.mask, IN.IGNORED);
});

Deno.test("what is not there is an error, and a wait ends with the queue", async () => {
  using changes = new Inotify();
  assert.throws(() => changes.add("/nowhere/at/all", IN.MODIFY), (error) => isErrno(error, "ENOENT"));
  const read = changes.read();
  changes[Symbol.dispose]();
  await assert.rejects(read, (error) => isErrno(error, "EBADF"));
});

/** The next changes. */
async function take(changes: Inotify, count: number) {
  const taken = [];
  while (taken.length < count) taken.push(...await changes.read());
  return taken;
}

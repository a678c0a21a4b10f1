import assert from "node:assert/strict";
import { Code } from "../../rpc/errors.ts";
import { silentLog } from "../log/log.ts";
import { destroySandbox, endProcess } from "./cleanup.ts";
import { bootId, identify, isAlive, parseStartTime } from "./process_identity.ts";
import { parseState, type SavedSandbox, STATE_VERSION } from "./state.ts";
import { readState, StateFile } from "./state_file.ts";

const nothing = () => Promise.resolve();

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function saved(change: Partial<SavedSandbox> = {}): SavedSandbox {
  return {
    version: STATE_VERSION,
    id: "s1",
    bundle: "/bundle",
    state: "running",
    bootId: bootId(),
    owner: { pid: 4_194_303, startTime: "1" },
    helpers: [],
    mounts: [],
    folders: [],
    containers: [],
    ...change,
  };
}

/** A process that sleeps until it is killed. */
function sleeper(): Deno.ChildProcess {
  return new Deno.Command("sleep", { args: ["1000"], stdin: "null", stdout: "null", stderr: "null" }).spawn();
}

Deno.test("state is replaced as a whole, by the last writer", async () => {
  await withFolder(async (folder) => {
    await using file = await StateFile.acquire(folder, "s1", nothing, silentLog);
    await Promise.all(
      ["creating", "running", "stopped"].map((state) =>
        file.save(saved({ state: state as SavedSandbox["state"] }))
      ),
    );
    assert.deepEqual(await readState(`${folder}/s1`), saved({ state: "stopped" }));
    assert.deepEqual([...Deno.readDirSync(`${folder}/s1`)].map(({ name }) => name), ["persist.json"]);
    assert.equal((Deno.statSync(`${folder}/s1/persist.json`).mode ?? 0) & 0o777, 0o600);
    assert.equal((Deno.statSync(`${folder}/s1`).mode ?? 0) & 0o777, 0o700);
  });
});

Deno.test("a sandbox has one owner, and its id is free when that has gone", async () => {
  await withFolder(async (folder) => {
    const first = await StateFile.acquire(folder, "s1", nothing, silentLog);
    await assert.rejects(StateFile.acquire(folder, "s1", nothing, silentLog), { code: Code.AlreadyExists });
    assert.equal(await StateFile.reclaim(folder, "s1"), "alive");
    await first[Symbol.asyncDispose]();
    assert.equal(await StateFile.reclaim(folder, "s1"), undefined);
    await using _second = await StateFile.acquire(folder, "s1", nothing, silentLog);
  });
});

Deno.test("what a dead owner left is undone before its id is used again", async () => {
  await withFolder(async (folder) => {
    await Deno.mkdir(`${folder}/s1`);
    await Deno.writeTextFile(`${folder}/s1/persist.json`, JSON.stringify(saved()));
    const replayed: string[] = [];
    const replay = (saved: SavedSandbox) => {
      replayed.push(saved.id);
      return Promise.resolve();
    };
    await using _file = await StateFile.acquire(folder, "s1", replay, silentLog);
    assert.deepEqual(replayed, ["s1"]);
  });
});

Deno.test("destroying kills the helpers, removes the folders, and can be repeated", async () => {
  await withFolder(async (folder) => {
    const helper = sleeper();
    const identity = identify(helper.pid);
    assert(identity);
    const paths = { state: `${folder}/sbs`, vm: `${folder}/vm`, shared: `${folder}/shared` };
    for (const path of [`${paths.state}/s1`, `${paths.vm}/s1`, `${paths.shared}/s1/mounts/c1`]) {
      await Deno.mkdir(path, { recursive: true });
    }
    await Deno.writeTextFile(`${paths.vm}/s1/pid`, "1");
    const state = saved({
      helpers: [{ role: "vmm", ...identity }],
      folders: [`${paths.vm}/s1`, `${paths.shared}/s1`],
    });
    await Deno.writeTextFile(`${paths.state}/s1/persist.json`, JSON.stringify(state));
    assert.deepEqual(await destroySandbox(paths, { id: "s1", bundle: "/bundle" }, silentLog), state);
    assert.equal((await helper.status).signal, "SIGKILL");
    for (const path of [paths.state, paths.vm, paths.shared]) {
      assert.deepEqual([...Deno.readDirSync(path)], [], path);
    }
    assert.equal(await destroySandbox(paths, { id: "s1", bundle: "/bundle" }, silentLog), undefined);
  });
});

Deno.test("a sandbox with the same id that belongs to somebody else is left alone", async () => {
  await withFolder(async (folder) => {
    const innocent = sleeper();
    const identity = identify(innocent.pid);
    assert(identity);
    await Deno.mkdir(`${folder}/s1`);
    const state = saved({ bundle: "/other", helpers: [{ role: "vmm", ...identity }] });
    await Deno.writeTextFile(`${folder}/s1/persist.json`, JSON.stringify(state));
    const paths = { state: folder, vm: folder, shared: folder };
    assert.equal(await destroySandbox(paths, { id: "s1", bundle: "/bundle" }, silentLog), undefined);
    assert(isAlive(identity));
    assert.deepEqual(await readState(`${folder}/s1`), state);
    innocent.kill("SIGKILL");
    await innocent.status;
  });
});

Deno.test("a process with the right pid and the wrong start time is left alone", async () => {
  await withFolder(async (folder) => {
    const innocent = sleeper();
    await Deno.mkdir(`${folder}/s1`);
    const state = saved({ helpers: [{ role: "vmm", pid: innocent.pid, startTime: "1" }] });
    await Deno.writeTextFile(`${folder}/s1/persist.json`, JSON.stringify(state));
    await destroySandbox(
      { state: folder, vm: folder, shared: folder },
      { id: "s1", bundle: "/bundle" },
      silentLog,
    );
    const identity = identify(innocent.pid);
    assert(identity && isAlive(identity));
    innocent.kill("SIGKILL");
    await innocent.status;
  });
});

Deno.test("pids of an earlier boot mean nothing", async () => {
  await withFolder(async (folder) => {
    const innocent = sleeper();
    const identity = identify(innocent.pid);
    assert(identity);
    await Deno.mkdir(`${folder}/s1`);
    const state = saved({ bootId: "another", helpers: [{ role: "vmm", ...identity }] });
    await Deno.writeTextFile(`${folder}/s1/persist.json`, JSON.stringify(state));
    await destroySandbox(
      { state: folder, vm: folder, shared: folder },
      { id: "s1", bundle: "/bundle" },
      silentLog,
    );
    assert(isAlive(identity));
    innocent.kill("SIGKILL");
    await innocent.status;
  });
});

Deno.test("a process that does not listen to SIGTERM is killed", async () => {
  const stubborn = new Deno.Command("sh", {
    args: ["-c", 'trap "" TERM; echo ready; exec sleep 1000'],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = stubborn.stdout.getReader();
  await reader.read();
  const identity = identify(stubborn.pid);
  assert(identity);
  await endProcess(identity, 50, silentLog);
  assert.equal((await stubborn.status).signal, "SIGKILL");
  await reader.cancel();
});

Deno.test("files that are no saved state are not taken for one", () => {
  const texts = ["", "null", "[]", "{}", '{"version":2}', JSON.stringify({ ...saved(), version: 99 })];
  for (const text of texts) assert.equal(parseState(text), undefined, text);
  for (
    const wrong of [{ owner: { pid: 1, startTime: "1" } }, { owner: null }, { helpers: [{}] }, {
      mounts: [1],
    }, {
      folders: "x",
    }]
  ) {
    assert.equal(parseState(JSON.stringify({ ...saved(), ...wrong })), undefined, JSON.stringify(wrong));
  }
  assert.deepEqual(parseState(JSON.stringify(saved())), saved());
});

Deno.test("a start time is found behind any command name", () => {
  const rest = Array.from({ length: 30 }, (_, index) => String(index + 3)).join(" ");
  assert.equal(parseStartTime(`7 (a) b) c) S ${rest.slice(2)}`), "22");
});

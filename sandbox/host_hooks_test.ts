import assert from "node:assert/strict";
import type { Hook, Hooks } from "../oci/spec.ts";
import { TestNamespace } from "../sys/test_helpers.ts";
import { createSandbox } from "./create_sandbox.ts";
import { refuseHooks } from "./host_hooks.ts";
import { noIo } from "./io/streams.ts";
import { type Log, silentLog } from "./log/log.ts";
import { replay } from "./state/cleanup.ts";
import type { SavedSandbox } from "./state/state.ts";
import { readState } from "./state/state_file.ts";
import { FakeHost, testConfig, testSpec } from "./testing/fake_host.ts";

/** A sandbox whose containers are made of these hooks; what is logged is kept. */
async function make(
  host: FakeHost,
  hooks: Hooks,
  { netns, isPod }: { netns?: string; isPod?: boolean } = {},
) {
  const logged: string[] = [];
  const log: Log = { write: (level, message) => void logged.push(`${level}: ${message}`) };
  const spec = testSpec({ hooks, annotations: { a: "b" } });
  if (netns) spec.linux = { ...spec.linux, namespaces: [{ type: "network", path: netns }] };
  const sandbox = await createSandbox({
    id: "s1",
    spec: testSpec(),
    config: testConfig({}),
    log,
    host,
    paths: host.paths,
    isPod,
  });
  const create = () =>
    sandbox.createContainer({ id: "s1", bundle: host.bundle, spec, rootfs: [], io: noIo() });
  return { sandbox, create, logged };
}

const hook = (script: string): Hook => ({ path: "/bin/sh", args: ["sh", "-c", script] });

Deno.test("hooks run on the host at their time, with the pid of the virtual machine", async () => {
  await using host = new FakeHost();
  const log = `${host.bundle}/log`;
  const report = (kind: string) => hook(`read -r state; echo ${kind} "$PWD" "$state" >> ${log}`);
  const { sandbox, create } = await make(host, {
    prestart: [report("prestart")],
    createRuntime: [report("createRuntime")],
    poststart: [report("poststart")],
    poststop: [report("poststop")],
  });
  const lines = () => Deno.readTextFileSync(log).trim().split("\n");
  const container = await create();
  assert.equal(lines().length, 2);
  await container.start();
  assert.equal(lines().length, 3);
  host.guest.process("s1").exit(0);
  await container.init.exited;
  await container.delete();
  await sandbox[Symbol.asyncDispose]();
  const state = { ociVersion: testSpec().ociVersion, id: "s1", bundle: host.bundle, annotations: { a: "b" } };
  assert.deepEqual(
    lines().map((line) => {
      const [kind, cwd, ...told] = line.split(" ");
      assert.equal(cwd, host.bundle);
      return [kind, JSON.parse(told.join(" "))];
    }),
    [
      ["prestart", { ...state, status: "creating", pid: sandbox.pid }],
      ["createRuntime", { ...state, status: "creating", pid: sandbox.pid }],
      ["poststart", { ...state, status: "running", pid: sandbox.pid }],
      ["poststop", { ...state, status: "stopped" }],
    ],
  );
});

Deno.test("hooks run in the network namespace of the pod", async () => {
  await using host = new FakeHost();
  using namespace = new TestNamespace();
  const log = `${host.bundle}/log`;
  const hooks = { createRuntime: [hook(`readlink /proc/self/ns/net > ${log}`)] };
  const { sandbox, create } = await make(host, hooks, { netns: namespace.path });
  await create();
  assert.match(Deno.readTextFileSync(log), /^net:\[\d+\]\n$/);
  assert.notEqual(Deno.readTextFileSync(log).trim(), Deno.readLinkSync("/proc/self/ns/net"));
  await sandbox[Symbol.asyncDispose]();
});

Deno.test("a hook that fails before the start fails the container, and nothing is left of it", async () => {
  await using host = new FakeHost();
  const log = `${host.bundle}/log`;
  const hooks = { createRuntime: [hook("echo no >&2; exit 2")], poststop: [hook(`echo stopped >> ${log}`)] };
  const { sandbox, create } = await make(host, hooks);
  await assert.rejects(create(), { message: 'hooks.createRuntime[0]: "/bin/sh" exited with 2: no' });
  assert.equal(Deno.readTextFileSync(log), "stopped\n");
  assert.ok(host.guest.calls.includes("removeContainer"));
  await assert.rejects(create(), /exited with 2/);
  await sandbox[Symbol.asyncDispose]();
});

Deno.test("a hook that fails for a pause container fails it, and its last hooks are run", async () => {
  await using host = new FakeHost();
  const log = `${host.bundle}/log`;
  const hooks = { createRuntime: [hook("exit 2")], poststop: [hook(`echo stopped >> ${log}`)] };
  const { sandbox, create } = await make(host, hooks, { isPod: true });
  await assert.rejects(create(), { message: 'hooks.createRuntime[0]: "/bin/sh" exited with 2' });
  assert.equal(Deno.readTextFileSync(log), "stopped\n");
  await sandbox[Symbol.asyncDispose]();
});

Deno.test("the last hooks are run from a fresh process if their owner has died, and only once otherwise", async () => {
  await using host = new FakeHost();
  const log = `${host.bundle}/log`;
  const poststop = hook(`read -r state; echo "$PWD $(readlink /proc/self/ns/net) $state" >> ${log}`);
  const lines = () => Deno.readTextFileSync(log).trim().split("\n").map((line) => line.split(" "));
  const saved = async () => await readState(`${host.paths.state}/s1`) ?? assert.fail("nothing is saved");
  let crashed: SavedSandbox;
  let inode: string;
  {
    using namespace = new TestNamespace();
    const { sandbox, create } = await make(host, { poststop: [poststop] }, { netns: namespace.path });
    const container = await create();
    crashed = { ...await saved(), helpers: [], folders: [] };
    inode = `net:[${Deno.statSync(namespace.path).ino}]`;
    await replay(crashed, silentLog);
    await container.delete();
    assert.deepEqual((await saved()).hooks, []);
    await sandbox[Symbol.asyncDispose]();
  }
  const state = { ociVersion: testSpec().ociVersion, id: "s1", bundle: host.bundle, annotations: { a: "b" } };
  const told = JSON.stringify({ ...state, status: "stopped" });
  assert.deepEqual(lines().map(([cwd, netns]) => [cwd, netns]), Array(2).fill([host.bundle, inode]));
  for (const [, , text = ""] of lines()) assert.deepEqual(JSON.parse(text), JSON.parse(told));

  // neither the namespace nor the bundle is there any more
  await replay(
    { ...crashed, hooks: crashed.hooks?.map((hooks) => ({ ...hooks, bundle: "/nowhere" })) },
    silentLog,
  );
  const [cwd, netns] = lines()[2] ?? [];
  assert.equal(cwd, "/");
  assert.notEqual(netns, inode);
  assert.notEqual(netns, Deno.readLinkSync("/proc/self/ns/net"));
});

Deno.test("a hook that fails after the start ends the container; one that fails after its end is logged", async () => {
  await using host = new FakeHost();
  const { sandbox, create, logged } = await make(host, {
    poststart: [hook("exit 3")],
    poststop: [hook("exit 4")],
  });
  const container = await create();
  await assert.rejects(container.start(), { message: 'hooks.poststart[0]: "/bin/sh" exited with 3' });
  assert.deepEqual(host.guest.process("s1").signals, [9]);
  host.guest.process("s1").exit(137);
  await container.init.exited;
  await container.delete();
  assert.deepEqual(logged.filter((line) => line.includes("hook")), [
    'error: a hook of container "s1" failed: hooks.poststop[0]: "/bin/sh" exited with 4',
  ]);
  await sandbox[Symbol.asyncDispose]();
});

Deno.test("hooks that neither host nor guest can run are refused by name", () => {
  refuseHooks({ createContainer: [], poststop: [] });
  refuseHooks(undefined);
  assert.throws(() => refuseHooks({ createContainer: [{ path: "/bin/hook" }] }), {
    message:
      "config.json: hooks.createContainer is not supported, as its programs are the host's and the container's " +
      `namespaces the guest's: it has "/bin/hook"`,
  });
});

import assert from "node:assert/strict";
import { Code, RpcError } from "../../rpc/errors.ts";
import { spawn } from "../../sys/spawn.ts";
import { createSandbox } from "../create_sandbox.ts";
import { type Log, silentLog } from "../log/log.ts";
import { replay } from "../state/cleanup.ts";
import { bootId, identify } from "../state/process_identity.ts";
import { FakeHost, testConfig, testSpec } from "../testing/fake_host.ts";
import { type CgroupOptions, planCgroups, type SandboxCgroups } from "./cgroups.ts";
import type { Hierarchies } from "./hierarchies.ts";
import { type Own, Shell, withOwn } from "./testing/own_hierarchies.ts";

const OPTIONS = { id: "s1", cgroupsPath: "/pod/x", only: false, log: silentLog } as const;

/** Sentences of one level. */
class Lines implements Log {
  readonly lines: string[] = [];

  write(level: string, message: string): void {
    if (level === "warning") this.lines.push(message);
  }
}

/** Cgroups that a process has entered. */
async function entered(own: Own, pid: number, change: Partial<CgroupOptions> = {}): Promise<SandboxCgroups> {
  const cgroups = planCgroups({ ...OPTIONS, hierarchies: own.hierarchies, pid, ...change });
  await cgroups.enter();
  return cgroups;
}

Deno.test("sandbox_cgroup_only: the owner enters, its processes are born there, and it goes with the sandbox", async () => {
  await using shell = new Shell();
  await withOwn(async (own) => {
    const { list } = own.hierarchies;
    const outside = list.map(() => "");
    let child = 0;
    {
      const planned = planCgroups({ ...OPTIONS, only: true, hierarchies: own.hierarchies, pid: shell.pid });
      await using cgroups = planned;
      assert.deepEqual(cgroups.folders, list.map(({ root }) => `${root}/pod/kata_x`));
      for (const { root } of list) {
        assert.throws(() => Deno.statSync(`${root}/pod`), "it is known before it is made");
      }
      await cgroups.enter();
      child = Number((await shell.run("sleep 1000 & echo $!")).text);
      for (const pid of [shell.pid, child]) assert.deepEqual(own.placesOf(pid), list.map(() => "pod/kata_x"));
      assert.equal(cgroups.hasThreads, false);
      assert.throws(
        () => planCgroups({ ...OPTIONS, only: true, hierarchies: own.hierarchies }),
        (error) => error instanceof RpcError && /has processes already$/.test(error.message),
      );
    }
    assert.deepEqual(own.placesOf(child), outside);
    assert.deepEqual(own.placesOf(shell.pid), outside);
    await shell.run(`kill -9 ${child}; wait`);
  }, shell.pid);
});

Deno.test("by default processes are in the overhead cgroup, and threads of virtual CPUs apart from them", async () => {
  const args = ["eval", "setInterval(() => {}, 1000); console.log(1)"];
  const program = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
  const reader = program.stdout.getReader();
  await reader.read();
  await reader.cancel();
  const { pid } = program;
  const [tid = 0, other = 0] = [...Deno.readDirSync(`/proc/${pid}/task`)].map(({ name }) => Number(name))
    .filter((each) => each !== pid);
  try {
    await withOwn(async (own) => {
      const { version, list } = own.hierarchies;
      const log = new Lines();
      await using cgroups = await entered(own, pid, { log });
      assert.ok(cgroups.hasThreads);
      cgroups.placeThreads([tid, tid, 4_194_303]);
      const overhead = list.map(() => "kata_overhead/s1");
      assert.deepEqual(own.placesOf(pid), overhead);
      assert.deepEqual(own.placesOf(pid, other), overhead);
      const apart = ["cpu", "cpuacct", "cpuset", "devices"];
      const expected = list.map(({ controllers }) =>
        version === 2
          ? "kata_overhead/s1/vcpus"
          : controllers.some((name) => apart.includes(name))
          ? "pod/kata_x"
          : "kata_overhead/s1"
      );
      assert.deepEqual(own.placesOf(pid, tid), expected);
      assert.deepEqual(log.lines, []);
    }, pid);
  } finally {
    program.kill("SIGKILL");
    await program.status;
  }
});

/** Whether a process may open a device. */
async function mayOpen(shell: Shell, device: string): Promise<boolean> {
  return (await shell.run(`true < ${device}`)).status === 0;
}

Deno.test("a sandbox may use what machines need and the devices that it was given, and no others", async () => {
  await using shell = new Shell();
  await withOwn(async (own) => {
    await using cgroups = await entered(own, shell.pid, { only: true });
    const early = cgroups.useDevice("/dev/full");
    assert.ok(await mayOpen(shell, "/dev/kmsg"), "until the machine has been started");
    cgroups.confine();
    for (
      const device of ["/dev/null", "/dev/urandom", "/dev/ptmx", "/dev/net/tun", "/dev/full", "/etc/passwd"]
    ) {
      assert.ok(await mayOpen(shell, device), device);
    }
    assert.equal(await mayOpen(shell, "/dev/kmsg"), false);
    const [one, two] = [cgroups.useDevice("/dev/kmsg"), cgroups.useDevice("/dev/kmsg")];
    assert.ok(await mayOpen(shell, "/dev/kmsg"));
    one[Symbol.dispose]();
    one[Symbol.dispose]();
    assert.ok(await mayOpen(shell, "/dev/kmsg"), "somebody else uses it");
    two[Symbol.dispose]();
    assert.equal(await mayOpen(shell, "/dev/kmsg"), false);
    early[Symbol.dispose]();
    assert.ok(await mayOpen(shell, "/dev/full"), "everybody has it");
    cgroups.useDevice("/nowhere")[Symbol.dispose]();
  }, shell.pid);
});

Deno.test("a sandbox is bound to the CPUs that its containers are bound to together", async () => {
  await using shell = new Shell();
  await withOwn(async (own) => {
    const log = new Lines();
    await using cgroups = await entered(own, shell.pid, { log, only: true });
    const { version } = own.hierarchies;
    const root = own.root("cpuset");
    const hasCpuset = version === 1
      ? root !== ""
      : Deno.readTextFileSync(`${root}/cgroup.controllers`).includes("cpuset");
    const cpus = () => Deno.readTextFileSync(`${root}/pod/kata_x/cpuset.cpus`).trim();
    cgroups.bind("none", {});
    if (!hasCpuset) {
      for (const id of ["a", "b"]) cgroups.bind(id, { cpus: "0" });
      assert.equal(log.lines.length, 1, "told once");
      assert.match(log.lines[0] ?? "", /^the sandbox's cgroup cannot be bound to CPUs: /);
      return;
    }
    const all = cpus();
    cgroups.bind("a", { cpus: "0" });
    assert.equal(cpus(), "0");
    cgroups.bind("b", { cpus: "1", mems: "0" });
    assert.equal(cpus(), "0-1");
    cgroups.bind("a", { cpus: "1" });
    assert.equal(cpus(), "1");
    cgroups.bind("b", undefined);
    cgroups.bind("a", undefined);
    assert.equal(cpus(), all);
    cgroups.bind("c", { cpus: "4000" });
    assert.match(log.lines.join(), /cannot be bound to CPUs: cpuset.cpus does not take "4000"/);
  }, shell.pid);
});

/** Where no cgroup can be made. */
const NOWHERE = {
  controllers: ["memory"],
  root: "/proc/nowhere",
  home: "/proc/nowhere",
  isSupervised: false,
};

Deno.test("a missing cgroup is logged once and done without; sandbox_cgroup_only is refused", async () => {
  await using shell = new Shell();
  await withOwn(async (own) => {
    if (own.hierarchies.version === 2) return;
    const hierarchies: Hierarchies = { version: 1, list: [...own.hierarchies.list, NOWHERE] };
    const log = new Lines();
    {
      await using cgroups = planCgroups({ ...OPTIONS, hierarchies, pid: shell.pid, log });
      await cgroups.enter();
      cgroups.confine();
      assert.match(
        log.lines.join("\n"),
        /^the sandbox does without cgroup "\/proc\/nowhere\/kata_overhead\/s1": .*$/,
      );
      assert.deepEqual(own.placesOf(shell.pid), own.hierarchies.list.map(() => "kata_overhead/s1"));
    }
    await using only = planCgroups({ ...OPTIONS, hierarchies, pid: shell.pid, only: true });
    await assert.rejects(only.enter(), {
      code: Code.FailedPrecondition,
      message: /^sandbox_cgroup_only: cgroup "\/proc\/nowhere\/pod\/kata_x" cannot be used: /,
    });
  }, shell.pid);
  const log = new Lines();
  const list = [NOWHERE, { ...NOWHERE, controllers: ["cpu", "devices", "cpuset"] }];
  const none = planCgroups({ ...OPTIONS, hierarchies: { version: 1, list }, log });
  await none.enter();
  none.confine();
  none.bind("a", {});
  assert.deepEqual([log.lines.length, none.hasThreads], [1, false]);
  await none[Symbol.asyncDispose]();
  const empty = planCgroups({ ...OPTIONS, hierarchies: { version: 2, list: [] }, log });
  await empty.enter();
  empty.confine();
  await empty[Symbol.asyncDispose]();
  assert.equal(log.lines.length, 1);
  assert.throws(() => planCgroups({ ...OPTIONS, only: true, hierarchies: { version: 2, list: [] } }), {
    code: Code.FailedPrecondition,
    message: "sandbox_cgroup_only: this host has no cgroups: none are mounted",
  });
});

Deno.test("a supervised process stays where it is, unless all of it shall be in the pod's cgroup", async () => {
  await using shell = new Shell();
  await withOwn(async (own) => {
    const list = own.hierarchies.list.map((each) => ({ ...each, isSupervised: true }));
    const hierarchies = { version: own.hierarchies.version, list };
    await using cgroups = planCgroups({ ...OPTIONS, hierarchies, pid: shell.pid });
    await cgroups.enter();
    assert.deepEqual([cgroups.folders, cgroups.hasThreads], [[], false]);
    assert.deepEqual(own.placesOf(shell.pid), list.map(() => ""));
    await using only = planCgroups({ ...OPTIONS, hierarchies, pid: shell.pid, only: true });
    assert.equal(only.folders.length, list.length);
  }, shell.pid);
});

Deno.test("where processes have processors one by one, threads go only where somebody has given the pod a share", () => {
  const root = Deno.makeTempDirSync({ prefix: "kata-test-" });
  try {
    const cpu = { controllers: ["cpu"], root, home: root, isSupervised: false };
    const hierarchies: Hierarchies = { version: 1, list: [cpu, { ...cpu, controllers: ["cpuset"] }] };
    const planned = (cgroupsPath: string) =>
      planCgroups({ ...OPTIONS, cgroupsPath, hierarchies }).folders.length;
    // the cpuset's two, and that of the processors
    assert.deepEqual([planned("/a/b/x"), planned("x")], [2, 2]);
    Deno.mkdirSync(`${root}/a/b`, { recursive: true });
    const write = (file: string, text: string) => Deno.writeTextFileSync(`${root}/a/${file}`, `${text}\n`);
    for (const [shares, quota, count] of [["1024", "-1", 2], ["2", "-1", 3], ["1024", "5000", 3]] as const) {
      write("cpu.shares", shares);
      write("cpu.cfs_quota_us", quota);
      assert.equal(planned("/a/b/x"), count, `${shares} ${quota}`);
    }
    const grouped: Hierarchies = { version: 1, list: [{ ...cpu, home: `${root}/system.slice` }] };
    assert.equal(planCgroups({ ...OPTIONS, hierarchies: grouped }).folders.length, 2);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});

Deno.test("cgroups above that others have made are left; those made for sandboxes go with the last", async () => {
  await using one = await spawn({ argv: ["/bin/sleep", "1000"] });
  await using two = await spawn({ argv: ["/bin/sleep", "1000"] });
  await withOwn(async (own) => {
    const [{ root } = { root: "" }] = own.hierarchies.list;
    const others = own.hierarchies.list.map((each) => `${each.root}/pod`);
    for (const folder of others) Deno.mkdirSync(folder);
    await (await entered(own, one.pid, { only: true }))[Symbol.asyncDispose]();
    for (const folder of others) Deno.removeSync(folder);

    const relative = { only: true, cgroupsPath: "x" };
    const first = await entered(own, one.pid, relative);
    const second = await entered(own, two.pid, { ...relative, cgroupsPath: "y" });
    await first[Symbol.asyncDispose]();
    assert.ok(Deno.statSync(`${root}/vc/kata_y`).isDirectory);
    await second[Symbol.asyncDispose]();
    assert.throws(() => Deno.statSync(`${root}/vc`), Deno.errors.NotFound);
  });
});

Deno.test("sandboxes that come and go at the same time do not take each other's cgroups away", async () => {
  await using one = await spawn({ argv: ["/bin/sleep", "1000"] });
  await using two = await spawn({ argv: ["/bin/sleep", "1000"] });
  await withOwn(async (own) => {
    const log = new Lines();
    const life = async (id: string, pid: number) => {
      for (let round = 0; round < 20; round++) {
        await using cgroups = await entered(own, pid, { id, log, cgroupsPath: `/pod/${id}` });
        assert.deepEqual(own.placesOf(pid), own.hierarchies.list.map(() => `kata_overhead/${id}`));
        cgroups.confine();
      }
    };
    await Promise.all([life("a", one.pid), life("b", two.pid)]);
    assert.deepEqual(log.lines, []);
  });
});

Deno.test("what a dead owner left is removed by the saved state, whatever processes are in it, and once more", async () => {
  await using process = await spawn({ argv: ["/bin/sleep", "1000"] });
  await withOwn(async (own) => {
    for (const only of [false, true]) {
      const cgroups = [...(await entered(own, process.pid, { only })).folders];
      const self = identify(Deno.pid);
      assert.ok(self);
      const lists = { helpers: [], mounts: [], folders: [], containers: [] };
      const known = {
        version: 1,
        id: "s",
        bundle: "",
        state: "running",
        bootId: bootId(),
        owner: self,
      } as const;
      for (let round = 0; round < 2; round++) await replay({ ...known, ...lists, cgroups }, silentLog);
      assert.deepEqual(own.placesOf(process.pid), own.hierarchies.list.map(() => ""));
    }
  });
});

Deno.test("cgroups are saved before they are made, entered before anything starts, and left as the last thing", async () => {
  await using host = new FakeHost();
  const { paths, steps } = host;
  const asked: CgroupOptions[] = [];
  host.planCgroups = (options?: CgroupOptions) => {
    if (options) asked.push(options);
    const saved = () => JSON.parse(Deno.readTextFileSync(`${paths.state}/s1/persist.json`)).cgroups;
    const none = FakeHost.prototype.planCgroups.call(host);
    return {
      ...none,
      folders: ["/sys/fs/cgroup/x"],
      enter: () => Promise.resolve(void steps.push(`enter ${saved()}`)),
      confine: () => void steps.push("confine"),
      [Symbol.asyncDispose]: () => Promise.resolve(void steps.push("leave")),
    };
  };
  const config = testConfig();
  config.runtime.sandbox_cgroup_only = true;
  const spec = { ...testSpec(), linux: { cgroupsPath: "/pod/x" } };
  await using _sandbox = await createSandbox({ id: "s1", spec, config, log: silentLog, host, paths });
  assert.deepEqual(asked.map(({ id, cgroupsPath, only }) => [id, cgroupsPath, only]), [[
    "s1",
    "/pod/x",
    true,
  ]]);
  assert.deepEqual([steps[0], steps.at(-1)], ["enter /sys/fs/cgroup/x", "confine"]);
  await _sandbox[Symbol.asyncDispose]();
  assert.equal(steps.at(-1), "leave");
});

import assert from "node:assert/strict";
import { closeFd, pipe } from "./fd.ts";
import { launch } from "./launch.ts";
import { AsyncFd, loopIdle } from "./poll.ts";
import { pidfdOpen } from "./process.ts";
import { Program } from "./program.ts";
import { findExecutable, spawn, type SpawnOptions, spawnProgram } from "./spawn.ts";

const CLONE_NEWNET = 0x4000_0000;
const SIGKILL = 9;

/** A test that ends when the event loop has come to rest, since the sanitizer counts what is under way. */
function test(name: string, body: () => Promise<void> | void): void {
  Deno.test(name, async () => {
    await body();
    await loopIdle();
  });
}

/** Runs a shell script by `spawn`; what it printed, without the last line break. */
async function shell(script: string, options: Partial<SpawnOptions> = {}): Promise<string> {
  const [read, write] = pipe();
  using reader = new AsyncFd(read);
  const fds = new Map([[1, write], [2, write], ...(options.fds ?? [])]);
  const argv = ["busybox", "sh", "-c", script];
  const child = await spawn({ argv, env: {}, ...options, fds }).finally(() => closeFd(write));
  let output = "";
  const buffer = new Uint8Array(65536);
  for (let count = await reader.read(buffer); count > 0; count = await reader.read(buffer)) {
    output += new TextDecoder().decode(buffer.subarray(0, count));
  }
  assert.deepEqual(await child.wait(), { code: 0, signal: 0 }, output);
  return output.trimEnd();
}

Deno.test("a spawn program lists what happens on the way, in order", () => {
  const options: SpawnOptions = {
    argv: ["qemu", "-nodefaults"],
    argv0: "kata-qemu",
    cwd: "/run/vm",
    netns: "/run/netns/pod",
    newMountNamespace: "slave-shared",
    cgroupProcs: ["/sys/fs/cgroup/pod/cgroup.procs"],
    parentDeathSignal: SIGKILL,
    session: true,
    oomScoreAdj: -999,
    rlimits: { NOFILE: { soft: 1024, hard: 4096 } },
    uid: 1000,
    gid: 100,
    groups: [36],
  };
  assert.deepEqual(spawnProgram(options, "/usr/bin/qemu", { LANG: "C" }, 4711).describe(), [
    "setsid: setsid()",
    'open oom score: $oom_score_adj = openat(AT_FDCWD, "/proc/self/oom_score_adj", O_CLOEXEC|O_WRONLY); on failure go to not set',
    'set oom score: write($oom_score_adj, "-999", 4); on success go to oom score done; on failure go on',
    "not set:",
    "oom score not set: checkpoint",
    "oom score done:",
    "close oom score: close($oom_score_adj); on failure go on",
    'join cgroup /sys/fs/cgroup/pod/cgroup.procs: $cgroup 0 = openat(AT_FDCWD, "/sys/fs/cgroup/pod/cgroup.procs", O_CLOEXEC|O_WRONLY)',
    'join cgroup /sys/fs/cgroup/pod/cgroup.procs: write($cgroup 0, "0", 1)',
    "join cgroup /sys/fs/cgroup/pod/cgroup.procs: close($cgroup 0)",
    'join network namespace /run/netns/pod: $netns = openat(AT_FDCWD, "/run/netns/pod", O_RDONLY|O_CLOEXEC)',
    "join network namespace /run/netns/pod: setns($netns, CLONE_NEWNET)",
    "join network namespace /run/netns/pod: close($netns)",
    'make mounts slaves: mount(NULL, "/", NULL, MS_REC|MS_SLAVE, NULL)',
    'make mounts shared: mount(NULL, "/", NULL, MS_REC|MS_SHARED, NULL)',
    "set limit NOFILE: prlimit64(0, RLIMIT_NOFILE, {1024, 4096}, NULL)",
    "set groups: setgroups(1, 36)",
    "become group 100: setresgid(100, 100, 100)",
    "become user 1000: setresuid(1000, 1000, 1000)",
    'enter folder /run/vm: chdir("/run/vm")',
    "set parent death signal: prctl(PR_SET_PDEATHSIG, 9)",
    "get parent: $parent = getppid()",
    "parent is alive: expect $parent == 4711, else ESRCH",
    "wire file descriptors",
    'execve /usr/bin/qemu: execve("/usr/bin/qemu", ["kata-qemu", "-nodefaults"], ["LANG=C"])',
  ]);
});

test("a program gets its arguments, exactly the given environment, and its folder", async () => {
  const output = await shell("echo $0 $PWD; env | sort", { env: { A: "1", PATH: "/bin" }, cwd: "/usr" });
  // PWD and SHLVL are the shell's own.
  assert.deepEqual(output.split("\n"), ["sh /usr", "A=1", "PATH=/bin", "PWD=/usr", "SHLVL=1"]);
});

test("without an environment a program gets the parent's", async () => {
  Deno.env.set("SPAWN_TEST", "inherited");
  try {
    assert.equal(await shell("echo $SPAWN_TEST", { env: undefined }), "inherited");
  } finally {
    Deno.env.delete("SPAWN_TEST");
  }
});

test("a program can be given another name", async () => {
  assert.equal(await shell("", { argv: ["/bin/busybox", "-c", "echo $0"], argv0: "sh" }), "sh");
});

test("a program becomes a user with only the groups that were given", async () => {
  const id = "id -u; id -g; id -G";
  assert.equal(await shell(id, { uid: 1234, gid: 4321, groups: [7, 8] }), "1234\n4321\n4321 7 8");
  assert.equal(await shell(id, { uid: 1234, gid: 4321 }), "1234\n4321\n4321");
});

test("limits are set", async () => {
  assert.equal(
    await shell("ulimit -S -n; ulimit -H -n", { rlimits: { NOFILE: { soft: 100, hard: 200 } } }),
    "100\n200",
  );
});

test("a session and a process group of its own", async () => {
  const script =
    "read -r pid name state parent group session rest < /proc/self/stat; echo $((pid == group)) $((pid == session))";
  assert.equal(await shell(script), "0 0");
  assert.equal(await shell(script, { processGroup: true }), "1 0");
  assert.equal(await shell(script, { session: true }), "1 1");
});

test("an OOM score is set where it may be, and otherwise there is one warning", async () => {
  const warnings: string[] = [];
  const onWarning = (text: string) => warnings.push(text);
  assert.equal(await shell("cat /proc/self/oom_score_adj", { oomScoreAdj: 555, onWarning }), "555");
  assert.deepEqual(warnings, []);
  const before = Deno.readTextFileSync("/proc/self/oom_score_adj").trim();
  assert.equal(await shell("cat /proc/self/oom_score_adj", { oomScoreAdj: 5000, onWarning }), before);
  assert.deepEqual(warnings, ['cannot set the OOM score of "busybox" to 5000']);
});

test("a program runs in a network namespace given by path", async () => {
  const holder = new Program();
  holder.checkpoint("ready");
  holder.awaitGo("wait");
  const holding = launch(holder, { flags: CLONE_NEWNET, inherit: [] });
  await holding.reached("ready");
  const netns = `/proc/${holding.child.pid}/ns/net`;
  const inside = await shell("readlink /proc/self/ns/net; grep -c : /proc/net/dev", { netns });
  const [link, devices] = inside.split("\n");
  assert.equal(link, Deno.readLinkSync(netns));
  assert.notEqual(link, Deno.readLinkSync("/proc/self/ns/net"));
  assert.equal(
    devices,
    Deno.readTextFileSync(`/proc/${holding.child.pid}/net/dev`).split(":").length - 1 + "",
  );
  await holding.child[Symbol.asyncDispose]();
  await assert.rejects(holding.executed());
});

test("a mount namespace of its own has its mounts shared within", async () => {
  const script = "readlink /proc/self/ns/mnt; grep ' / / ' /proc/self/mountinfo";
  const [namespace, root] = (await shell(script, { newMountNamespace: "slave-shared" })).split("\n");
  assert.notEqual(namespace, Deno.readLinkSync("/proc/self/ns/mnt"));
  assert.match(root ?? "", / shared:\d+/);
});

test("a program starts in the cgroups given by their files", async () => {
  const mounts = Deno.readTextFileSync("/proc/self/mountinfo").split("\n").map((line) => line.split(" "));
  const hierarchies = mounts.filter((fields) =>
    fields.includes("cgroup2") || fields.at(-1)?.includes("pids")
  );
  assert.ok(hierarchies.length > 0, "this test needs a cgroup filesystem");
  const folders = hierarchies.map((fields) => `${fields[4]}/spawn-test-${Deno.pid}`);
  folders.forEach((folder) => Deno.mkdirSync(folder));
  try {
    const output = await shell("cat /proc/self/cgroup", {
      cgroupProcs: folders.map((folder) => `${folder}/cgroup.procs`),
    });
    const found = output.split("\n").filter((line) => line.endsWith(`/spawn-test-${Deno.pid}`));
    assert.equal(found.length, folders.length, output);
  } finally {
    folders.forEach((folder) => Deno.removeSync(folder));
  }
});

test("a program ends with its parent, even if that is killed", async () => {
  const script = `import { spawn } from ${JSON.stringify(new URL("./spawn.ts", import.meta.url).href)};
    const child = await spawn({ argv: ["busybox", "sleep", "1000"], parentDeathSignal: 9, uid: 1234 });
    console.log(child.pid);
    Deno.kill(Deno.pid, "SIGKILL");`;
  const { stdout, signal } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", script],
    stdout: "piped",
  }).output();
  assert.equal(signal, "SIGKILL");
  const pid = Number(new TextDecoder().decode(stdout));
  assert.ok(pid > 0);
  await gone(pid);
});

/** Waits for the end of a process that is no child. */
async function gone(pid: number): Promise<void> {
  let pidfd;
  try {
    pidfd = pidfdOpen(pid);
  } catch {
    return;
  }
  using process = new AsyncFd(pidfd);
  await process.readable();
}

test("a program whose parent is gone when it asks to be told does not start", async () => {
  const options = { argv: ["/bin/busybox", "true"], parentDeathSignal: SIGKILL };
  const launched = launch(spawnProgram(options, "/bin/busybox", {}, 1));
  await assert.rejects(launched.executed(), { message: "parent is alive: ESRCH" });
});

test("what cannot be found or executed is said", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "spawn-test-" });
  try {
    Deno.mkdirSync(`${folder}/busybox`);
    Deno.writeTextFileSync(`${folder}/plain`, "");
    const PATH = `/nowhere::${folder}:/bin`;
    assert.equal(findExecutable("busybox", PATH), "/bin/busybox");
    const messages = new Map([
      ["nothing", `find "nothing" in PATH "${PATH}": ENOENT`],
      ["plain", `find "plain" in PATH "${PATH}": EACCES`],
      ["", `find "" in PATH "${PATH}": ENOENT`],
      ["/nowhere/x", "execve /nowhere/x: ENOENT"],
      [`${folder}/plain`, `execve ${folder}/plain: EACCES`],
    ]);
    for (const [name, message] of messages) {
      await assert.rejects(spawn({ argv: [name], env: { PATH } }), { name: "StepError", message });
    }
    await assert.rejects(spawn({ argv: [] }), { name: "StepError" });
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

test("a failing step is said, and no process is left", async () => {
  const cases: [Partial<SpawnOptions>, string][] = [
    [{ cwd: "/nowhere" }, "enter folder /nowhere: ENOENT"],
    [{ netns: "/etc/passwd" }, "join network namespace /etc/passwd: EINVAL"],
    [{ cgroupProcs: ["/nowhere/cgroup.procs"] }, "join cgroup /nowhere/cgroup.procs: ENOENT"],
    [{ rlimits: { NOFILE: { soft: 200, hard: 100 } } }, "set limit NOFILE: EINVAL"],
  ];
  for (const [options, message] of cases) {
    await assert.rejects(shell("true", options), { name: "StepError", message });
  }
  assert.equal(Deno.readTextFileSync("/proc/thread-self/children"), "");
});

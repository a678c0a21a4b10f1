import assert from "node:assert/strict";
import fc from "fast-check";
import { AT, O } from "./abi/file.ts";
import { isErrno } from "./errors.ts";
import { closeFd, openFd, OwnedFd, pipe, writeFd } from "./fd.ts";
import { launch, type Launched, type LaunchOptions } from "./launch.ts";
import { AsyncFd, loopIdle } from "./poll.ts";
import { pidfdOpen } from "./process.ts";
import { Program, StepError } from "./program.ts";

const CLONE_NEWNS = 0x20000;
const CLONE_NEWUTS = 0x4000000;
const CLONE_NEWIPC = 0x8000000;
const CLONE_NEWPID = 0x20000000;
const MS_REC_PRIVATE = (1 << 14) | (1 << 18);
const SIGKILL = 9;
const SIGSEGV = 11;

/** A test that ends when the event loop has come to rest, since the sanitizer counts what is under way. */
function test(name: string, body: () => Promise<void> | void): void {
  Deno.test(name, async () => {
    await body();
    await loopIdle();
  });
}

/** Adds an execve of busybox. */
function execute(program: Program, ...argv: string[]): void {
  program.step("execve /bin/busybox", "execve", [
    program.cstring("/bin/busybox"),
    program.cstrings(["busybox", ...argv]),
    program.cstrings(["PATH=/bin:/usr/bin"]),
  ]);
}

/** Runs a program with its output in a pipe, to the end; what it printed, and its exit code. */
async function run(program: Program, options: LaunchOptions = {}): Promise<{ output: string; code: number }> {
  const [read, write] = pipe();
  const reader = new AsyncFd(read);
  let launched: Launched;
  try {
    launched = launch(program, {
      ...options,
      fds: new Map([[1, write], [2, write], ...(options.fds ?? [])]),
    });
  } finally {
    closeFd(write);
  }
  const output = await readAll(reader);
  await launched.executed();
  return { output, code: (await launched.child.wait()).code };
}

async function readAll(reader: AsyncFd): Promise<string> {
  const chunks: number[] = [];
  const buffer = new Uint8Array(65536);
  for (let count = await reader.read(buffer); count > 0; count = await reader.read(buffer)) {
    chunks.push(...buffer.subarray(0, count));
  }
  reader.close();
  return new TextDecoder().decode(new Uint8Array(chunks));
}

test("a child executes a program in new pid, mount, UTS and IPC namespaces", async () => {
  const program = new Program();
  program.step("make / private", "mount", [0, program.cstring("/"), 0, MS_REC_PRIVATE, 0]);
  const proc = program.cstring("proc");
  program.step("mount /proc", "mount", [proc, program.cstring("/proc"), proc, 0, 0]);
  program.step("set host name", "sethostname", [program.cstring("inside"), 6]);
  execute(program, "sh", "-c", "hostname; echo pid $$; set -- /proc/[0-9]*; echo $#; exit 7");
  const flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC;
  assert.deepEqual(await run(program, { flags }), { output: "inside\npid 1\n1\n", code: 7 });
});

test("a failing step is reported by its name and error, and the child is gone", async () => {
  const program = new Program();
  program.step("open /nowhere", "openat", [AT.FDCWD, program.cstring("/nowhere"), O.RDONLY]);
  execute(program, "true");
  const launched = launch(program);
  await assert.rejects(launched.executed(), (error) => {
    assert.ok(error instanceof StepError);
    assert.equal(error.message, "open /nowhere: ENOENT");
    assert.deepEqual([error.step, error.code, error.errno], ["open /nowhere", "ENOENT", 2]);
    return true;
  });
  assert.deepEqual(launched.child.status, { code: 125, signal: 0 });
});

test("a failing execve is reported", async () => {
  const program = new Program();
  program.step("execve /etc", "execve", [
    program.cstring("/etc"),
    program.cstrings(["x"]),
    program.cstrings([]),
  ]);
  await assert.rejects(launch(program).executed(), { name: "StepError", message: "execve /etc: EACCES" });
});

test("alternatives for execve are tried one after another", async () => {
  const program = new Program();
  const [argv, envp] = [program.cstrings(["busybox", "echo", "found"]), program.cstrings([])];
  for (const folder of ["/nowhere", "/etc/passwd", "/bin"]) {
    const path = program.cstring(`${folder}/busybox`);
    program.step(`execve ${folder}`, "execve", [path, argv, envp], { mayFail: ["ENOENT", "ENOTDIR"] });
  }
  program.fail("find busybox", "ENOENT");
  assert.deepEqual(await run(program), { output: "found\n", code: 0 });
});

test("the end of a program without execve is an error with the exit code", async () => {
  const program = new Program();
  program.checkpoint("before");
  program.step("exit", "exit_group", [3]);
  const launched = launch(program);
  await launched.reached("before");
  await assert.rejects(launched.executed(), {
    message: 'the child process ended before execve after checkpoint "before": it exited with 3',
  });
});

test("a program whose execve was allowed to fail has not executed anything", async () => {
  const program = new Program();
  const args = [program.cstring("/nowhere"), program.cstrings(["x"]), program.cstrings([])];
  program.step("execve", "execve", args, { mayFail: true });
  await assert.rejects(launch(program).executed(), {
    message: "the child process ended before execve: it exited with 0",
  });
});

for (const signal of [SIGKILL, SIGSEGV]) {
  test(`a child that dies of signal ${signal} before execve is reported, with what it had reached`, async () => {
    const program = new Program();
    const pid = program.slot("pid");
    program.checkpoint("first");
    program.step("getpid", "getpid", [], { save: pid });
    program.step("kill itself", "kill", [pid, signal]);
    program.checkpoint("second");
    execute(program, "true");
    const launched = launch(program);
    await launched.reached("first");
    const message =
      `the child process ended before execve after checkpoint "first": it was killed by signal ${signal}`;
    await assert.rejects(launched.executed(), { message });
    await assert.rejects(launched.reached("second"), { message });
    assert.deepEqual(launched.checkpoints, ["first"]);
  });
}

test("a waiting child goes on when it is told, once per wait", async () => {
  const program = new Program();
  program.checkpoint("ready");
  program.awaitGo("wait for start");
  program.checkpoint("half way");
  program.awaitGo("wait again");
  execute(program, "true");
  const launched = launch(program);
  await launched.reached("ready");
  assert.deepEqual(launched.checkpoints, ["ready"]);
  launched.go();
  await launched.reached("half way");
  launched.go();
  await launched.executed();
  assert.deepEqual(await launched.child.wait(), { code: 0, signal: 0 });
  launched.go();
});

test("a waiting child that is killed is reported, and going on then does no harm", async () => {
  const program = new Program();
  program.checkpoint("ready");
  program.awaitGo("wait for start");
  execute(program, "true");
  const launched = launch(program);
  await launched.reached("ready");
  await launched.child[Symbol.asyncDispose]();
  launched.go();
  await assert.rejects(launched.executed(), /killed by signal 9$/);
  launched.go();
});

test("a waiting child whose parent is killed ends", async () => {
  const url = (file: string) => JSON.stringify(new URL(file, import.meta.url).href);
  const script = `import { launch } from ${url("./launch.ts")};
    import { Program } from ${url("./program.ts")};
    const program = new Program();
    program.checkpoint("ready");
    program.awaitGo("wait");
    const launched = launch(program);
    await launched.reached("ready");
    console.log(launched.child.pid);
    Deno.kill(Deno.pid, "SIGKILL");`;
  const deno = new Deno.Command(Deno.execPath(), { args: ["eval", script], stdout: "piped" });
  const { stdout, signal } = await deno.output();
  assert.equal(signal, "SIGKILL");
  const pid = Number(new TextDecoder().decode(stdout));
  assert.ok(pid > 0);
  let pidfd;
  try {
    pidfd = pidfdOpen(pid);
  } catch (error) {
    assert.ok(isErrno(error, "ESRCH"));
    return;
  }
  using orphan = new AsyncFd(pidfd);
  await orphan.readable();
});

test("what was told to go on too often still executes", async () => {
  const program = new Program();
  program.awaitGo("wait");
  execute(program, "true");
  const launched = launch(program);
  for (let i = 0; i < 5; i++) launched.go();
  await launched.executed();
  assert.deepEqual(await launched.child.wait(), { code: 0, signal: 0 });
});

test("a checkpoint that is jumped over rejects when the program executes", async () => {
  const program = new Program();
  const over = program.label("over");
  program.jump(over);
  program.checkpoint("skipped");
  program.place(over);
  execute(program, "true");
  const launched = launch(program);
  await launched.executed();
  await assert.rejects(launched.reached("skipped"), {
    message: 'checkpoint "skipped" was not reached: the child went on to execve',
  });
  await assert.rejects(launched.reached("unknown"), { message: 'the program has no checkpoint "unknown"' });
  await launched.child.wait();
});

test("more records than one read takes all arrive", async () => {
  const program = new Program();
  const names = Array.from({ length: 100 }, (_, i) => `point ${i}`);
  names.forEach((name) => program.checkpoint(name));
  execute(program, "true");
  const launched = launch(program);
  await launched.executed();
  assert.deepEqual(launched.checkpoints, names);
  await launched.child.wait();
});

test("an input of the launch reaches the child, a different one each time", async () => {
  const program = new Program();
  const code = program.slot("code");
  program.step("exit", "exit_group", [code]);
  for (const value of [1, 2n]) {
    const launched = launch(program, { inputs: new Map([[code, value]]) });
    assert.deepEqual(await launched.child.wait(), { code: Number(value), signal: 0 });
    await assert.rejects(launched.executed());
  }
  assert.throws(() => launch(program), {
    message: 'slot "code" has no value: no step saves to it, and no input sets it',
  });
});

test("a child can be created in the pid namespace of another, and the caller stays in its own", async () => {
  const first = new Program();
  first.checkpoint("ready");
  first.awaitGo("wait");
  execute(first, "true");
  const init = launch(first, { flags: CLONE_NEWPID });
  await init.reached("ready");
  const own = Deno.readLinkSync("/proc/self/ns/pid");
  const pidNamespaceFd = openFd(`/proc/${init.child.pid}/ns/pid`, O.RDONLY);
  try {
    const second = new Program();
    second.wireFds();
    execute(second, "sh", "-c", "echo $$ $PPID");
    const result = await run(second, { pidNamespaceFd });
    assert.deepEqual(result, { output: "2 0\n", code: 0 });
  } finally {
    closeFd(pidNamespaceFd);
  }
  assert.equal(Deno.readLinkSync("/proc/self/ns/pid"), own);
  assert.equal(Deno.readLinkSync("/proc/thread-self/ns/pid_for_children"), own);
  init.go();
  await init.executed();
  await init.child.wait();
});

test("the failure to enter a pid namespace is reported, and no process is left", () => {
  const fd = openFd("/proc/self/ns/uts", O.RDONLY);
  try {
    const program = new Program();
    execute(program, "true");
    assert.throws(() => launch(program, { pidNamespaceFd: fd }), {
      name: "StepError",
      message: "join pid namespace: EINVAL",
    });
  } finally {
    closeFd(fd);
  }
  assert.equal(Deno.readTextFileSync("/proc/thread-self/children"), "");
});

test("the failure to create the process is reported", () => {
  const fd = openFd("/dev/null", O.RDONLY);
  try {
    const program = new Program();
    execute(program, "true");
    assert.throws(() => launch(program, { cgroupFd: fd }), { message: "create process: EBADF" });
  } finally {
    closeFd(fd);
  }
});

test("flags that would share memory with the child are refused", () => {
  assert.throws(() => launch(new Program(), { flags: 0x100 }), {
    message: "flags can only be CLONE_NEW* ones: they are 0x100",
  });
});

test("a child is created in a version 2 cgroup", async () => {
  const root = cgroup2Folder();
  const folder = `${root}/launch-test-${Deno.pid}`;
  Deno.mkdirSync(folder);
  try {
    const fd = openFd(folder, O.RDONLY | O.DIRECTORY);
    const program = new Program();
    execute(program, "grep", "^0::", "/proc/self/cgroup");
    const result = await run(program, { cgroupFd: fd }).finally(() => closeFd(fd));
    assert.equal(result.output.trim().replace(/^0::.*\//, ""), `launch-test-${Deno.pid}`);
  } finally {
    Deno.removeSync(folder);
  }
});

/** Where this machine has a version 2 hierarchy: alone, or beside the controllers of version 1. */
function cgroup2Folder(): string {
  const line = Deno.readTextFileSync("/proc/self/mountinfo").split("\n").find((text) =>
    text.includes(" - cgroup2 ")
  );
  assert.ok(line, "this test needs a mounted cgroup2 filesystem");
  return line.split(" ")[4] ?? "";
}

test("descriptors change places, whatever they overlap, and no other reaches the program", async () => {
  using first = textPipe("first\n");
  using second = textPipe("second\n");
  using third = textPipe("third\n");
  using inherited = new OwnedFd(openFd("/etc/passwd", O.RDONLY));
  const [a, b] = [first.fd, second.fd];
  const program = new Program();
  program.step("forget close-on-exec", "fcntl", [inherited.fd, 2, 0]);
  program.wireFds();
  execute(program, "sh", "-c", `read x <&${a}; read y <&${b}; read z <&0; echo $x $y $z; ls /proc/self/fd`);
  const result = await run(program, { fds: new Map([[a, b], [b, a], [0, third.fd]]) });
  const [words, ...numbers] = result.output.trim().split("\n");
  assert.equal(words, "second first third");
  // The listing is itself a descriptor: the lowest free one.
  const listing = [3, 4, 5].find((fd) => fd !== a && fd !== b);
  assert.deepEqual(new Set(numbers), new Set([0, 1, 2, a, b, listing].map(String)));
});

test("one descriptor can become several, its own number among them", async () => {
  using file = new OwnedFd(openFd("/etc/hostname", O.RDONLY));
  const program = new Program();
  const fds = [3, 4, file.fd, 200, 0];
  execute(program, "sh", "-c", fds.map((fd) => `readlink /proc/self/fd/${fd}`).join(";"));
  const result = await run(program, { fds: new Map(fds.map((fd) => [fd, file.fd])) });
  assert.equal(result.output, "/etc/hostname\n".repeat(fds.length));
});

test("any descriptors can become any numbers", async () => {
  using folder = new TemporaryFiles(["a", "b", "c", "d", "e"]);
  const source = fc.constantFrom(...folder.fds.keys());
  // 1 is for the output; small numbers are those that descriptors have, and that others get when they are made.
  const target = fc.oneof(fc.constant(0), fc.integer({ min: 2, max: 40 }), source);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(target, source), { minLength: 1, maxLength: 8 }), async (pairs) => {
      const fds = new Map(pairs);
      const program = new Program();
      const numbers = [...fds.keys()];
      execute(program, "sh", "-c", numbers.map((fd) => `readlink /proc/self/fd/${fd} >&1`).join(";"));
      const { output } = await run(program, { fds });
      assert.deepEqual(output.trim().split("\n"), [...fds.values()].map((fd) => folder.fds.get(fd)));
    }),
    { numRuns: 60 },
  );
});

/** Open files; the numbers of their descriptors with their paths. */
class TemporaryFiles implements Disposable {
  readonly fds = new Map<number, string>();
  readonly #folder = Deno.makeTempDirSync({ prefix: "launch-test-" });

  constructor(names: readonly string[]) {
    for (const name of names) {
      const path = `${this.#folder}/${name}`;
      this.fds.set(openFd(path, O.RDONLY | O.CREAT, 0o600), path);
    }
  }

  [Symbol.dispose](): void {
    for (const fd of this.fds.keys()) closeFd(fd);
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

test("0, 1 and 2 are /dev/null when nothing else is said", async () => {
  const program = new Program();
  const test = "for fd in 0 1 2; do [ $(readlink /proc/$$/fd/$fd) = /dev/null ] || exit 1; done";
  execute(program, "sh", "-c", test);
  const launched = launch(program);
  await launched.executed();
  assert.deepEqual(await launched.child.wait(), { code: 0, signal: 0 });
});

test("a waiting child that inherits nothing lets others see the end of the parent's pipes", async () => {
  using kept = new OwnedFd(openFd("/", O.PATH | O.DIRECTORY));
  const [read, write] = pipe();
  const reader = new AsyncFd(read);
  const program = new Program();
  program.checkpoint("ready");
  program.awaitGo("wait");
  program.step("use what it inherited", "fchdir", [kept.fd]);
  execute(program, "true");
  const launched = launch(program, { inherit: [kept.fd] });
  closeFd(write);
  await launched.reached("ready");
  assert.equal(await readAll(reader), "");
  launched.go();
  await launched.executed();
  assert.deepEqual(await launched.child.wait(), { code: 0, signal: 0 });
});

test("the child starts with default signal actions and none blocked", async () => {
  Deno.addSignalListener("SIGUSR1", noAction);
  try {
    const program = new Program();
    execute(program, "grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status");
    const none = "0000000000000000";
    assert.equal((await run(program)).output, `SigBlk:\t${none}\nSigIgn:\t${none}\nSigCgt:\t${none}\n`);
    assert.notEqual(signalsOf("SigIgn"), none);
    assert.equal(signalsOf("SigBlk"), none);
  } finally {
    Deno.removeSignalListener("SIGUSR1", noAction);
  }
});

function noAction(): void {}

function signalsOf(field: string): string | undefined {
  const status = Deno.readTextFileSync("/proc/thread-self/status");
  return status.split("\n").find((line) => line.startsWith(field))?.split("\t")[1];
}

/** The read end of a pipe that has a text in it and ends after it. */
function textPipe(text: string): OwnedFd {
  const [read, write] = pipe();
  writeFd(write, new TextEncoder().encode(text));
  closeFd(write);
  return new OwnedFd(read);
}

test("a thousand launches leave no descriptor, mapping or process behind", async () => {
  const succeeds = new Program();
  execute(succeeds, "true");
  const fails = new Program();
  fails.step("fail", "close", [999]);
  const both = async () => {
    const launched = launch(succeeds);
    await launched.executed();
    await launched.child.wait();
    await assert.rejects(launch(fails).executed());
  };
  await both();
  const before = resources();
  for (let i = 0; i < 500; i++) await both();
  const after = resources();
  assert.deepEqual([after.fds, after.children], [before.fds, before.children]);
  // The engine's own heap may take or give back some.
  assert.ok(after.mappings < before.mappings + 100, `${before.mappings} mappings became ${after.mappings}`);
});

function resources(): { fds: number; mappings: number; children: string } {
  return {
    fds: [...Deno.readDirSync("/proc/self/fd")].length,
    mappings: Deno.readTextFileSync("/proc/self/maps").split("\n").length,
    children: Deno.readTextFileSync("/proc/thread-self/children"),
  };
}

test("many launches at once do not disturb each other", async () => {
  const results = await Promise.all(Array.from({ length: 20 }, (_, i) => {
    const program = new Program();
    execute(program, "sh", "-c", `echo ${i}; exit ${i}`);
    return run(program);
  }));
  assert.deepEqual(results, Array.from({ length: 20 }, (_, i) => ({ output: `${i}\n`, code: i })));
});

test("a program goes on in a new process with namespaces of its own, and that is the child then", async () => {
  const program = new Program();
  program.checkpoint("before");
  program.continueInChild("new pid namespace", CLONE_NEWPID);
  program.checkpoint("after");
  program.awaitGo("wait");
  execute(program, "sh", "-c", "echo pid $$; exit 7");
  const [read, write] = pipe();
  const reader = new AsyncFd(read);
  const launched = launch(program, { fds: new Map([[1, write]]), inherit: [] });
  closeFd(write);
  const first = launched.child;
  await launched.reached("after");
  assert.notEqual(launched.child.pid, first.pid);
  assert.deepEqual(await first.wait(), { code: 0, signal: 0 });
  launched.go();
  assert.equal(await readAll(reader), "pid 1\n");
  await launched.executed();
  assert.deepEqual(await launched.child.wait(), { code: 7, signal: 0 });
});

test("a failure after a program went on in a new process is reported, and no process is left", async () => {
  const program = new Program();
  program.continueInChild("new pid namespace", CLONE_NEWPID);
  program.step("open /nowhere", "openat", [AT.FDCWD, program.cstring("/nowhere"), O.RDONLY]);
  execute(program, "true");
  const launched = launch(program);
  await assert.rejects(launched.executed(), { message: "open /nowhere: ENOENT" });
  assert.deepEqual(await launched.child.wait(), { code: 125, signal: 0 });
});

test("whoever goes on with a program is gone when the launch is disposed of", async () => {
  for (const reached of [false, true]) {
    const program = new Program();
    program.continueInChild("new pid namespace", CLONE_NEWPID);
    program.checkpoint("after");
    program.awaitGo("wait");
    execute(program, "true");
    const launched = launch(program, { inherit: [] });
    const first = launched.child;
    if (reached) await launched.reached("after");
    await launched[Symbol.asyncDispose]();
    for (const child of new Set([first, launched.child])) assert.notEqual(child.status, undefined);
  }
});

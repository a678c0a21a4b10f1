import assert from "node:assert/strict";
import { SIGNALS } from "../../sys/signals.ts";
import { Harness, specOf } from "./testing/harness.ts";

const OK = { code: 0, signal: 0 };

Deno.test("exec runs in all namespaces and in the cgroup of the container", async () => {
  await using harness = new Harness();
  const spec = specOf(harness.rootfs, ["sleep", "30"]);
  spec.hostname = "inside";
  await using made = await harness.create(spec);
  await made.container.start();
  const script =
    "hostname; for ns in pid mnt ipc uts net cgroup; do readlink /proc/self/ns/$ns; done; cat /proc/self/cgroup | grep ^0: ; ls /";
  const { status, stdout, stderr } = await made.exec({ args: ["sh", "-c", script] });
  const { pid } = made.container.init;
  const namespaces = ["pid", "mnt", "ipc", "uts", "net", "cgroup"].map((kind) =>
    Deno.readLinkSync(`/proc/${pid}/ns/${kind}`)
  );
  assert.deepEqual({ status, stderr }, { status: OK, stderr: "" });
  assert.deepEqual(stdout.trim().split("\n").slice(0, 8), ["inside", ...namespaces, "0::/"]);
  assert.match(stdout, /^bin$/m);
});

Deno.test("exec into a container that only is created works, too", async () => {
  await using harness = new Harness();
  await using made = await harness.create(specOf(harness.rootfs, ["sleep", "30"]));
  assert.deepEqual(await made.exec({ args: ["cat", "/proc/1/comm"] }), {
    status: OK,
    stdout: `${Deno.readTextFileSync(`/proc/${made.container.init.pid}/comm`)}`,
    stderr: "",
  });
});

Deno.test("exec has what its process says, and of the rest what the container has", async () => {
  await using harness = new Harness();
  const spec = specOf(harness.rootfs, ["sleep", "30"]);
  const some = ["CAP_KILL", "CAP_CHOWN"];
  spec.process.capabilities = { bounding: some, effective: some, permitted: some };
  spec.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 64, hard: 128 }];
  await using made = await harness.create(spec);
  await made.container.start();
  const args = ["sh", "-c", "grep CapPrm /proc/self/status; ulimit -n; id -u; pwd; echo $A"];
  const inherited = await made.exec({ args });
  assert.equal(inherited.stdout, "CapPrm:\t0000000000000021\n64\n0\n/\n\n");
  const own = await made.exec({
    args,
    user: { uid: 1000, gid: 1000 },
    cwd: "/tmp",
    env: ["PATH=/bin", "A=b"],
    capabilities: {},
    rlimits: [{ type: "RLIMIT_NOFILE", soft: 32, hard: 32 }],
  });
  assert.equal(own.stdout, "CapPrm:\t0000000000000000\n32\n1000\n/tmp\nb\n");
});

Deno.test("exec does not make a working folder", async () => {
  await using harness = new Harness();
  await using made = await harness.create(specOf(harness.rootfs, ["sleep", "30"]));
  await made.container.start();
  await assert.rejects(made.exec({ args: ["true"], cwd: "/missing" }), {
    message: "open cwd /missing: ENOENT",
  });
});

Deno.test("a program that is not there is an error of create and of exec, in the words of other runtimes", async () => {
  await using harness = new Harness();
  const { rootfs } = harness;
  Deno.writeTextFileSync(`${rootfs}/bin/plain`, "");
  Deno.mkdirSync(`${rootfs}/bin/folder`);
  Deno.symlinkSync("/proc/self/exe", `${rootfs}/bin/agent`);
  const cases: [string, string, string][] = [
    ["foo", "ENOENT", `exec: "foo": executable file not found in $PATH`],
    ["/bin/foo", "ENOENT", `exec: "/bin/foo": no such file or directory`],
    ["/bin/sh/foo", "ENOENT", `exec: "/bin/sh/foo": no such file or directory`],
    ["plain", "EACCES", `exec: "plain": permission denied`],
    ["/bin/plain", "EACCES", `exec: "/bin/plain": permission denied`],
    ["folder", "EACCES", `exec: "folder": permission denied`],
    ["agent", "EACCES", `exec: "agent": permission denied`],
    ["", "ENOENT", `exec: "": executable file not found in $PATH`],
  ];
  await using running = await harness.create(specOf(rootfs, ["sleep", "30"]));
  await running.container.start();
  for (const [program, code, message] of cases) {
    const expected = { name: "ExecutableError", code, message };
    await assert.rejects(harness.run(specOf(rootfs, [program])), expected);
    await assert.rejects(running.exec({ args: [program] }), expected);
  }
});

Deno.test("a program that the kernel refuses is an error of start", async () => {
  await using harness = new Harness();
  const { rootfs } = harness;
  Deno.writeTextFileSync(`${rootfs}/bin/text`, "no program", { mode: 0o755 });
  Deno.writeTextFileSync(`${rootfs}/bin/script`, "#!/bin/nothing\n", { mode: 0o755 });
  const cases = [["text", "ENOEXEC", "exec format error"], ["script", "ENOENT", "no such file or directory"]];
  for (const [program = "", code, reason] of cases) {
    await using made = await harness.create(specOf(rootfs, [program]));
    await assert.rejects(made.container.start(), { code, message: `exec: "${program}": ${reason}` });
    await made.container.init.exit;
    assert.equal(made.container.state, "stopped");
  }
});

Deno.test("a script runs by its interpreter", async () => {
  await using harness = new Harness();
  Deno.writeTextFileSync(`${harness.rootfs}/bin/script`, "#!/bin/sh\necho script $0 $1\n", { mode: 0o755 });
  assert.equal((await harness.run(specOf(harness.rootfs, ["script", "x"]))).stdout, "script /bin/script x\n");
});

Deno.test("destroy ends a process that is just being executed, and lets no more in", async () => {
  await using harness = new Harness();
  await using made = await harness.create(specOf(harness.rootfs, ["sleep", "30"]));
  await made.container.start();
  const executed = made.exec({ args: ["sleep", "30"] }).then(
    ({ status }) => status.signal,
    () => SIGNALS.SIGKILL,
  );
  const destroyed = made.container.destroy();
  await assert.rejects(made.exec({ args: ["true"] }), /it is being destroyed$/);
  await destroyed;
  assert.equal(await executed, SIGNALS.SIGKILL);
});

Deno.test("a container whose first process has just ended is not executed in", async () => {
  await using harness = new Harness();
  await using made = await harness.create(specOf(harness.rootfs, ["sleep", "1000"]));
  await made.container.start();
  const { pid } = made.container.init;
  Deno.kill(pid, "SIGKILL");
  // Nothing here has been told yet: it is the kernel that says so.
  while (!/^State:\tZ/m.test(Deno.readTextFileSync(`/proc/${pid}/status`)));
  await assert.rejects(made.exec({ args: ["true"] }), {
    message: 'cannot execute a process in container "test-1": its first process has ended',
  });
});

import assert from "node:assert/strict";
import { O, openFd, OwnedFd } from "../../sys/fd.ts";
import { StepError } from "../../sys/program.ts";
import { SIGNALS } from "../../sys/signals.ts";
import { fileAppears, Harness, specOf, until } from "./testing/harness.ts";

const OK = { code: 0, signal: 0 };

Deno.test("a container is created, started, and ends with its program's exit code", async () => {
  await using harness = new Harness();
  await using made = await harness.create(
    specOf(harness.rootfs, ["sh", "-c", "echo out; echo err >&2; exit 7"]),
  );
  const { container } = made;
  assert.equal(container.state, "created");
  assert.deepEqual(container.pids(), [container.init.pid]);
  await container.start();
  assert.deepEqual(await made.outcome(), {
    status: { code: 7, signal: 0 },
    stdout: "out\n",
    stderr: "err\n",
  });
  assert.equal(container.state, "stopped");
  assert.deepEqual(container.pids(), []);
});

Deno.test("a created container has run nothing of its program", async () => {
  await using harness = new Harness();
  await using made = await harness.create(specOf(harness.rootfs, ["sh", "-c", "echo ran > /tmp/ran"]));
  await made.container.destroy();
  assert.throws(() => Deno.statSync(`${harness.rootfs}/tmp/ran`), Deno.errors.NotFound);
  assert.deepEqual(await made.container.init.exit, { code: 0, signal: SIGNALS.SIGKILL });
});

Deno.test("the first process is 1 in its pid namespace and sees no other", async () => {
  await using harness = new Harness();
  assert.equal(await harness.output("echo $$; echo /proc/[0-9]*"), "1\n/proc/1");
});

Deno.test("a container has namespaces of its own", async () => {
  await using harness = new Harness();
  const kinds = ["pid", "mnt", "ipc", "uts", "net", "cgroup"];
  const inside = await harness.output(`for ns in ${kinds.join(" ")}; do readlink /proc/self/ns/$ns; done`);
  const outside = kinds.map((kind) => Deno.readLinkSync(`/proc/self/ns/${kind}`));
  assert.equal(new Set([...inside.split("\n"), ...outside]).size, kinds.length * 2);
});

Deno.test("a container without a network namespace in its specification has the agent's", async () => {
  await using harness = new Harness();
  const inside = await harness.output("readlink /proc/self/ns/net; readlink /proc/self/ns/ipc", (spec) => {
    spec.linux = { namespaces: [{ type: "mount" }] };
  });
  assert.equal(
    inside,
    `${Deno.readLinkSync("/proc/self/ns/net")}\n${Deno.readLinkSync("/proc/self/ns/ipc")}`,
  );
});

Deno.test("a new network namespace has its loopback up", async () => {
  await using harness = new Harness();
  assert.equal(
    await harness.output("cat /sys/class/net/lo/carrier", (spec) => {
      spec.mounts?.push({ destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"] });
    }),
    "1",
  );
});

Deno.test("containers join namespaces that are given by descriptor or by path", async () => {
  await using harness = new Harness();
  const script = "for ns in pid ipc uts net; do readlink /proc/self/ns/$ns; done; sleep 30";
  const spec = specOf(harness.rootfs, ["sh", "-c", script]);
  spec.hostname = "shared";
  await using first = await harness.create(spec);
  const { pid } = first.container.init;
  using ipc = new OwnedFd(openFd(`/proc/${pid}/ns/ipc`, O.RDONLY));
  using uts = new OwnedFd(openFd(`/proc/${pid}/ns/uts`, O.RDONLY));
  using own = new OwnedFd(openFd(`/proc/${pid}/ns/pid`, O.RDONLY));

  const second = specOf(harness.rootfs, [
    "sh",
    "-c",
    `hostname; ${script.replace("; sleep 30", "")}; echo $$`,
  ]);
  second.linux = { namespaces: [{ type: "mount" }, { type: "network", path: `/proc/${pid}/ns/net` }] };
  const { stdout, status } = await harness.run(second, { ipc: ipc.fd, uts: uts.fd, pid: own.fd });
  const expected = ["pid", "ipc", "uts", "net"].map((kind) => Deno.readLinkSync(`/proc/${pid}/ns/${kind}`));
  assert.deepEqual({ status, lines: stdout.trim().split("\n") }, {
    status: OK,
    lines: ["shared", ...expected, "2"],
  });
});

Deno.test("the clocks of a time namespace have their offsets, and others can join it", async () => {
  await using harness = new Harness();
  const spec = specOf(harness.rootfs, ["sh", "-c", "cut -d. -f1 /proc/uptime; sleep 30"]);
  spec.linux = {
    namespaces: [...spec.linux?.namespaces ?? [], { type: "time" }],
    timeOffsets: { boottime: { secs: 10_000_000 }, monotonic: { secs: 20_000_000, nanosecs: 5 } },
  };
  await using first = await harness.create(spec);
  await first.container.start();
  const { pid } = first.container.init;
  const script = "readlink /proc/self/ns/time; cut -d. -f1 /proc/uptime; cat /proc/self/timens_offsets";
  const joined = await harness.output(script, (second) => {
    second.linux?.namespaces?.push({ type: "time", path: `/proc/${pid}/ns/time` });
  });
  const { stdout } = await first.exec({ args: ["sh", "-c", script] });
  for (const text of [joined, stdout]) {
    const [namespace, uptime, ...offsets] = text.trim().split("\n");
    assert.equal(namespace, Deno.readLinkSync(`/proc/${pid}/ns/time`));
    assert.ok(Number(uptime) >= 10_000_000, uptime);
    assert.deepEqual(offsets.map((line) => line.split(/\s+/)), [["monotonic", "20000000", "5"], [
      "boottime",
      "10000000",
      "0",
    ]]);
  }
});

Deno.test("a namespace path that is none of its type is refused", async () => {
  await using harness = new Harness();
  const spec = specOf(harness.rootfs, ["true"]);
  spec.linux = { namespaces: [{ type: "network", path: "/proc/self/ns/uts" }] };
  await assert.rejects(harness.run(spec), {
    message: `linux.namespaces[0].path must be a namespace of type "network": it is "/proc/self/ns/uts"`,
  });
  spec.linux = { namespaces: [{ type: "network", path: "/proc/self/status" }] };
  await assert.rejects(harness.run(spec), { name: "SpecError" });
  spec.linux = { namespaces: [{ type: "network", path: "/nowhere" }] };
  await assert.rejects(harness.run(spec), {
    message: `linux.namespaces[0].path cannot be opened: "/nowhere" gives ENOENT`,
  });
});

Deno.test("a step that fails says which, and leaves nothing", async () => {
  await using harness = new Harness();
  const spec = specOf(harness.rootfs, ["true"]);
  spec.mounts?.push({ destination: "/data", type: "nosuchfs", source: "x" });
  await assert.rejects(harness.run(spec), (error: unknown) => {
    assert.ok(error instanceof StepError);
    assert.equal(error.message, "mount nosuchfs on /data: ENODEV");
    return true;
  });
  spec.mounts = [{ destination: "/etc/passwd/x", type: "tmpfs" }];
  await assert.rejects(harness.run(spec), { message: "open mount point /etc/passwd/x: ENOTDIR" });
});

Deno.test("signals reach the first process", async () => {
  await using harness = new Harness();
  const script = "trap 'echo got; exit 3' USR1; echo ready > /tmp/ready; while :; do sleep 0.05; done";
  await using made = await harness.create(specOf(harness.rootfs, ["sh", "-c", script]));
  await made.container.start();
  await fileAppears(`${harness.rootfs}/tmp/ready`);
  made.container.init.signal(SIGNALS.SIGUSR1);
  assert.deepEqual(await made.outcome(), { status: { code: 3, signal: 0 }, stdout: "got\n", stderr: "" });
  assert.throws(() => made.container.init.signal(SIGNALS.SIGUSR1), { code: "ESRCH" });
});

Deno.test("signalAll() reaches every process but the first, and SIGKILL that one, too", async () => {
  await using harness = new Harness();
  const script = "sleep 31 & sleep 32 & echo ready > /tmp/ready; wait; echo woke > /tmp/woke; sleep 33";
  await using made = await harness.create(specOf(harness.rootfs, ["sh", "-c", script]));
  await made.container.start();
  await fileAppears(`${harness.rootfs}/tmp/ready`);
  made.container.signalAll(SIGNALS.SIGTERM);
  await fileAppears(`${harness.rootfs}/tmp/woke`);
  made.container.signalAll(SIGNALS.SIGKILL);
  assert.deepEqual((await made.outcome()).status, { code: 0, signal: SIGNALS.SIGKILL });
});

Deno.test("the end of the first process ends the others", async () => {
  await using harness = new Harness();
  await using made = await harness.create(
    specOf(harness.rootfs, ["sh", "-c", "until [ -e /tmp/running ]; do sleep 0.05; done"]),
  );
  await made.container.start();
  const { status } = await made.exec({ args: ["sh", "-c", "echo > /tmp/running; exec sleep 600"] });
  assert.deepEqual(status, { code: 0, signal: SIGNALS.SIGKILL });
});

Deno.test("a paused container stands still, and refuses exec", async () => {
  await using harness = new Harness();
  const script = "i=0; while :; do i=$((i+1)); echo $i > /tmp/count; done";
  await using made = await harness.create(specOf(harness.rootfs, ["sh", "-c", script]));
  const { container } = made;
  await container.start();
  await fileAppears(`${harness.rootfs}/tmp/count`);
  await container.pause();
  assert.equal(container.state, "paused");
  const count = () => Deno.readTextFileSync(`${harness.rootfs}/tmp/count`);
  const frozenAt = count();
  await assert.rejects(container.pause(), {
    message: `cannot pause container "test-1" as it must be created or running: it is paused`,
  });
  await assert.rejects(made.exec({ args: ["true"] }), /must be created or running: it is paused/);
  assert.equal(count(), frozenAt);
  container.resume();
  assert.equal(container.state, "running");
  await until(() => count() !== frozenAt);
  assert.throws(() => container.resume(), /must be paused: it is running/);
});

Deno.test("a paused container can be destroyed", async () => {
  await using harness = new Harness();
  await using made = await harness.create(specOf(harness.rootfs, ["sleep", "30"]));
  await made.container.start();
  await made.container.pause();
  await made.container.destroy();
  assert.equal((await made.outcome()).status.signal, SIGNALS.SIGKILL);
});

Deno.test("what a container cannot do in its state is refused", async () => {
  await using harness = new Harness();
  await using made = await harness.create(specOf(harness.rootfs, ["true"]));
  const { container } = made;
  await container.start();
  await assert.rejects(
    container.start(),
    /^RpcError: cannot start container "test-1" as it must be created: it is (running|stopped)$/,
  );
  await container.init.exit;
  await assert.rejects(made.exec({ args: ["true"] }), /it is stopped/);
  await assert.rejects(container.pause(), /it is stopped/);
  await container.destroy();
  await container.destroy();
  assert.throws(() => container.update({}), /it is destroyed/);
  assert.throws(() => container.stats(), /is destroyed/);
  assert.deepEqual(container.pids(), []);
  container.signalAll(SIGNALS.SIGTERM);
});

Deno.test("destroy takes everything down, cgroups that the container made, too", async () => {
  await using harness = new Harness();
  const script = `mkdir -p /sys/fs/cgroup/a/b && echo $$ > /sys/fs/cgroup/a/b/cgroup.procs
    for i in 1 2 3 4 5; do (sleep 30 & sleep 30) & done; echo ready > /tmp/ready; sleep 30`;
  const spec = specOf(harness.rootfs, ["sh", "-c", script]);
  spec.mounts?.push({ destination: "/sys", type: "sysfs" });
  spec.mounts?.push({ destination: "/sys/fs/cgroup", type: "cgroup" });
  spec.linux = { ...spec.linux, cgroupsPath: "/some/where/deep" };
  await using made = await harness.create(spec);
  await made.container.start();
  await fileAppears(`${harness.rootfs}/tmp/ready`);
  assert.equal(made.container.cgroupPath, `${harness.cgroupRoot}/some/where/deep`);
  assert.ok(made.container.pids().length > 5);
  // The first process has moved on; further processes find their place all the same.
  assert.equal((await made.exec({ args: ["echo", "x"] })).stdout, "x\n");
  await made.container.destroy();
  assert.throws(() => Deno.statSync(`${harness.cgroupRoot}/some`), Deno.errors.NotFound);
});

Deno.test("a cgroup that is in use is not taken", async () => {
  await using harness = new Harness();
  const spec = specOf(harness.rootfs, ["sleep", "30"]);
  spec.linux = { ...spec.linux, cgroupsPath: "/same" };
  await using made = await harness.create(spec);
  await assert.rejects(harness.run(spec), {
    message: `cgroup "${harness.cgroupRoot}/same" exists and has processes`,
  });
  assert.equal(made.container.state, "created");
});

Deno.test("stats count what a container has used", async () => {
  await using harness = new Harness();
  await using made = await harness.create(
    specOf(harness.rootfs, ["sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"]),
  );
  await made.container.start();
  await made.outcome();
  const { cpuStats } = made.container.stats();
  assert.ok((cpuStats?.cpuUsage?.totalUsage ?? 0n) > 1_000_000n, "more than a millisecond");
});

Deno.test("what is not supported is refused before anything is made", async () => {
  await using harness = new Harness();
  const spec = specOf(harness.rootfs, ["true"]);
  spec.linux = { ...spec.linux, intelRdt: { closID: "x" } };
  await assert.rejects(harness.run(spec), {
    name: "SpecError",
    message: /^linux\.intelRdt is not supported.*: it is \{"closID":"x"\}$/,
  });
});

Deno.test("a rootfs that does not exist is an error that names it", async () => {
  await using harness = new Harness();
  await assert.rejects(harness.run(specOf("/nowhere/rootfs", ["true"])), {
    message: `cannot openat "/nowhere/rootfs": ENOENT`,
  });
});

Deno.test("many containers at once come and go and leave nothing", async () => {
  await using harness = new Harness();
  const fds = () => [...Deno.readDirSync("/proc/self/fd")].length;
  await harness.output("true");
  const before = fds();
  for (let round = 0; round < 3; round++) {
    const outputs = Array.from({ length: 10 }, (_, index) => harness.output(`echo ${index}; sleep 0.1`));
    assert.deepEqual(await Promise.all(outputs), Array.from({ length: 10 }, (_, index) => String(index)));
  }
  assert.equal(fds(), before);
});

Deno.test("a process has no descriptors but its streams, even if the agent has others open", async () => {
  await using harness = new Harness();
  using _file = await Deno.open("/etc/passwd");
  assert.equal(
    await harness.output("for fd in $(seq 0 100); do [ -e /proc/$$/fd/$fd ] && echo $fd; done; :"),
    "0\n1\n2",
  );
});

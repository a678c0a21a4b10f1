import assert from "node:assert/strict";
import { Code } from "../../rpc/errors.ts";
import { readMountinfo } from "../../sys/mount.ts";
import { processToWire } from "../../oci/wire.ts";
import { processOf } from "../container/testing/harness.ts";
import { rejects, TestAgent } from "../testing/harness.ts";

Deno.test("the agent says that it is there, which, and what it can do", async () => {
  await using agent = new TestAgent();
  assert.equal((await agent.health.check({})).status, 1);
  assert.equal((await agent.health.version({})).grpcVersion, "0.0.1");
  const { agentDetails, memBlockSizeBytes } = await agent.client.getGuestDetails({});
  assert.equal(agentDetails?.initDaemon, false);
  assert.deepEqual(agentDetails?.storageHandlers, [
    "9p",
    "bind",
    "blk",
    "blk-ccw",
    "ephemeral",
    "local",
    "mmioblk",
    "nvdimm",
    "overlayfs",
    "scsi",
    "virtio-fs",
    "watchable-bind",
  ]);
  assert(agentDetails?.deviceHandlers.includes("vfio-pci"));
  assert.equal(memBlockSizeBytes, 0n);
});

Deno.test("what the agent does not do is answered with the method's name", async () => {
  await using agent = new TestAgent();
  await rejects(agent.client.memAgentMemcgSet({}), Code.Unimplemented, /MemAgentMemcgSet/);
});

Deno.test("a host may have the guest look at what is left of its share, even if there is nothing", async () => {
  await using agent = new TestAgent();
  assert.deepEqual(await agent.client.removeStaleVirtiofsShareMounts({}), {});
});

Deno.test("the guest swaps to what is a disk of its own, and prepared", async () => {
  await using agent = new TestAgent();
  const { client } = agent;
  await rejects(client.addSwap({}), Code.InvalidArgument, /a PCI path must be slots/);
  await rejects(
    client.addSwap({ PCIPath: [31, 31] }),
    Code.FailedPrecondition,
    /"1f\/1f" .* has not appeared/,
  );
  await rejects(client.addSwapPath({ path: "/etc/passwd" }), Code.InvalidArgument, /below \/dev only/);
  await rejects(client.addSwapPath({ path: "/dev/null" }), Code.Internal, /swapon .*EINVAL/);
});

Deno.test("there is one sandbox, and containers need it", async () => {
  await using agent = new TestAgent();
  const first = agent.create("c1", ["true"]);
  await rejects(
    first,
    Code.FailedPrecondition,
    /cannot create container "c1" as there is no sandbox: it is absent/,
  );
  const creations = await Promise.allSettled([agent.createSandbox(), agent.createSandbox()]);
  assert.deepEqual(creations.map(({ status }) => status), ["fulfilled", "rejected"]);
  await rejects(agent.createSandbox(), Code.AlreadyExists, /the sandbox exists already/);
});

Deno.test("the pod's kernel settings are those of all its containers, and not the machine's", async () => {
  await using agent = new TestAgent();
  const setting = "/proc/sys/kernel/shmmni";
  const before = Deno.readTextFileSync(setting);
  await rejects(
    agent.client.createSandbox({ sysctls: { "kernel.panic": "1" } }),
    Code.InvalidArgument,
    /^linux.sysctl\["kernel.panic"\] is not a setting of a container's own, it would change the whole machine's$/,
  );
  await rejects(
    agent.client.createSandbox({ sysctls: { "kernel.shm_rmid_forced": "abc" } }),
    Code.InvalidArgument,
    /^cannot set sysctl "kernel.shm_rmid_forced" to "abc": EINVAL$/,
  );
  await rejects(
    agent.client.createSandbox({ sysctls: { "net.no.such": "1" } }),
    Code.InvalidArgument,
    /^cannot set sysctl "net.no.such" to "1": the guest's kernel does not have it$/,
  );
  await agent.client.createSandbox({ sysctls: { "kernel.shmmni": "1234" } });
  await agent.run("c1", ["cat", setting]);
  assert.equal(await agent.readAll("c1"), "1234\n");
  assert.equal(Deno.readTextFileSync(setting), before);
});

Deno.test("the guest's hooks run for every container, with its configuration at hand", async () => {
  await using agent = new TestAgent();
  const { folder } = agent.machine;
  const log = `${folder}/log`;
  for (const kind of ["prestart", "poststart", "poststop"]) {
    Deno.mkdirSync(`${folder}/hooks/${kind}`, { recursive: true });
    const text =
      `#!/usr/bin/busybox sh\nread -r state\necho "$1 $(/usr/bin/busybox grep -c ociVersion config.json)" ` +
      `"$state" >> ${log}\n`;
    Deno.writeTextFileSync(`${folder}/hooks/${kind}/hook`, text);
    Deno.chmodSync(`${folder}/hooks/${kind}/hook`, 0o755);
  }
  await agent.client.createSandbox({ guestHookPath: `${folder}/hooks` });
  for (const id of ["c1", "c2"]) {
    await agent.create(id, ["true"]);
    await agent.client.startContainer({ containerId: id });
    await agent.client.waitProcess({ containerId: id });
    await agent.client.removeContainer({ containerId: id });
  }
  const lines = Deno.readTextFileSync(log).trim().split("\n").map((line) => {
    const [kind, count, ...state] = line.split(" ");
    const { id, status, bundle } = JSON.parse(state.join(" "));
    return [kind, count, id, status, bundle === `${agent.base}/${id}`].join(" ");
  });
  assert.deepEqual(
    lines,
    ["c1", "c2"].flatMap((id) => [
      `prestart 1 ${id} creating true`,
      `poststart 1 ${id} running true`,
      `poststop 1 ${id} stopped true`,
    ]),
  );
});

Deno.test("a sandbox that failed leaves nothing, and can be tried again", async () => {
  await using agent = new TestAgent();
  const good = { driver: "ephemeral", fstype: "tmpfs", mountPoint: `${agent.base}/sandbox/shm` };
  const bad = { driver: "blk", source: "02/03", fstype: "ext4", mountPoint: `${agent.base}/disk` };
  await rejects(agent.client.createSandbox({ storages: [good, bad] }), Code.InvalidArgument, /needs a disk/);
  assert.deepEqual(mountsBelow(agent.base), []);
  await rejects(
    agent.client.createSandbox({ guestHookPath: "hooks" }),
    Code.InvalidArgument,
    /"guest_hook_path" must be an absolute path in the guest: it is "hooks"/,
  );
  await agent.client.createSandbox({ storages: [good] });
  assert.deepEqual(mountsBelow(agent.base), [good.mountPoint]);
  await agent.client.destroySandbox({});
  assert.deepEqual(mountsBelow(agent.base), []);
  Deno.removeSync(`${agent.base}/sandbox`);
});

Deno.test("containers of a pod share host name, IPC and, if wanted, process ids", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  const share = async (containerId: string, args: readonly string[]) => {
    await agent.client.createContainer({ containerId, sandboxPidns: true, OCI: agent.spec(args) });
    await agent.client.startContainer({ containerId });
  };
  const script = "for ns in pid ipc uts; do readlink /proc/self/ns/$ns; done; hostname";
  await share("first", ["sleep", "100"]);
  await share("second", ["sh", "-c", script]);
  const [pid, ipc, uts, host] = (await agent.readAll("second")).split("\n");
  assert.equal(host, "pod-host");
  const process = processToWire(processOf(["sh", "-c", script]));
  await agent.client.execProcess({ containerId: "first", execId: "e", process });
  assert.deepEqual((await agent.readAll("first", "stdout", "e")).split("\n").slice(0, 3), [pid, ipc, uts]);
  await agent.run("own", ["readlink", "/proc/self/ns/pid"]);
  assert.notEqual((await agent.readAll("own")).trimEnd(), pid);
});

Deno.test("a container joins the processes of another one, which it neither ends nor outlives", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  const { client } = agent;
  const join = async (containerId: string, args: readonly string[], pidContainer = "target") => {
    const OCI = agent.spec(args);
    await client.createContainer({ containerId, sandboxPidns: true, pidContainer, OCI });
    await client.startContainer({ containerId });
  };
  const names = ["sh", "-c", "for p in /proc/[0-9]*; do cat $p/comm; done"];
  await agent.run("target", ["sleep", "100"]);
  await join("first", names);
  assert.equal(await agent.readAll("first"), "sleep\nsh\n");
  await join("second", ["sleep", "50"]);
  await join("third", names);
  assert.equal(await agent.readAll("third"), "sleep\nsleep\nsh\n");
  await client.signalProcess({ containerId: "second", execId: "", signal: 9 });
  assert.equal((await client.waitProcess({ containerId: "second" })).status, 137);
  await join("fourth", ["sleep", "50"]);
  await client.signalProcess({ containerId: "target", execId: "", signal: 9 });
  assert.equal((await client.waitProcess({ containerId: "fourth" })).status, 137);
  assert.equal((await client.waitProcess({ containerId: "target" })).status, 137);
  const late = 'container "late" cannot join the processes of "target", which has ended';
  await rejects(join("late", names), Code.FailedPrecondition, new RegExp(`^${late}$`));
  await rejects(join("late", names, "none"), Code.NotFound, /container "none" does not exist/);
});

Deno.test("shared process ids outlive every container, and orphans are reaped", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  const share = async (containerId: string, args: readonly string[]) => {
    await agent.client.createContainer({ containerId, sandboxPidns: true, OCI: agent.spec(args) });
    await agent.client.startContainer({ containerId });
    return await agent.readAll(containerId);
  };
  // its second process ends as an orphan, and is killed with the container otherwise
  const list = ["sh", "-c", "for p in /proc/[0-9]*; do cat $p/comm; done; readlink /proc/self/ns/pid"];
  const first = await share("first", ["sh", "-c", "sleep 100 >/dev/null & readlink /proc/self/ns/pid"]);
  await agent.client.waitProcess({ containerId: "first" });
  await agent.client.removeContainer({ containerId: "first" });
  assert.deepEqual((await share("second", list)).split("\n"), ["pause", "sh", first.trimEnd(), ""]);
  await agent.client.destroySandbox({});
});

Deno.test("the process that shared process ids begin with has nothing of the agent's", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  // The privileges to look into others, and to become them.
  const script = `ls -A /proc/1/root/ && ls /proc/1/fd/ | wc -l; readlink /proc/1/cwd
    grep -E '^(Cap(Prm|Eff|Bnd|Amb|Inh)|NoNewPrivs|Uid):' /proc/1/status`;
  const OCI = agent.spec(["sh", "-c", script]);
  await agent.client.createContainer({ containerId: "c1", sandboxPidns: true, OCI });
  await agent.client.startContainer({ containerId: "c1" });
  const none = "0000000000000000";
  assert.deepEqual((await agent.readAll("c1")).trim().split("\n"), [
    "3",
    "/",
    "Uid:\t4294900000\t4294900000\t4294900000\t4294900000",
    ...["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map((set) => `${set}:\t${none}`),
    "NoNewPrivs:\t1",
  ]);
});

Deno.test("nothing is left of a container that could not be made", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  const storage = { driver: "ephemeral", fstype: "tmpfs", mountPoint: `${agent.base}/c1/volume` };
  const create = (change: Parameters<TestAgent["spec"]>[1], args = ["true"]) =>
    agent.client.createContainer({ containerId: "c1", storages: [storage], OCI: agent.spec(args, change) });
  await rejects(
    create(() => {}, ["no-such-program"]),
    Code.NotFound,
    /"no-such-program": executable file not found/,
  );
  await rejects(create((spec) => spec.root.path = "/nonexistent"), Code.InvalidArgument, /nonexistent/);
  await rejects(create((spec) => spec.process.cwd = "relative"), Code.InvalidArgument, /cwd/);
  await rejects(
    create((spec) => spec.mounts?.push({ destination: "/x", type: "nosuchfs", source: "none" })),
    Code.Internal,
    /ENODEV/,
  );
  assert.deepEqual([mountsBelow(agent.base), [...Deno.readDirSync(agent.base)]], [[], []]);
  await create(() => {});
  assert.deepEqual(mountsBelow(agent.base), [storage.mountPoint]);
  await rejects(create(() => {}), Code.AlreadyExists, /container "c1" exists already/);
  await agent.client.removeContainer({ containerId: "c1" });
  assert.deepEqual(mountsBelow(agent.base), []);
});

Deno.test("ids that would lead elsewhere, and requests with parts that are not done, are refused", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  const OCI = agent.spec(["true"]);
  for (
    const containerId of ["", "a", "../c1", "a/b", ".hidden", "-c", "a\0b", "x".repeat(256), "a b", "é1"]
  ) {
    await rejects(
      agent.client.createContainer({ containerId, OCI }),
      Code.InvalidArgument,
      /a container id must be/,
    );
  }
  const refused = [
    [{ containerId: "c1" }, Code.InvalidArgument, /"OCI" is missing/],
    [
      { containerId: "c1", OCI, devices: [{ containerPath: "/dev/x", type: "blk", id: "1f/1f" }] },
      Code.FailedPrecondition,
      /the disk "1f\/1f" \(blk\) has not appeared in the guest within 100 ms/,
    ],
    [{ containerId: "c1", OCI, sharedMounts: [{ name: "m" }] }, Code.Unimplemented, /shared mount "m"/],
    [{ containerId: "c1", OCI, stdoutPort: 7 }, Code.Unimplemented, /"stdout_port" is 7/],
    [{ containerId: "c1", OCI: {} }, Code.InvalidArgument, /process|root/],
  ] as const;
  for (const [request, code, message] of refused) {
    await rejects(agent.client.createContainer(request), code, message);
  }
  // The agent's own folders are no bundles.
  Deno.mkdirSync(`${agent.base}/shared`);
  await rejects(agent.create("shared", ["true"]), Code.InvalidArgument, /cannot be used as .* exists/);
  assert.ok(Deno.statSync(`${agent.base}/shared`).isDirectory);
  Deno.removeSync(`${agent.base}/shared`);
});

Deno.test("calls about what is not there say so", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  const containerId = "none";
  const { client } = agent;
  const calls = [
    client.startContainer({ containerId }),
    client.removeContainer({ containerId }),
    client.execProcess({ containerId, execId: "e", process: {} }),
    client.signalProcess({ containerId, signal: 9 }),
    client.waitProcess({ containerId }),
    client.updateContainer({ containerId }),
    client.statsContainer({ containerId }),
    client.pauseContainer({ containerId }),
    client.resumeContainer({ containerId }),
    client.writeStdin({ containerId, data: new Uint8Array(1) }),
    client.readStdout({ containerId, len: 1 }),
    client.readStderr({ containerId, len: 1 }),
    client.closeStdin({ containerId }),
    client.ttyWinResize({ containerId, row: 1, column: 1 }),
  ];
  for (const call of calls) await rejects(call, Code.NotFound, /container "none" does not exist/);
});

Deno.test("destroying the sandbox ends everything that runs or waits", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  await agent.run("c1", ["sleep", "100"]);
  await agent.create("c2", ["sleep", "100"]);
  const waits = ["c1", "c2"].map((containerId) => agent.client.waitProcess({ containerId }));
  const read = rejects(agent.client.readStdout({ containerId: "c1", len: 1 }), Code.OutOfRange, /eof/);
  const oom = rejects(agent.client.getOOMEvent({}), Code.FailedPrecondition, /being destroyed/);
  // Whether it is in time or too late, nothing is left of it.
  const making = Promise.allSettled([agent.create("c3", ["sleep", "100"])]);
  await agent.client.destroySandbox({});
  await making;
  assert.deepEqual((await Promise.all(waits)).map(({ status }) => status), [137, 137]);
  await Promise.all([read, oom]);
  await rejects(agent.client.destroySandbox({}), Code.FailedPrecondition, /destroyed already/);
  await rejects(agent.create("c4", ["true"]), Code.FailedPrecondition, /it is destroyed/);
});

Deno.test("of ten containers that write at once none waits for another", async () => {
  await using agent = new TestAgent();
  await agent.createSandbox();
  const ids = Array.from({ length: 10 }, (_, i) => `c${i}`.padEnd(2, "x"));
  await Promise.all(ids.map((id) => agent.run(id, ["sh", "-c", "seq 1 20000"])));
  const outputs = await Promise.all(ids.map((id) => agent.readAll(id)));
  assert.ok(outputs.every((text) => text.endsWith("\n20000\n") && text.length === outputs[0]?.length));
});

function mountsBelow(folder: string): string[] {
  return readMountinfo().map((mount) => mount.mountPoint).filter((path) => path.startsWith(`${folder}/`));
}

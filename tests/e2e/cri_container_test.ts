/**
 * What a pod's specification can ask of its containers, as a node agent asks for it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { ContainerState } from "../../rpc/gen/cri_pb.ts";
import { type ContainerChange, type CriNode, type Pod, startNode } from "./cri/node.ts";
import { checkPodStats } from "./cri/pod_stats.ts";
import { until } from "./containerd.ts";
import { podCgroup } from "./host_cgroups.ts";
import { leaksSince, ownId, traces } from "./leaks.ts";

const MIB = 1_048_576n;

Deno.test("the containers of a pod", async (t) => {
  const before = await traces();
  {
    const cgroup = ownId("containers");
    using _own = podCgroup(cgroup);
    await using node = await startNode();
    const pod = await node.runPod({
      hostname: "web-0",
      dnsConfig: { servers: ["192.0.2.53"], searches: ["pods.example"], options: ["ndots:5"] },
      linux: {
        cgroupParent: `/${cgroup}`,
        securityContext: { privileged: true },
        sysctls: { "kernel.shm_rmid_forced": "1", "net.ipv4.ip_local_port_range": "1024 2048" },
      },
    });

    await t.step("host name, name servers and kernel settings are the pod's", async () => {
      const script = "hostname; cat /etc/resolv.conf /etc/hostname; cd /proc/sys; " +
        "cat kernel/shm_rmid_forced net/ipv4/ip_local_port_range";
      const { output } = await pod.runToEnd("names", script);
      assert.equal(
        output,
        "web-0\nsearch pods.example\nnameserver 192.0.2.53\noptions ndots:5\nweb-0\n1\n1024\t2048\n",
      );
    });

    await t.step("user, groups, capabilities, a root that is read-only", async () => {
      const { output } = await pod.runToEnd(
        "user",
        "id -u; id -g; id -G; grep CapEff /proc/self/status; touch /x",
        {
          linux: {
            securityContext: {
              runAsUser: { value: 1000n },
              runAsGroup: { value: 2000n },
              supplementalGroups: [3000n, 4000n],
              readonlyRootfs: true,
              noNewPrivs: true,
            },
          },
        },
      );
      assert.match(output, /^1000\n2000\n2000 3000 4000\nCapEff:\t0{16}\n.*Read-only file system\n$/);
      const capabilities = { addCapabilities: ["SYS_TIME"], dropCapabilities: ["ALL"] };
      const some = await pod.runToEnd("capabilities", "grep CapEff /proc/self/status", {
        linux: { securityContext: { capabilities } },
      });
      assert.equal(some.output, `CapEff:\t${(1 << 25).toString(16).padStart(16, "0")}\n`);
    });

    await t.step(
      "output is logged line by line, errors beside it, long and unfinished lines whole",
      async () => {
        const id = await pod.run(
          "logs",
          "echo out; echo err >&2; head -c 20000 /dev/zero | tr '\\0' x; printf end",
        );
        await pod.exited(id);
        const { logPath } = await pod.status(id);
        const lines = (await Deno.readTextFile(logPath)).trimEnd().split("\n").map((line) => line.split(" "));
        for (const [time = ""] of lines) assert(!Number.isNaN(Date.parse(time)), time);
        const streams = new Set(lines.map(([, stream]) => stream));
        assert.deepEqual([...streams].sort(), ["stderr", "stdout"]);
        const stdout = lines.filter(([, stream]) => stream === "stdout").map((
          [, , tag, text],
        ) => [tag, text]);
        assert.deepEqual(stdout.map(([tag]) => tag), ["F", "P", "P"]);
        assert.equal(stdout.map(([, text]) => text).join(""), `out${"x".repeat(20_000)}end`);
        await node.runtime.removeContainer({ containerId: id });
      },
    );

    await t.step("what cannot be started says why, as engines tell it to users", () => failures(node, pod));
    await t.step("a container ends and is started again while its neighbours run", () => restart(node, pod));
    await t.step("probes: exit codes, and one that takes too long", () => probes(node, pod));
    await t.step("volumes", () => volumes(node, pod));
    await t.step("limits, their change, what is used, and too much of it", () => limits(node, pod));
    await t.step("a privileged container has all capabilities and the guest's kernel settings", async () => {
      const script = "grep CapBnd /proc/self/status; mount -t tmpfs none /mnt && echo mounted; " +
        "echo 1 > /proc/sys/vm/overcommit_memory && echo written; ls /dev | grep -c 'vd\\|sd'";
      const { output } = await pod.runToEnd("privileged", `mkdir /mnt; ${script}`, {
        linux: { securityContext: { privileged: true } },
      });
      // the engine gives what it has itself
      const [, all] =
        /^CapEff:\t(.*)$/m.exec(await Deno.readTextFile(`/proc/${node.containerd.pid}/status`)) ?? [];
      assert.equal(output, `CapBnd:\t${all}\nmounted\nwritten\n0\n`);
    });

    await pod.stop();
    await pod.remove();
  }
  assert.deepEqual(await leaksSince(before), []);
});

async function failures(node: CriNode, pod: Pod): Promise<void> {
  await Deno.writeTextFile(`${node.folder}/a-file`, "a file\n");
  const limit = { linux: { resources: { memoryLimitInBytes: 4096n } } };
  const kinds: readonly (readonly [ContainerChange, RegExp])[] = [
    [{ command: ["nosuch"] }, /exec: "nosuch": executable file not found in \$PATH/],
    [{ command: ["/no/such"] }, /exec: "\/no\/such": no such file or directory/],
    [{ command: ["/bin"] }, /exec: "\/bin": permission denied/],
    [{ args: ["x".repeat(140_000)] }, /exec: "sh": argument list too long/],
    [{ workingDir: "/bin/busybox" }, /open cwd \/bin\/busybox: ENOTDIR/],
    [
      { mounts: [{ containerPath: "/bin", hostPath: `${node.folder}/a-file` }] },
      /cannot mount ".*\/a-file" on "\/bin": EINVAL \(is one a folder, and the other a file\?\)/,
    ],
    [limit, /killed for want of memory before its program began: the container's memory limit is too low/],
  ];
  for (const [index, [change, message]] of kinds.entries()) {
    const id = await pod.create(`failure${index}`, "true", change);
    await assert.rejects(pod.start(id), message);
    const status = await pod.status(id);
    assert.deepEqual([status.exitCode, status.reason], [128, "StartError"]);
    assert.match(status.message, message);
    await node.runtime.removeContainer({ containerId: id });
  }
  const id = await pod.run("executed", "sleep 1000");
  const exec = async (...cmd: string[]) =>
    await node.runtime.execSync({ containerId: id, cmd, timeout: 60n });
  await assert.rejects(exec("nosuch"), /exec: "nosuch": executable file not found in \$PATH/);
  await assert.rejects(exec("/bin"), /exec: "\/bin": permission denied/);
  assert.equal((await exec("sh", "-c", "kill -9 $$")).exitCode, 137);
  await node.runtime.removeContainer({ containerId: id });
}

async function probes(node: CriNode, pod: Pod): Promise<void> {
  const id = await pod.run("probed", "sleep 1000");
  for (const code of [0, 1, 126]) assert.equal((await pod.exec(id, `exit ${code}`)).code, code);
  await assert.rejects(pod.exec(id, "exec sleep 1000", 1), /timeout|deadline/i);
  // what took too long is gone
  await until("it is gone", async () => (await pod.exec(id, "ps | grep -c '[s]leep 1000'")).stdout === "1\n");
  await node.runtime.removeContainer({ containerId: id });
}

async function restart(node: CriNode, pod: Pod): Promise<void> {
  const neighbour = await pod.run("neighbour", "sleep 1000");
  const first = await pod.run("app", "trap 'exit 4' TERM; echo first; while :; do sleep 0.1; done");
  await until("the trap is set", async () => await pod.output(first) === "first\n");
  await node.runtime.stopContainer({ containerId: first, timeout: 30n });
  assert.equal((await pod.status(first)).exitCode, 4);
  const second = await pod.run("app", "echo second; exec sleep 1000");
  await until("it has written", async () => await pod.output(second) === "second\n");
  // the first is there to be looked at until it is removed
  await node.runtime.removeContainer({ containerId: first });
  // as a node agent does that has not heard the answer
  await node.runtime.removeContainer({ containerId: first });
  await node.runtime.stopContainer({ containerId: second });
  await node.runtime.stopContainer({ containerId: second });
  assert.equal((await pod.status(second)).exitCode, 137);
  assert.equal((await pod.exec(neighbour, "exit 9")).code, 9);
  assert.equal((await pod.status(neighbour)).state, ContainerState.CONTAINER_RUNNING);
  await node.runtime.removeContainer({ containerId: second });
  await node.runtime.removeContainer({ containerId: neighbour });
}

async function volumes(node: CriNode, pod: Pod): Promise<void> {
  const folder = `${node.folder}/volumes`;
  const write = async (version: string) => {
    // as a node agent publishes: a folder of its own for each version, and a link that is replaced at once
    await Deno.mkdir(`${folder}/config/..${version}`, { recursive: true });
    await Deno.writeTextFile(`${folder}/config/..${version}/key`, version);
    await Deno.symlink(`..${version}`, `${folder}/config/..data_tmp`);
    await Deno.rename(`${folder}/config/..data_tmp`, `${folder}/config/..data`);
  };
  await write("one");
  await Deno.symlink("..data/key", `${folder}/config/key`);
  await Deno.mkdir(`${folder}/empty/sub`, { recursive: true });
  await Deno.writeTextFile(`${folder}/empty/sub/file`, "part\n");
  const mounts = [
    { containerPath: "/config", hostPath: `${folder}/config`, readonly: true },
    { containerPath: "/empty", hostPath: `${folder}/empty` },
    { containerPath: "/sub", hostPath: `${folder}/empty/sub` },
    { containerPath: "/file", hostPath: `${folder}/empty/sub/file`, readonly: true },
  ];
  const reader = await pod.run("reader", "sleep 1000", { mounts });
  const writer = await pod.run("writer", "sleep 1000", { mounts });
  assert.equal((await pod.exec(reader, "cat /config/key /file")).stdout, "onepart\n");
  await write("two");
  await until(
    "the new version is seen",
    async () => (await pod.exec(reader, "cat /config/key")).stdout === "two",
  );
  for (const path of ["/config/x", "/file"]) {
    assert.match((await pod.exec(writer, `echo x > ${path}`)).stderr, /Read-only file system/);
  }
  await pod.exec(writer, "echo shared > /empty/new; echo x > /sub/other; echo big > /dev/shm/seen");
  assert.equal(
    (await pod.exec(reader, "cat /empty/new /empty/sub/other /dev/shm/seen")).stdout,
    "shared\nx\nbig\n",
  );
  assert.equal(await Deno.readTextFile(`${folder}/empty/new`), "shared\n");
  for (const id of [reader, writer]) await node.runtime.removeContainer({ containerId: id });
}

async function limits(node: CriNode, pod: Pod): Promise<void> {
  const linux = { resources: { memoryLimitInBytes: 32n * MIB, cpuPeriod: 100_000n, cpuQuota: 50_000n } };
  const id = await pod.run("limited", "sleep 1000", { linux });
  const seen = async () => (await pod.exec(id, "cd /sys/fs/cgroup; cat memory.max cpu.max")).stdout;
  assert.equal(await seen(), `${32n * MIB}\n50000 100000\n`);
  await node.runtime.updateContainerResources({
    containerId: id,
    linux: { memoryLimitInBytes: 48n * MIB, cpuPeriod: 100_000n, cpuQuota: 75_000n },
  });
  assert.equal(await seen(), `${48n * MIB}\n75000 100000\n`);
  const { stats } = await node.runtime.containerStats({ containerId: id });
  assert.equal(stats?.attributes?.metadata?.name, "limited");
  assert((stats?.cpu?.usageCoreNanoSeconds?.value ?? 0n) > 0n);
  const used = stats?.memory?.workingSetBytes?.value ?? 0n;
  assert(used > 0n && used < 48n * MIB, String(used));
  const all = (await node.runtime.listContainerStats({})).stats.map(({ attributes }) => attributes?.id);
  assert.deepEqual(all, [id]);
  await checkPodStats(pod, [id]);
  await node.runtime.removeContainer({ containerId: id });
  const killed = await pod.runToEnd("greedy", "exec tail -c 100000000 /dev/zero", {
    linux: { resources: { memoryLimitInBytes: 16n * MIB } },
  });
  assert.deepEqual(killed, { output: "", code: 137, reason: "OOMKilled" });
}

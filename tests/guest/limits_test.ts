/** What a container may use, in a real guest: limits, devices, system calls; seen from inside by trying. */

import assert from "node:assert/strict";
import { buildProbe, call } from "../../agent/container/testing/probe.ts";
import { CONTAINERD, DOCKER } from "../../agent/container/seccomp/testing/profiles.ts";
import { Harness, processOf } from "../../agent/container/testing/harness.ts";
import type { DeviceRule, Resources, Seccomp, Spec } from "../../oci/spec.ts";
import { processToWire, resourcesToWire } from "../../oci/wire.ts";
import { arch, NR } from "../../sys/syscall.ts";
import { Guest } from "./harness.ts";

const SERIAL = "agent.server_addr=virtio-serial://agent.channel.0";
const MIB = 1 << 20;
const CGROUP = {
  destination: "/sys/fs/cgroup",
  type: "cgroup",
  source: "cgroup",
  options: ["ro", "nosuid", "noexec", "nodev"],
};

/** Files of the container's cgroup, as one line each. */
function show(...files: readonly string[]): string[] {
  return ["sh", "-c", `cd /sys/fs/cgroup; for f in ${files.join(" ")}; do echo $f $(cat $f); done`];
}

/** Runs processes in the guest and tells what they print. */
class Runner {
  #count = 0;

  constructor(readonly guest: Guest) {}

  /** What a container of its own prints. */
  async run(args: readonly string[], change: (spec: Spec) => void = () => {}): Promise<string[]> {
    const id = `run-${++this.#count}`;
    await this.guest.run(id, args, change);
    const text = await this.guest.readAll(id);
    await this.guest.agent.removeContainer({ containerId: id });
    return text.trimEnd().split("\n");
  }

  /** What a process in a container prints. */
  async exec(containerId: string, args: readonly string[]): Promise<string[]> {
    const execId = `exec-${++this.#count}`;
    const { agent } = this.guest;
    await agent.execProcess({ containerId, execId, process: processToWire(processOf(args)) });
    let text = "";
    for (;;) {
      const answer = await agent.readStdout({ containerId, execId, len: 65536 }).catch(() => undefined);
      if (!answer) break;
      text += new TextDecoder().decode(answer.data);
    }
    await agent.waitProcess({ containerId, execId });
    return text.trimEnd().split("\n");
  }
}

function withResources(resources: Resources): (spec: Spec) => void {
  return (spec) => {
    spec.mounts?.push(CGROUP);
    spec.linux = { ...spec.linux, resources };
  };
}

Deno.test("limits, devices and system calls are filtered in a guest as the specification says", async (t) => {
  await using machine = new Harness();
  await buildProbe(`${machine.rootfs}/bin/probe`);
  await using guest = await Guest.boot({ share: machine.folder, agentParams: [SERIAL] });
  await guest.createSandbox();
  const runner = new Runner(guest);
  const { agent } = guest;
  const update = (resources: Resources) =>
    agent.updateContainer({ containerId: "main", resources: resourcesToWire(resources) });

  await t.step("limits stand in the container's cgroup, and can be changed while it runs", async () => {
    await guest.run(
      "main",
      ["sleep", "100000"],
      withResources({
        cpu: { shares: 512, quota: 50_000, period: 100_000, burst: 10_000, cpus: "0", mems: "0" },
        memory: { limit: 64 * MIB, swap: 96 * MIB, reservation: 32 * MIB },
        pids: { limit: 30 },
        blockIO: { weight: 500 },
        hugepageLimits: [{ pageSize: "2MB", limit: 4 * MIB }],
        unified: { "memory.high": String(60 * MIB) },
      }),
    );
    const files = show(
      "cpu.weight",
      "cpu.max",
      "cpu.max.burst",
      "cpu.idle",
      "cpuset.cpus",
      "cpuset.mems",
      "memory.max",
      "memory.swap.max",
      "memory.low",
      "memory.high",
      "pids.max",
      "io.weight",
      "hugetlb.2MB.max",
      "hugetlb.2MB.rsvd.max",
    );
    assert.deepEqual(await runner.exec("main", files), [
      "cpu.weight 59",
      "cpu.max 50000 100000",
      "cpu.max.burst 10000",
      "cpu.idle 0",
      "cpuset.cpus 0",
      "cpuset.mems 0",
      `memory.max ${64 * MIB}`,
      `memory.swap.max ${32 * MIB}`,
      `memory.low ${32 * MIB}`,
      `memory.high ${60 * MIB}`,
      "pids.max 30",
      "io.weight default 4950",
      `hugetlb.2MB.max ${4 * MIB}`,
      `hugetlb.2MB.rsvd.max ${4 * MIB}`,
    ]);
    await update({ cpu: { quota: 5_000, burst: 4_000 }, memory: { limit: 128 * MIB, swap: -1 } });
    await update({ cpu: { quota: -1, burst: 0, shares: 1024 }, pids: { limit: -1 } });
    const changed = show(
      "cpu.weight",
      "cpu.max",
      "cpu.max.burst",
      "memory.max",
      "memory.swap.max",
      "pids.max",
    );
    assert.deepEqual(await runner.exec("main", changed), [
      "cpu.weight 100",
      "cpu.max max 100000",
      "cpu.max.burst 0",
      `memory.max ${128 * MIB}`,
      "memory.swap.max max",
      "pids.max max",
    ]);
    const idle = await runner.run(show("cpu.idle"), withResources({ cpu: { idle: 1, shares: 2048 } }));
    assert.deepEqual(idle, ["cpu.idle 1"]);
  });

  await t.step("what is counted is told", async () => {
    const { cgroupStats } = await agent.statsContainer({ containerId: "main" });
    assert.ok((cgroupStats?.cpuStats?.cpuUsage?.totalUsage ?? 0n) > 0n);
    assert.equal(cgroupStats?.memoryStats?.usage?.limit, BigInt(128 * MIB));
    assert.ok((cgroupStats?.memoryStats?.usage?.usage ?? 0n) > 0n);
    assert.ok((cgroupStats?.memoryStats?.stats["anon"] ?? 0n) > 0n);
    assert.deepEqual(cgroupStats?.pidsStats?.current, 1n);
    assert.ok(cgroupStats?.hugetlbStats["2MB"]);
  });

  await t.step("a limit below what is in use is refused when that is to be checked", async () => {
    const memory = { limit: 4096, checkBeforeUpdate: true };
    await assert.rejects(
      update({ memory }),
      /resources\.memory\.limit is below what is in use, \d+: it is 4096/,
    );
  });

  await t.step("under emulation time runs at the rate that the guest was told", async () => {
    if (guest.vm.accelerator !== "tcg" || arch !== "x86_64") return;
    const look = ["sh", "-c", "grep -m 1 MHz /proc/cpuinfo; cat /proc/cmdline"];
    const [rate = "", parameters = ""] = await runner.run(look);
    const told = Number(/ tsc_early_khz=(\d+) /.exec(parameters)?.[1]);
    const found = 1000 * Number(/[\d.]+$/.exec(rate)?.[0]);
    // what the kernel measures by itself it drops when it differs by a tenth
    assert.ok(Math.abs(found - told) < told / 8, `${rate}, ${parameters}`);
  });

  await t.step("a limit of processes is one", async () => {
    const script = "echo begun; for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; echo all";
    const printed = await runner.run(["sh", "-c", script], withResources({ pids: { limit: 5 } }));
    assert.deepEqual(printed, ["begun"]);
  });

  await t.step("what version 2 of cgroups does not have is refused by name", async () => {
    for (
      const [resources, message] of [
        [{ memory: { swappiness: 5 } }, /resources\.memory\.swappiness is not supported/],
        [{ cpu: { realtimeRuntime: 5 } }, /resources\.cpu\.realtimeRuntime is not supported/],
        [{ unified: { "nothing.max": "1" } }, /resources\.unified\["nothing\.max"\] is not supported/],
        [{ hugepageLimits: [{ pageSize: "3MB", limit: 1 }] }, /no file "hugetlb\.3MB\.max"/],
      ] as const
    ) {
      await assert.rejects(runner.run(["true"], withResources(resources as Resources)), message);
      await assert.rejects(update(resources as Resources), message);
    }
  });

  await t.step("the place of a cgroup may be written as for systemd", async () => {
    const mount = { destination: "/guest", type: "bind", source: "/sys/fs/cgroup", options: ["rbind", "ro"] };
    const script = "wc -l < /guest/pods.slice/kata/name/cgroup.procs; cat /proc/self/cgroup";
    const printed = await runner.run(["sh", "-c", script], (spec) => {
      spec.linux = { ...spec.linux, cgroupsPath: "pods.slice:kata:name" };
      spec.mounts?.push(mount);
    });
    assert.deepEqual(printed, ["2", "0::/"]);
  });

  await t.step(
    "root that may make nodes does not reach the guest's devices, unless it is privileged",
    async () => {
      // Memory, the kernel's log, the agent's port to the host.
      const port = (await runner.run(
        ["sh", "-c", "cat /sys/class/virtio-ports/*/dev 2>&1"],
        (spec) => spec.mounts?.push({ destination: "/sys", type: "sysfs", source: "sysfs" }),
      ))[0] ?? "";
      assert.match(port, /^[0-9]+:[0-9]+$/);
      const tries = ["1:11", "1:1", port, "5:1"].map((device) =>
        `mknod /dev/node c ${device.replace(":", " ")} && ` +
        `(: < /dev/node) 2>\&1 | grep -q 'not permitted' && echo denied || echo open; ` +
        "rm /dev/node"
      ).join("; ");
      const printed = (devices?: DeviceRule[]) =>
        runner.run(["sh", "-c", tries], withResources(devices ? { devices } : {}));
      const denied = ["denied", "denied", "denied", "denied"];
      assert.deepEqual(await printed(), denied);
      assert.deepEqual(await printed([{ allow: false, access: "rwm" }]), denied);
      const some = [{ allow: false }, { allow: true, type: "c", major: 1, minor: 11, access: "rw" }];
      assert.deepEqual(await printed(some), ["open", "denied", "denied", "denied"]);
      const privileged = await printed([{ allow: true, access: "rwm" }]);
      assert.deepEqual([privileged[0], privileged[1], privileged[3]], ["open", "open", "open"]);
      await update({ devices: [{ allow: true, type: "c", major: 1, minor: 1, access: "rwm" }] });
      assert.deepEqual(await runner.exec("main", ["sh", "-c", tries]), [
        "denied",
        "open",
        "denied",
        "denied",
      ]);
    },
  );

  await t.step("the default profiles of engines load and hold", async () => {
    const filtered = (seccomp: Seccomp, ...calls: string[]) =>
      runner.run(["probe", ...calls], (spec) => spec.linux = { ...spec.linux, seccomp });
    const CLONE_NEWUSER = 0x1000_0000, SIGCHLD = 17, AF_VSOCK = 40;
    const calls = [
      call(NR.getpid),
      call(NR.unshare, CLONE_NEWUSER),
      call(NR.clone, CLONE_NEWUSER | SIGCHLD),
      call(NR.clone3, 0, 0),
      call(NR.bpf, 0, 0, 0),
      call(NR.mount, "none", "/tmp", "tmpfs", 0, 0),
      "i386:20",
      "i386:21",
    ];
    const answers = ["1", "-1", "-1", "-38", "-1", "-1", "1", "-1"];
    assert.deepEqual(await filtered(CONTAINERD, ...calls), answers);
    assert.deepEqual(await filtered(DOCKER, ...calls, call(NR.socket, AF_VSOCK, 1, 0)), [...answers, "-1"]);
    const kill = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["getppid"], action: "SCMP_ACT_KILL" }],
    };
    assert.deepEqual(await filtered(kill, call(NR.getpid), call(NR.getppid), call(NR.getpid)), ["1"]);
  });
});

/** In a real guest: namespaces of all kinds, and what containers with a user namespace of their own can do. One guest. */

import assert from "node:assert/strict";
import { Harness, processOf } from "../../agent/container/testing/harness.ts";
import type { Process, Spec } from "../../oci/spec.ts";
import { processToWire, specToWire } from "../../oci/wire.ts";
import { Guest, SHARE_POINT } from "./harness.ts";

const SERIAL = "agent.server_addr=virtio-serial://agent.channel.0";
const MAPS = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
const KINDS = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];
const SHOW_NAMESPACES = `for n in ${KINDS.join(" ")}; do readlink /proc/self/ns/$n; done`;

/** Gives a specification a user namespace, whose root the files in `/mapped` belong to. */
function mapped(spec: Spec): void {
  spec.root.path = `${SHARE_POINT}/mapped`;
  spec.linux = {
    ...spec.linux,
    namespaces: [...spec.linux?.namespaces ?? [], { type: "user" }],
    uidMappings: MAPS,
    gidMappings: MAPS,
  };
}

/** A second root file system, of another owner. */
async function addMappedRoot(machine: Harness): Promise<void> {
  const { success } = await new Deno.Command("cp", {
    args: ["-a", machine.rootfs, `${machine.folder}/mapped`],
  }).output();
  assert.ok(success);
  const { success: given } = await new Deno.Command("chown", {
    args: ["-hR", "100000:100000", `${machine.folder}/mapped`],
  }).output();
  assert.ok(given);
}

/** Runs processes in the guest and tells what they print. */
class Runner {
  #count = 0;

  constructor(readonly guest: Guest) {}

  /** What a container of its own prints. */
  async run(script: string, change: (spec: Spec) => void = () => {}): Promise<string[]> {
    const id = `run-${++this.#count}`;
    await this.guest.run(id, ["sh", "-c", script], change);
    const text = await this.guest.readAll(id);
    await this.guest.agent.removeContainer({ containerId: id });
    return text.trimEnd().split("\n");
  }

  /** What a process in a container prints. */
  async exec(containerId: string, script: string, change: Partial<Process> = {}): Promise<string[]> {
    const execId = `exec-${++this.#count}`;
    const { agent } = this.guest;
    const process = { ...processOf(["sh", "-c", script]), ...change };
    await agent.execProcess({ containerId, execId, process: processToWire(process) });
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

Deno.test("containers in a guest have the namespaces of their specifications", async (t) => {
  await using machine = new Harness();
  await addMappedRoot(machine);
  await using guest = await Guest.boot({ share: machine.folder, agentParams: [SERIAL] });
  await guest.createSandbox();
  const { agent } = guest;
  const runner = new Runner(guest);
  // What the agent itself has, as far as a container can be told to share it.
  const whole = (spec: Spec) => {
    spec.linux = { ...spec.linux, namespaces: [{ type: "mount" }] };
  };
  // It goes on, so that the kernel does not use the numbers of its namespaces again.
  await guest.run("plain", ["sleep", "1000"], whole);
  const plain = await runner.exec("plain", SHOW_NAMESPACES);

  await t.step("pods share ipc, uts and network, all else is a container's own", async () => {
    const other = await runner.run(SHOW_NAMESPACES, whole);
    const shared = KINDS.filter((_, index) => plain[index] === other[index]);
    assert.deepEqual(shared, ["ipc", "net", "time", "user", "uts"]);
  });

  await t.step(
    "a user namespace has file systems, devices and limits, and is somebody else outside",
    async () => {
      const script = `id -u; cat /proc/self/uid_map; hostname; ${SHOW_NAMESPACES}
      for p in /proc /dev /dev/pts /dev/mqueue /sys /sys/fs/cgroup /tmp; do grep " $p " /proc/mounts | cut -d' ' -f 2-3; done
      stat -c '%n %u %t,%T' /dev/null /dev/fuse; echo x > /dev/null && head -c 3 /dev/zero | wc -c
      mkdir /sys/fs/cgroup/mine && echo delegated; touch /tmp/x /new && stat -c %u /tmp/x /new
      grep -E 'locked memory' /proc/self/limits | sed 's/  */ /g'; cat /proc/self/oom_score_adj; wc -c < /proc/kcore
      echo 1 > /proc/sys/kernel/shmmax || echo protected; mount -t tmpfs none /etc && echo mounted; hostname x || echo the pod\\'s
      ls /copied; touch /copied/more && echo copy; echo done`;
      const lines = await runner.run(`{ ${script}; } 2>/dev/null`, (spec) => {
        mapped(spec);
        Deno.mkdirSync(`${machine.folder}/mapped/copied`);
        Deno.writeTextFileSync(`${machine.folder}/mapped/copied/file`, "");
        for (const path of ["", "/file"]) {
          Deno.chownSync(`${machine.folder}/mapped/copied${path}`, 100_000, 100_000);
        }
        spec.process.oomScoreAdj = -500;
        spec.process.rlimits = [{ type: "RLIMIT_MEMLOCK", soft: 1 << 30, hard: 1 << 30 }];
        spec.mounts?.push(
          { destination: "/dev/pts", type: "devpts", options: ["newinstance", "ptmxmode=0666", "gid=5"] },
          { destination: "/dev/mqueue", type: "mqueue", options: ["nosuid"] },
          { destination: "/sys", type: "sysfs", options: ["ro", "nosuid"] },
          { destination: "/sys/fs/cgroup", type: "cgroup" },
          { destination: "/tmp", type: "tmpfs" },
          { destination: "/copied", type: "tmpfs", options: ["tmpcopyup"] },
        );
        spec.linux = {
          ...spec.linux,
          devices: [{ path: "/dev/fuse", type: "c", major: 10, minor: 229 }],
          maskedPaths: ["/proc/kcore"],
          readonlyPaths: ["/proc/sys"],
        };
      });
      const namespaces = lines.splice(3, KINDS.length);
      const own = KINDS.filter((_, index) => plain[index] !== namespaces[index]);
      assert.deepEqual(own, ["cgroup", "mnt", "pid", "user"]);
      assert.deepEqual(lines.map((line) => line.trim().replace(/ +/g, " ")), [
        "0",
        "0 100000 65536",
        "pod-host",
        ...["/proc proc", "/dev tmpfs", "/dev/pts devpts", "/dev/mqueue mqueue", "/sys sysfs"],
        ...["/sys/fs/cgroup cgroup2", "/tmp tmpfs"],
        ...["/dev/null 0 1,3", "/dev/fuse 0 a,e5", "3", "delegated", "0", "0"],
        "Max locked memory 1073741824 1073741824 bytes",
        ...["-500", "0", "protected", "mounted", "the pod's", "file", "copy", "done"],
      ]);
      assert.equal(Deno.statSync(`${machine.folder}/mapped/new`).uid, 100_000);
    },
  );

  await t.step("processes are executed in a user namespace, as its root and as others", async () => {
    await guest.run("mapped", ["sleep", "1000"], mapped);
    const script =
      "id -u; id -g; readlink /proc/self/ns/user; grep CapEff /proc/self/status; echo x > /dev/stderr; echo $$";
    const root = await runner.exec("mapped", script);
    const user = await runner.exec("mapped", script, { user: { uid: 1000, gid: 7 } });
    const namespace = root[2];
    assert.notEqual(namespace, plain[KINDS.indexOf("user")]);
    assert.deepEqual([root.slice(0, 3), user.slice(0, 3)], [["0", "0", namespace], ["1000", "7", namespace]]);
    assert.match(root[3] ?? "", /CapEff:\t0*1f+$/);
    assert.equal(user[3], "CapEff:\t0000000000000000");
    await agent.removeContainer({ containerId: "mapped" });
  });

  await t.step("a user namespace in the pod's shared process ids", async () => {
    const spec = { args: ["sh", "-c", "for p in /proc/[0-9]*; do cat $p/comm; done; echo $$"] };
    const process = processOf(spec.args);
    const make = async (containerId: string, change: (spec: Spec) => void) => {
      const made: Spec = {
        ociVersion: "1.2.0",
        process,
        root: { path: `${SHARE_POINT}/rootfs` },
        mounts: [{ destination: "/proc", type: "proc" }, { destination: "/dev", type: "tmpfs" }],
        linux: { namespaces: [{ type: "mount" }] },
      };
      change(made);
      await agent.createContainer({ containerId, OCI: specToWire(made), sandboxPidns: true });
      await agent.startContainer({ containerId });
    };
    await make("sleeper", (made) => made.process = processOf(["sleep", "1000"]));
    await make("looker", mapped);
    const lines = (await guest.readAll("looker")).trim().split("\n");
    // The process that the namespace begins with, the other container's, and the shell.
    assert.deepEqual([lines.slice(1, -1), lines.at(-1)], [["sleep", "sh"], "3"]);
    await agent.removeContainer({ containerId: "looker" });
    await agent.removeContainer({ containerId: "sleeper" });
  });

  await t.step(
    "whoever may look into others finds nothing of the agent's in shared process ids",
    async () => {
      const process = processOf([
        "sh",
        "-c",
        "ls -A /proc/1/root/; grep -E 'Cap(Prm|Bnd)' /proc/1/status; readlink /proc/1/cwd",
      ]);
      const OCI = specToWire({
        ociVersion: "1.2.0",
        process,
        root: { path: `${SHARE_POINT}/rootfs` },
        mounts: [{ destination: "/proc", type: "proc" }, { destination: "/dev", type: "tmpfs" }],
        linux: { namespaces: [{ type: "mount" }] },
      });
      await agent.createContainer({ containerId: "prober", OCI, sandboxPidns: true });
      await agent.startContainer({ containerId: "prober" });
      const none = "0000000000000000";
      const lines = (await guest.readAll("prober")).trim().split("\n");
      assert.deepEqual(lines, [`CapPrm:\t${none}`, `CapBnd:\t${none}`, "/"]);
      await agent.removeContainer({ containerId: "prober" });
    },
  );

  await t.step(
    "a container that may write to its cgroup can divide it, but not raise its limits or leave it",
    async () => {
      const script = `cd /sys/fs/cgroup; mkdir mine && echo $$ > mine/cgroup.procs && echo moved
      for f in memory.max pids.max cgroup.freeze; do { echo max > $f; } 2>/dev/null && echo raised $f
      done; { echo $$ > ../cgroup.procs; } 2>/dev/null; cat memory.max pids.max; cat /proc/self/cgroup; ls ..`;
      for (const change of [() => {}, mapped]) {
        const lines = await runner.run(script, (spec) => {
          change(spec);
          spec.mounts?.push({ destination: "/sys", type: "sysfs" }, {
            destination: "/sys/fs/cgroup",
            type: "cgroup",
          });
          spec.linux = { ...spec.linux, resources: { memory: { limit: 64 << 20 }, pids: { limit: 20 } } };
        });
        assert.deepEqual(lines.slice(0, 4), ["moved", String(64 << 20), "20", "0::/mine"]);
        assert.ok(lines.includes("cgroup"), "sysfs is above, not the agent's cgroups");
      }
    },
  );

  await t.step("clocks have offsets", async () => {
    const [uptime, ...offsets] = await runner.run(
      "cut -d. -f1 /proc/uptime; cat /proc/self/timens_offsets",
      (spec) => {
        spec.linux = {
          ...spec.linux,
          namespaces: [{ type: "mount" }, { type: "time" }],
          timeOffsets: { boottime: { secs: 5_000_000 }, monotonic: { secs: 7, nanosecs: 8 } },
        };
      },
    );
    assert.ok(Number(uptime) >= 5_000_000, uptime);
    assert.deepEqual(offsets.map((line) => line.split(/\s+/)), [["monotonic", "7", "8"], [
      "boottime",
      "5000000",
      "0",
    ]]);
  });

  await t.step("proc shows what its options say, and the old root is nowhere", async () => {
    const script = `ls /proc | grep -vc '^[0-9]'; grep ' /proc ' /proc/self/mounts | cut -d' ' -f4
      grep -c . /proc/self/mountinfo; chroot /proc ls 2>/dev/null | head -n 1; cd /; cd ../..; ls -d bin`;
    const lines = await runner.run(script, (spec) => {
      spec.mounts = [
        { destination: "/proc", type: "proc", options: ["nosuid", "hidepid=invisible", "subset=pid"] },
        { destination: "/dev", type: "tmpfs" },
      ];
    });
    assert.deepEqual([Number(lines[0]) <= 3, lines.slice(2)], [true, ["3", "bin"]]);
    assert.match(lines[1] ?? "", /^rw,nosuid,relatime,hidepid=invisible,subset=pid$/);
  });

  await t.step("what fails is named, and nothing is left of it", async () => {
    // The agent's cgroups, mounts, and descriptors.
    const count = "find /cgroups -type d | wc -l; grep -c . /host/1/mountinfo; ls /host/1/fd | wc -l";
    const look = (spec: Spec) => {
      const bind = (destination: string, source: string) => ({ destination, source, options: ["rbind"] });
      spec.mounts?.push(bind("/cgroups", "/sys/fs/cgroup"), bind("/host", "/proc"));
    };
    const before = await runner.run(count, look);
    assert.ok(before.every((line) => Number(line) > 0), String(before));
    await assert.rejects(
      guest.run("bad", ["true"], (spec) => {
        mapped(spec);
        spec.mounts?.push({ destination: "/x", type: "ext4", source: "/dev/null" });
      }),
      /mount ext4 on \/x: (EPERM|ENODEV|ENOTBLK)/,
    );
    await assert.rejects(
      guest.run("bad", ["true"], (spec) => {
        spec.mounts?.push({
          destination: "/x",
          source: `${SHARE_POINT}/rootfs/etc`,
          options: ["bind"],
          uidMappings: MAPS,
          gidMappings: MAPS,
        });
      }),
      // The file system of the share cannot be mapped.
      /map ids of \/x: EINVAL/,
    );
    await guest.run("bad", ["true"]);
    await agent.removeContainer({ containerId: "bad" });
    assert.deepEqual(await runner.run(count, look), before);
  });

  const exit = await guest.powerOff();
  assert.deepEqual([exit.cause, exit.status], ["shutdown", { code: 0, signal: 0 }]);
});

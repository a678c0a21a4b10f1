import { openPty } from "../../sys/pty.ts";
import { openContainerPty } from "../container_pty.ts";
import { createLogger } from "../log.ts";
import { Container } from "./container.ts";
import assert from "node:assert/strict";
import type { Spec } from "../../oci/spec.ts";
import { closeFd, O, openFd, OwnedFd } from "../../sys/fd.ts";
import { mount, umount } from "../../sys/mount.ts";
import { fileAppears, Harness, specOf } from "./testing/harness.ts";
import { makeUserNamespace, mappingsOf, parseMap } from "./user_namespace.ts";

/** Root is 100000 outside, and so on. */
const MAPS = [{ containerID: 0, hostID: 100_000, size: 65_536 }];

/** Gives the specification a user namespace. */
function mapped(spec: Spec): void {
  spec.linux = {
    ...spec.linux,
    namespaces: [...spec.linux?.namespaces ?? [], { type: "user" }],
    uidMappings: MAPS,
    gidMappings: MAPS,
  };
}

/** A harness whose root file system belongs to the container's root. */
function mappedHarness(): Harness {
  const harness = new Harness();
  giveAway(harness.rootfs);
  return harness;
}

function giveAway(path: string): void {
  const { isDirectory, isSymlink } = Deno.lstatSync(path);
  if (isSymlink) return;
  Deno.chownSync(path, 100_000, 100_000);
  if (isDirectory) { for (const { name } of Deno.readDirSync(path)) giveAway(`${path}/${name}`); }
}

Deno.test("root in a user namespace is somebody else outside", async () => {
  await using harness = mappedHarness();
  const spec = specOf(harness.rootfs, [
    "sh",
    "-c",
    "id -u; cat /proc/self/uid_map; echo $$; echo > /made; sleep 30",
  ]);
  mapped(spec);
  await using made = await harness.create(spec);
  await made.container.start();
  const { pid } = made.container.init;
  const { stdout } = await made.exec({
    args: ["sh", "-c", "id -u; readlink /proc/self/ns/user; grep Cap /proc/self/status"],
  });
  const [uid, namespace, ...capabilities] = stdout.trim().split("\n");
  assert.deepEqual([uid, namespace], ["0", Deno.readLinkSync(`/proc/${pid}/ns/user`)]);
  assert.equal(capabilities.length, 5);
  assert.match(Deno.readTextFileSync(`/proc/${pid}/status`), /^Uid:\t100000\t100000\t100000\t100000$/m);
  await fileAppears(`${harness.rootfs}/made`);
  assert.equal(Deno.statSync(`${harness.rootfs}/made`).uid, 100_000);
  await made.container.destroy();
  const outcome = await made.outcome();
  assert.equal(outcome.stdout, "0\n         0     100000      65536\n1\n");
});

Deno.test("every namespace that is made belongs to the user namespace", async () => {
  await using harness = mappedHarness();
  // Each of these needs a privilege over the namespace.
  const script =
    `hostname inside && hostname; mount -t tmpfs none /tmp && mount -t proc proc /tmp && echo mounted
    set -- /proc/[0-9]*; echo $#; echo 5 > /proc/sys/net/core/somaxconn && cat /proc/sys/net/core/somaxconn`;
  assert.equal(await harness.output(script, mapped), "inside\nmounted\n1\n5");
});

Deno.test("settings of namespaces that belong to a user namespace are set", async () => {
  await using harness = mappedHarness();
  const names = ["kernel/shmmax", "net/core/somaxconn", "kernel/domainname", "fs/mqueue/msg_max"];
  const printed = await harness.output(`cd /proc/sys; cat ${names.join(" ")}`, (spec) => {
    mapped(spec);
    spec.linux = {
      ...spec.linux,
      sysctl: Object.fromEntries(names.map((name, index) => [name, String(20 + index)])),
    };
  });
  assert.equal(printed, "20\n21\n22\n23");
});

Deno.test("hooks run before a user namespace's root is the root, and in it", async () => {
  await using harness = mappedHarness();
  const log = `${harness.folder}/log`;
  Deno.writeTextFileSync(log, "");
  Deno.chmodSync(log, 0o666);
  Deno.chmodSync(harness.folder, 0o755);
  const hook = `${harness.folder}/hook`;
  Deno.writeTextFileSync(hook, `#!/usr/bin/busybox sh\necho "$1 $(/usr/bin/busybox id -u)" >> ${log}\n`);
  Deno.chmodSync(hook, 0o755);
  const inside = `#!/bin/sh\necho startContainer $(id -u) > /tmp/log\n`;
  Deno.writeTextFileSync(`${harness.rootfs}/hook`, inside);
  Deno.chmodSync(`${harness.rootfs}/hook`, 0o755);
  const printed = await harness.output("cat /tmp/log; ls /bound", (spec) => {
    mapped(spec);
    spec.mounts?.push({ destination: "/bound", source: `${harness.rootfs}/etc`, options: ["bind"] });
    const run = (kind: string) => [{ path: hook, args: ["hook", kind] }];
    spec.hooks = {
      createRuntime: run("createRuntime"),
      createContainer: run("createContainer"),
      startContainer: [{ path: "/hook" }],
    };
  });
  assert.equal(printed, "startContainer 0\npasswd");
  assert.equal(Deno.readTextFileSync(log), "createRuntime 0\ncreateContainer 0\n");
});

Deno.test("the file systems and devices of a container work in a user namespace", async () => {
  await using harness = mappedHarness();
  const script = `for f in /dev/null /dev/zero /dev/tun; do stat -c '%n %F %u %t,%T' $f; done
    echo x > /dev/null; dd if=/dev/zero bs=3 count=1 2>/dev/null | wc -c
    for p in /proc /sys /sys/fs/cgroup /dev/mqueue /dev/pts /tmp; do grep " $p " /proc/mounts | cut -d' ' -f 2-3; done
    mkdir /sys/fs/cgroup/mine && echo $$ > /sys/fs/cgroup/mine/cgroup.procs && echo delegated; touch /tmp/x && stat -c %u /tmp/x; wc -c < /etc/hidden; ls /hidden`;
  const printed = await harness.output(script, (spec) => {
    mapped(spec);
    Deno.mkdirSync(`${harness.rootfs}/hidden/x`, { recursive: true });
    Deno.writeTextFileSync(`${harness.rootfs}/etc/hidden`, "secret");
    spec.mounts?.push(
      { destination: "/sys", type: "sysfs", options: ["ro"] },
      { destination: "/sys/fs/cgroup", type: "cgroup" },
      { destination: "/dev/mqueue", type: "mqueue" },
      { destination: "/dev/pts", type: "devpts", options: ["newinstance", "ptmxmode=0666", "gid=5"] },
      { destination: "/tmp", type: "tmpfs" },
    );
    spec.linux = {
      ...spec.linux,
      devices: [{ path: "/dev/tun", type: "c", major: 10, minor: 200, uid: 7 }],
      maskedPaths: ["/etc/hidden", "/hidden", "/proc/kcore"],
      readonlyPaths: ["/proc/sys"],
    };
  });
  assert.equal(
    printed,
    [
      "/dev/null character special file 0 1,3",
      "/dev/zero character special file 0 1,5",
      "/dev/tun character special file 7 a,c8",
      "3",
      ...[
        "/proc proc",
        "/sys sysfs",
        "/sys/fs/cgroup cgroup2",
        "/dev/mqueue mqueue",
        "/dev/pts devpts",
        "/tmp tmpfs",
      ],
      "delegated",
      "0",
      "0",
    ].join("\n"),
  );
});

Deno.test("a cgroup that can be written to belongs to the user of the process, with or without a user namespace", async () => {
  for (const isMapped of [true, false]) {
    await using harness = mappedHarness();
    const printed = await harness.output("id -u; mkdir /sys/fs/cgroup/mine && echo delegated", (spec) => {
      if (isMapped) mapped(spec);
      spec.process.user = { uid: 5, gid: 5 };
      spec.mounts?.push({ destination: "/sys", type: "sysfs" }, {
        destination: "/sys/fs/cgroup",
        type: "cgroup",
      });
    });
    assert.equal(printed, "5\ndelegated");
  }
});

Deno.test("namespaces of the sandbox can be shared by a container with a user namespace", async () => {
  await using harness = mappedHarness();
  const first = specOf(harness.rootfs, ["sleep", "30"]);
  await using sandbox = await harness.create(first);
  const { pid } = sandbox.container.init;
  const open = (kind: string) => new OwnedFd(openFd(`/proc/${pid}/ns/${kind}`, O.RDONLY));
  using ipc = open("ipc");
  using uts = open("uts");
  using pids = open("pid");
  const script = `hostname; cat /proc/sys/kernel/shmmax; echo $$; ls -d /sys/class /dev/mqueue
    for ns in ipc uts pid net; do readlink /proc/self/ns/$ns; done; stat -c %u /proc/self/fd/.. /proc/self/stat`;
  const spec = specOf(harness.rootfs, ["sh", "-c", script]);
  spec.hostname = "shared";
  spec.linux = { namespaces: [{ type: "mount" }], sysctl: { "kernel.shmmax": "4096" } };
  spec.mounts?.push({ destination: "/sys", type: "sysfs", options: ["ro", "nosuid"] }, {
    destination: "/dev/mqueue",
    type: "mqueue",
    options: ["nosuid"],
  });
  mapped(spec);
  const { stdout, stderr } = await harness.run(spec, { ipc: ipc.fd, uts: uts.fd, pid: pids.fd });
  const own = ["ipc", "uts", "pid"].map((kind) => Deno.readLinkSync(`/proc/${pid}/ns/${kind}`));
  assert.deepEqual([stdout.trim().split("\n"), stderr], [[
    "shared",
    "4096",
    "2",
    "/dev/mqueue",
    "/sys/class",
    ...own,
    Deno.readLinkSync("/proc/self/ns/net"),
    "0",
    "0",
  ], ""]);
});

Deno.test("a user namespace can be joined by its path", async () => {
  await using harness = mappedHarness();
  const first = specOf(harness.rootfs, ["sleep", "30"]);
  mapped(first);
  await using made = await harness.create(first);
  const { pid } = made.container.init;
  const printed = await harness.output("id -u; readlink /proc/self/ns/user; echo $$", (spec) => {
    spec.linux?.namespaces?.push({ type: "user", path: `/proc/${pid}/ns/user` });
  });
  assert.equal(printed, `0\n${Deno.readLinkSync(`/proc/${pid}/ns/user`)}\n1`);
});

Deno.test("a process of a user namespace has its user's streams, limits and home", async () => {
  await using harness = mappedHarness();
  const script =
    `echo out > /dev/stdout; ulimit -n; id -u; id -G; echo $HOME; pwd; grep CapPrm /proc/self/status`;
  const change = (spec: Spec) => {
    mapped(spec);
    spec.process.user = { uid: 1000, gid: 1000, additionalGids: [5] };
    spec.process.cwd = "/home/user";
    spec.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 900, hard: 1000 }];
    spec.process.capabilities = { bounding: [], permitted: [], effective: [] };
  };
  const expected = "out\n900\n1000\n1000 5\n/home/user\n/home/user\nCapPrm:\t0000000000000000";
  assert.equal(await harness.output(script, change), expected);
});

/** What a terminal shows until its last user is gone, without carriage returns. */
async function shown(terminal: { read(into: Uint8Array): Promise<number> }): Promise<string> {
  const buffer = new Uint8Array(4096);
  let text = "";
  for (let count; (count = await terminal.read(buffer)) > 0;) {
    text += new TextDecoder().decode(buffer.subarray(0, count)).replaceAll("\r", "");
  }
  return text;
}

Deno.test("a terminal in a user namespace belongs to its user, for the first process and for others", async () => {
  await using harness = mappedHarness();
  const script = `stat -L -c %u /proc/self/fd/0; echo tty > /dev/tty; [ -t 0 ] && echo terminal`;
  const spec = specOf(harness.rootfs, ["sh", "-c", `${script}; tty; echo console > /dev/console; read line`]);
  mapped(spec);
  spec.mounts?.push({
    destination: "/dev/pts",
    type: "devpts",
    options: ["newinstance", "ptmxmode=0666", "gid=5"],
  });
  spec.process = { ...spec.process, terminal: true, user: { uid: 7, gid: 8 } };
  const { folder: bundle, cgroupRoot } = harness;
  const first = openPty();
  using terminal = first.master;
  const io = { kind: "terminal", slave: first.slave, slavePath: first.slavePath } as const;
  const log = createLogger("critical");
  const container = await Container.create({ id: "tty", bundle, spec, io, namespaces: {}, log, cgroupRoot });
  closeFd(first.slave);
  try {
    const second = openContainerPty(container.init.pid);
    using other = second.master;
    await container.start();
    const process = { ...spec.process, args: ["sh", "-c", script], user: { uid: 9, gid: 8 } };
    const ends = { kind: "terminal", slave: second.slave, slavePath: second.slavePath } as const;
    await container.exec("x", process, ends);
    closeFd(second.slave);
    assert.equal(await shown(other), "9\ntty\nterminal\n");
    await terminal.write(new TextEncoder().encode("go\n"));
    assert.equal((await shown(terminal)).replace("go\n", ""), "7\ntty\nterminal\n/dev/console\nconsole\n");
  } finally {
    await container.destroy();
  }
});

Deno.test("a mount is mapped as the container is, or as it says", async () => {
  await using harness = mappedHarness();
  const source = `${harness.folder}/data`;
  Deno.mkdirSync(`${source}/sub`, { recursive: true });
  mount("tmpfs", `${source}/sub`, "tmpfs", 0);
  try {
    for (const path of [`${source}/root`, `${source}/sub/root`]) Deno.writeTextFileSync(path, "");
    const other = [{ containerID: 0, hostID: 100_007, size: 10 }];
    const script =
      "stat -c '%n %u:%g' /own/root /flat/sub/root /deep/root /deep/sub/root /other/root /plain/root; touch /own/made";
    const printed = await harness.output(script, (spec) => {
      mapped(spec);
      const maps = { uidMappings: other, gidMappings: other };
      spec.mounts?.push(
        { destination: "/own", source, options: ["bind", "idmap"] },
        { destination: "/flat", source, options: ["rbind", "idmap"] },
        { destination: "/deep", source, options: ["rbind", "ridmap"] },
        { destination: "/other", source, options: ["bind"], ...maps },
        { destination: "/plain", source, options: ["bind"] },
      );
    });
    assert.deepEqual(printed.split("\n"), [
      "/own/root 0:0",
      "/flat/sub/root 65534:65534",
      "/deep/root 0:0",
      "/deep/sub/root 0:0",
      "/other/root 7:7",
      "/plain/root 65534:65534",
    ]);
    assert.equal(Deno.statSync(`${source}/made`).uid, 0);
  } finally {
    umount(`${source}/sub`);
  }
});

Deno.test("mounts are mapped without a user namespace, too", async () => {
  await using harness = new Harness();
  const source = `${harness.folder}/data`;
  Deno.mkdirSync(source);
  Deno.writeTextFileSync(`${source}/root`, "");
  const maps = [{ containerID: 0, hostID: 1234, size: 1 }];
  const printed = await harness.output("stat -c %u:%g /x/root", (spec) => {
    spec.mounts?.push({ destination: "/x", source, options: ["bind"], uidMappings: maps, gidMappings: maps });
  });
  assert.equal(printed, "1234:1234");
});

Deno.test("a step that fails inside of a user namespace is reported, and nothing is left", async () => {
  await using harness = mappedHarness();
  const spec = specOf(harness.rootfs, ["true"]);
  mapped(spec);
  spec.mounts?.push({ destination: "/x", type: "ext4", source: "/dev/null" });
  await assert.rejects(harness.run(spec), { name: "StepError", message: "mount ext4 on /x: EPERM" });
});

Deno.test("a user namespace whose mappings do not do is refused", async () => {
  await using harness = new Harness();
  const run = (change: (spec: Spec) => void) =>
    harness.sh("true", (spec) => {
      mapped(spec);
      change(spec);
    });
  await assert.rejects(run((spec) => spec.process.user.uid = 70_000), {
    name: "SpecError",
    message: `linux.uidMappings must map id 70000, which the process needs: it is ${JSON.stringify(MAPS)}`,
  });
  await assert.rejects(
    run((spec) => Object.assign(spec.linux ?? {}, { gidMappings: [{ containerID: 1, hostID: 1, size: 5 }] })),
    {
      message:
        `linux.gidMappings must map id 0, which the container is set up by: it is [{"containerID":1,"hostID":1,"size":5}]`,
    },
  );
});

Deno.test("mappings are written to a namespace, and read from it", async () => {
  const maps = {
    uids: [{ containerID: 0, hostID: 5, size: 1 }, { containerID: 1, hostID: 1000, size: 7 }],
    gids: [{ containerID: 0, hostID: 0, size: 4_294_967_295 }],
  };
  using namespace = await makeUserNamespace(maps, "linux");
  assert.deepEqual(await mappingsOf(namespace.fd), maps);
  await assert.rejects(
    makeUserNamespace({ ...maps, uids: [{ containerID: 0, hostID: 0, size: 0 }] }, "linux"),
    {
      name: "SpecError",
      message: `linux.uidMappings cannot be used: the kernel answers EINVAL to "0 0 0\\n"`,
    },
  );
  assert.deepEqual(parseMap("         0     100000      65536\n"), MAPS);
});

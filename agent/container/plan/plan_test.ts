import assert from "node:assert/strict";
import { DEFAULT_CAPABILITIES } from "../../../oci/capabilities.ts";
import type { Device, Mount, Process, Spec } from "../../../oci/spec.ts";
import { planContainer } from "./container.ts";
import { devicesOf } from "./dev.ts";
import { environmentOf, programCandidates } from "./environment.ts";
import { planExec } from "./exec.ts";
import type { ContainerInput, NamespaceChoices, ProcessFacts } from "./input.ts";
import { readMount } from "./mounts.ts";
import { split } from "./steps.ts";
import { sysctlFile, sysctlWrites } from "./sysctl.ts";

const ALL_CAPABILITIES = (1n << 41n) - 1n;
const ALL_NEW: NamespaceChoices = {
  pid: "new",
  ipc: "new",
  uts: "new",
  network: "new",
  cgroup: "new",
  time: "inherit",
  user: "inherit",
};
const POD: NamespaceChoices = {
  pid: { fd: 9 },
  ipc: { fd: 10 },
  uts: { fd: 11 },
  network: "inherit",
  cgroup: "new",
  time: "inherit",
  user: "inherit",
};

function facts(change: Partial<ProcessFacts> = {}): ProcessFacts {
  const streams = { terminal: false, ownable: [0, 1, 2] };
  return {
    capabilities: ALL_CAPABILITIES,
    knownCapabilities: ALL_CAPABILITIES,
    oomScoreAdj: 0,
    home: "/root",
    streams,
    ...change,
  };
}

/** An input in which nothing is known of the container's root but that mount points exist. */
function input(spec: Spec, change: Partial<ContainerInput> = {}): ContainerInput {
  return {
    spec,
    rootfs: "/run/rootfs",
    bundle: "/run/bundle",
    namespaces: ALL_NEW,
    mounts: (spec.mounts ?? []).map(({ destination }) => ({ path: destination, mode: 0o755, folder: true })),
    facts: facts(),
    ...change,
  };
}

function spec(change: Partial<Spec> = {}, process: Partial<Process> = {}): Spec {
  return {
    ociVersion: "1.2.0",
    process: { user: { uid: 0, gid: 0 }, args: ["sh"], env: ["PATH=/bin"], cwd: "/", ...process },
    root: { path: "rootfs" },
    ...change,
  };
}

/** What containerd sends for a container of a Kubernetes pod, less what the host takes out. */
function kubernetesSpec(): Spec {
  const sets = [...DEFAULT_CAPABILITIES];
  const mounts: Mount[] = [
    { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
    {
      destination: "/sys/fs/cgroup",
      type: "cgroup",
      source: "cgroup",
      options: ["nosuid", "noexec", "nodev", "relatime", "ro"],
    },
    { destination: "/etc/hosts", type: "bind", source: "/share/hosts", options: ["rbind", "rprivate", "rw"] },
    { destination: "/dev/shm", type: "bind", source: "/run/shm", options: ["rbind", "ro", "nosuid"] },
  ];
  return spec({
    hostname: "pod",
    mounts,
    root: { path: "rootfs", readonly: true },
    linux: {
      rootfsPropagation: "rslave",
      sysctl: { "net.ipv4.ip_unprivileged_port_start": "0" },
      maskedPaths: ["/proc/kcore", "/sys/firmware"],
      readonlyPaths: ["/proc/sys"],
    },
  }, {
    user: { uid: 1000, gid: 1000, additionalGids: [1000, 2000] },
    args: ["/pause"],
    cwd: "/srv/app",
    capabilities: { bounding: sets, effective: sets, permitted: sets },
    rlimits: [{ type: "RLIMIT_NOFILE", soft: 1024, hard: 1048576 }],
    noNewPrivileges: true,
    oomScoreAdj: 1000,
  });
}

/** Every plan whose text is kept, by the name of its file. */
const GOLDEN: Readonly<Record<string, () => string[]>> = {
  minimal: () => planContainer(input(spec())).program.describe(),
  terminal: () => {
    const streams = { terminal: true, slavePath: "/dev/pts/3", ownable: [0, 1, 2] };
    const mounts = [{ destination: "/dev", type: "tmpfs" }];
    return planContainer(input(spec({ mounts }, { terminal: true }), { facts: facts({ streams }) })).program
      .describe();
  },
  kubernetes: () => {
    const made = kubernetesSpec();
    const known = (made.mounts ?? []).map(({ destination }) => ({
      path: destination,
      mode: 0o755,
      folder: destination !== "/etc/hosts",
    }));
    return planContainer(input(made, { namespaces: POD, mounts: known, facts: facts({ oomScoreAdj: -998 }) }))
      .program.describe();
  },
  user: () => {
    const maps = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
    const namespaces: NamespaceChoices = {
      ...ALL_NEW,
      ipc: { fd: 10 },
      time: "new",
      user: { fd: 7, uids: maps, gids: maps },
    };
    const mounts: Mount[] = [
      { destination: "/dev", type: "tmpfs" },
      { destination: "/dev/mqueue", type: "mqueue", options: ["nosuid"] },
      { destination: "/data", type: "bind", source: "/data", options: ["bind", "idmap"] },
    ];
    const timeOffsets = { monotonic: { secs: 60, nanosecs: 5 } };
    const sysctl = { "net.core.somaxconn": "7", "kernel.shmmax": "4096" };
    const made = spec({ hostname: "mapped", mounts, linux: { timeOffsets, sysctl } }, {
      user: { uid: 5, gid: 6 },
      rlimits: [{ type: "RLIMIT_NOFILE", soft: 1, hard: 2000 }],
    });
    const known = mounts.map(({ destination, type }) => ({
      path: destination,
      mode: 0o755,
      folder: true,
      ...(type === "bind" && { idmap: { fd: 7 } }),
    }));
    const limits = { hardLimits: { RLIMIT_NOFILE: 1000n } };
    return planContainer(input(made, { namespaces, mounts: known, facts: facts(limits) })).program.describe();
  },
  exec: () => {
    const process = spec({}, {
      user: { uid: 5, gid: 6, umask: 0o77 },
      args: ["ls"],
      env: ["PATH=/bin:/usr/bin"],
      cwd: "/tmp",
    }).process;
    return planExec({ process, initPidfd: 12, cgroupFd: 13, shared: {}, namespaces: ALL_NEW, facts: facts() })
      .program.describe();
  },
};

for (const [name, describe] of Object.entries(GOLDEN)) {
  Deno.test(`the plan "${name}" is as in testdata/${name}.txt`, () => {
    const file = new URL(`testdata/${name}.txt`, import.meta.url);
    const text = describe().join("\n") + "\n";
    // To take over a change that is meant: remove the file, run the test twice, and read the difference.
    try {
      assert.equal(text, Deno.readTextFileSync(file));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      Deno.writeTextFileSync(file, text);
      throw new Error(`testdata/${name}.txt was missing and has been written`);
    }
  });
}

Deno.test("planning is a pure function", () => {
  const [first, second] = [kubernetesSpec(), kubernetesSpec()];
  const text = () => planContainer(input(first)).program.describe();
  assert.deepEqual(text(), text());
  assert.deepEqual(first, second);
});

Deno.test("a plan says which namespaces the clone makes, and which descriptors it needs", () => {
  const { flags, inherit } = planContainer(input(spec()));
  assert.equal(flags, 0x0002_0000 | 0x0400_0000 | 0x0800_0000 | 0x2000_0000 | 0x4000_0000);
  assert.deepEqual(inherit, []);
  const pod = planContainer(input(spec(), { namespaces: POD }));
  assert.equal(pod.flags, 0x0002_0000);
  assert.deepEqual(pod.inherit, [10, 11]);
});

Deno.test("environmentOf() keeps the last of a name at its place, and adds HOME", () => {
  const process = (env: string[]) => spec({}, { env }).process;
  assert.deepEqual(environmentOf(process(["A=1", "B=2", "A=3"]), "/home"), ["B=2", "A=3", "HOME=/home"]);
  assert.deepEqual(environmentOf(process(["HOME=/x"]), "/home"), ["HOME=/x"]);
  assert.deepEqual(environmentOf(process(["HOME="]), "/home"), ["HOME=/home"]);
  assert.deepEqual(environmentOf(process([]), undefined), ["HOME=/"]);
});

Deno.test("programCandidates() follow the process's PATH, and never the working folder", () => {
  assert.deepEqual(programCandidates("ls", ["PATH=/a:/b/:/a:::rel:."]), ["/a/ls", "/b/ls"]);
  assert.deepEqual(programCandidates("./ls", ["PATH=/a"]), ["./ls"]);
  assert.deepEqual(programCandidates("/ls", []), ["/ls"]);
  assert.deepEqual(programCandidates("ls", ["PATH="]), []);
  assert.deepEqual(programCandidates("ls", ["A=b"]).at(-1), "/bin/ls");
  assert.deepEqual(programCandidates("", ["PATH=/a"]), []);
});

Deno.test("sysctlFile() reads names with dots and with slashes", () => {
  assert.equal(sysctlFile("net.ipv4.ip_forward"), "net/ipv4/ip_forward");
  assert.equal(sysctlFile("net/ipv4/conf/eno2.100/rp_filter"), "net/ipv4/conf/eno2.100/rp_filter");
  assert.equal(sysctlFile("net.ipv4.conf.eno2/100.rp_filter"), "net/ipv4/conf/eno2.100/rp_filter");
  assert.equal(sysctlFile("plain"), "plain");
});

Deno.test("sysctlWrites() only allows what is a container's own", () => {
  const set = (name: string, namespaces = ALL_NEW) => () => sysctlWrites({ [name]: "1" }, namespaces);
  for (
    const name of [
      "kernel.shmmax",
      "kernel/sem",
      "fs.mqueue.msg_max",
      "net.core.somaxconn",
      "kernel.domainname",
    ]
  ) {
    assert.doesNotThrow(set(name), name);
  }
  const problems: [string, RegExp][] = [
    ["kernel.hostname", /use hostname$/],
    ["kernel.pid_max", /whole machine's$/],
    ["vm.overcommit_memory", /whole machine's$/],
    ["net/../vm/x", /is not a setting's name$/],
    ["net..x", /is not a setting's name$/],
    ["", /is not a setting's name$/],
  ];
  for (const [name, problem] of problems) assert.throws(set(name), problem);
  const agents: NamespaceChoices = { ...ALL_NEW, ipc: "inherit", uts: "inherit" };
  assert.throws(set("user.max_mnt_namespaces"), /needs a namespace of type "user"/);
  assert.throws(set("kernel.shmmax", agents), /needs a namespace of type "ipc"/);
  assert.throws(set("kernel.domainname", agents), /needs a namespace of type "uts"/);
});

Deno.test("devicesOf() lets the specification's devices replace the defaults", () => {
  const own: Device[] = [
    { path: "/dev//null", type: "c", major: 9, minor: 9 },
    { path: "/dev/ptmx", type: "c", major: 5, minor: 2 },
    { path: "/dev/x", type: "p" },
  ];
  const devices = devicesOf(own);
  assert.deepEqual(devices.map(({ path }) => path), [
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/null",
    "/dev/x",
  ]);
  assert.equal(devices.find(({ path }) => path === "/dev/null")?.major, 9);
  assert.throws(() => devicesOf([{ path: "/dev/../x", type: "p" }]), {
    message: `linux.devices[0].path must not have ".." in it: it is "/dev/../x"`,
  });
});

Deno.test("readMount() tells kinds of mounts apart", () => {
  const kind = (mount: Partial<Mount>) => readMount({ destination: "/x", ...mount }, 0).kind;
  assert.equal(kind({ type: "tmpfs" }), "filesystem");
  assert.equal(kind({ type: "bind", source: "/a", options: ["rbind"] }), "bind");
  assert.equal(kind({ type: "tmpfs", source: "/a", options: ["bind"] }), "bind");
  assert.equal(kind({ options: ["remount"] }), "remount");
  assert.equal(readMount({ destination: "relative", type: "tmpfs" }, 0).destination, "/relative");
  const sealed = (destination: string, type: string, options = ["ro"]) =>
    readMount({ destination, type, options }, 0).sealLater;
  assert.deepEqual([
    sealed("/a", "tmpfs"),
    sealed("/dev/", "devtmpfs"),
    sealed("/a", "sysfs"),
    sealed("/a", "tmpfs", []),
  ], [true, true, false, false]);
});

Deno.test("split() leaves dots to nobody, and double dots to the kernel", () => {
  assert.deepEqual(split("//a/./b/../c/"), ["a", "b", "..", "c"]);
});

import assert from "node:assert/strict";
import type { Process, Spec } from "../../oci/spec.ts";
import { closeFd } from "../../sys/fd.ts";
import { openPty } from "../../sys/pty.ts";
import { createLogger } from "../log.ts";
import { Container } from "./container.ts";
import { Harness, processOf, specOf } from "./testing/harness.ts";

/** What a script prints in a container whose process is changed. */
async function outputOf(
  script: string,
  change: Partial<Process>,
  spec: (spec: Spec) => void = () => {},
): Promise<string> {
  await using harness = new Harness();
  return await harness.output(script, (made) => {
    Object.assign(made.process, change);
    spec(made);
  });
}

/** A line of the process's own status file. */
const status = (...names: string[]) => `grep -E '^(${names.join("|")}):' /proc/self/status`;

Deno.test("a process runs as its user, with exactly the groups given", async () => {
  const user = { uid: 1000, gid: 100, additionalGids: [5, 70000] };
  assert.equal(
    await outputOf(status("Uid", "Gid", "Groups"), { user }),
    "Uid:\t1000\t1000\t1000\t1000\nGid:\t100\t100\t100\t100\nGroups:\t5 70000 ",
  );
  assert.equal(await outputOf(status("Groups"), { user: { uid: 0, gid: 0 } }), "Groups:\t ");
});

Deno.test("the umask is 0022 unless it is given", async () => {
  assert.equal(await outputOf("umask", {}), "0022");
  assert.equal(await outputOf("umask", { user: { uid: 0, gid: 0, umask: 0o77 } }), "0077");
});

Deno.test("HOME comes from the container's passwd file unless it is given", async () => {
  const script = "echo $HOME";
  assert.equal(await outputOf(script, {}), "/root");
  assert.equal(await outputOf(script, { user: { uid: 1000, gid: 0 } }), "/home/user");
  assert.equal(await outputOf(script, { user: { uid: 5, gid: 0 } }), "/");
  assert.equal(await outputOf(script, { env: ["PATH=/bin", "HOME=/given"] }), "/given");
  assert.equal(await outputOf(script, { env: ["PATH=/bin", "HOME="] }), "/root");
});

Deno.test("the environment is what the specification says, the last of a name counts", async () => {
  const env = ["PATH=/bin", "A=1", "B=x=y", "A=2", "C=", "HOME=/"];
  const printed = await outputOf("env", { env, args: ["env"] });
  assert.equal(printed, "PATH=/bin\nB=x=y\nA=2\nC=\nHOME=/");
});

Deno.test("a missing working folder is made, for root", async () => {
  assert.equal(await outputOf("pwd; stat -c '%a %u' .", { cwd: "/some/where" }), "/some/where\n755 0");
});

Deno.test("a working folder may be closed to the user of the process", async () => {
  await using harness = new Harness();
  Deno.mkdirSync(`${harness.rootfs}/closed`, { mode: 0o700 });
  const script = (spec: Spec) => {
    spec.process.cwd = "/closed";
    spec.process.user = { uid: 1000, gid: 1000 };
  };
  assert.equal(await harness.output("readlink /proc/self/cwd", script), "/closed");
});

Deno.test("a working folder that is a file is an error", async () => {
  await assert.rejects(outputOf("pwd", { cwd: "/etc/passwd" }), { message: "open cwd /etc/passwd: ENOTDIR" });
});

const CAPABILITY_LINES = status("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb");

/** The values of the five lines. */
function sets(printed: string): string[] {
  return printed.split("\n").map((line) => line.split("\t")[1] ?? "");
}

Deno.test("the five capability sets are what the specification says", async () => {
  const capabilities = {
    bounding: ["CAP_KILL", "CAP_CHOWN", "CAP_NET_BIND_SERVICE"],
    permitted: ["CAP_KILL", "CAP_CHOWN", "CAP_NET_BIND_SERVICE"],
    effective: ["CAP_KILL", "CAP_CHOWN", "CAP_NET_BIND_SERVICE"],
    inheritable: ["CAP_NET_BIND_SERVICE"],
    ambient: ["CAP_NET_BIND_SERVICE"],
  };
  // For root, execve gives all that is within bounds.
  assert.deepEqual(sets(await outputOf(CAPABILITY_LINES, { capabilities })), [
    "0000000000000400",
    "0000000000000421",
    "0000000000000421",
    "0000000000000421",
    "0000000000000400",
  ]);
  // For others, only what is ambient survives it.
  const user = { uid: 1000, gid: 1000 };
  assert.deepEqual(sets(await outputOf(CAPABILITY_LINES, { capabilities, user })), [
    "0000000000000400",
    "0000000000000400",
    "0000000000000400",
    "0000000000000421",
    "0000000000000400",
  ]);
});

Deno.test("no capabilities at all leave root with none", async () => {
  assert.deepEqual(
    sets(await outputOf(CAPABILITY_LINES, { capabilities: {} })),
    Array(5).fill("0000000000000000"),
  );
});

Deno.test("unknown capabilities are left out and logged", async () => {
  await using harness = new Harness();
  const printed = await harness.output(status("CapBnd"), (spec) => {
    spec.process.capabilities = { bounding: ["CAP_KILL", "CAP_TOMORROW"] };
  });
  assert.equal(printed, "CapBnd:\t0000000000000020");
  assert.ok(harness.logged.some((line) => line.includes("CAP_TOMORROW")), harness.logged.join("\n"));
});

Deno.test("capabilities that the kernel cannot give are left out and logged", async () => {
  await using harness = new Harness();
  const printed = await harness.output(status("Cap(Eff|Amb)"), (spec) => {
    const capabilities = { bounding: ["CAP_KILL"], permitted: ["CAP_KILL"] };
    spec.process.capabilities = { ...capabilities, effective: ["CAP_KILL", "CAP_CHOWN"], ambient: ["KILL"] };
  });
  assert.equal(printed, "CapEff:\t0000000000000020\nCapAmb:\t0000000000000000");
  assert.ok(harness.logged.some((line) => line.includes("CAP_CHOWN KILL")), harness.logged.join("\n"));
});

Deno.test("a capability that is not there is missed", async () => {
  const capabilities = { bounding: [], effective: [], permitted: [] };
  assert.equal(await outputOf("hostname x 2>/dev/null || echo refused", { capabilities }), "refused");
});

Deno.test("no_new_privs is set when asked for", async () => {
  assert.equal(await outputOf(status("NoNewPrivs"), {}), "NoNewPrivs:\t0");
  assert.equal(await outputOf(status("NoNewPrivs"), { noNewPrivileges: true }), "NoNewPrivs:\t1");
});

Deno.test("resource limits hold", async () => {
  const rlimits = [
    { type: "RLIMIT_NOFILE", soft: 100, hard: 200 },
    { type: "RLIMIT_CORE", soft: 0, hard: 0 },
    { type: "RLIMIT_STACK", soft: 1 << 20, hard: 0xffff_ffff_ffff_ffffn },
  ];
  const script = "grep -E 'open files|core file|stack size' /proc/self/limits | sed 's/  */ /g'";
  assert.equal(
    await outputOf(script, { rlimits }),
    "Max stack size 1048576 unlimited bytes \nMax core file size 0 0 bytes \nMax open files 100 200 files ",
  );
});

Deno.test("the OOM score is what the specification says, and not the agent's", async () => {
  assert.equal(await outputOf("cat /proc/self/oom_score_adj", { oomScoreAdj: 500 }), "500");
  assert.equal(await outputOf("cat /proc/self/oom_score_adj", {}), "0");
});

Deno.test("a process begins a session of its own, with no signal ignored or blocked", async () => {
  const nothing = "0000000000000000";
  const printed = await outputOf(`${status("SigBlk", "SigIgn", "NSsid")}; :`, {});
  assert.equal(printed, `NSsid:\t1\nSigBlk:\t${nothing}\nSigIgn:\t${nothing}`);
});

Deno.test("the streams of a user can be opened by name", async () => {
  const script = "echo out > /dev/stdout; readlink /dev/stdin > /dev/null; echo done";
  assert.equal(await outputOf(script, { user: { uid: 1000, gid: 1000 } }), "out\ndone");
});

Deno.test("host and domain name are set", async () => {
  const script = "hostname; cat /proc/sys/kernel/domainname";
  assert.equal(
    await outputOf(script, {}, (spec) => {
      spec.hostname = "box";
      spec.domainname = "example";
    }),
    "box\nexample",
  );
});

Deno.test("sysctls of the container's own namespaces are set", async () => {
  const names = "kernel/shmmax kernel/msgmax fs/mqueue/msg_max net/ipv4/ip_forward";
  assert.equal(
    await outputOf(`for n in ${names}; do cat /proc/sys/$n; done`, {}, (spec) => {
      spec.linux = {
        ...spec.linux,
        sysctl: {
          "kernel.shmmax": "4096",
          "kernel/msgmax": "8000",
          "fs.mqueue.msg_max": "20",
          "net.ipv4.ip_forward": "1",
        },
        readonlyPaths: ["/proc/sys"],
      };
    }),
    "4096\n8000\n20\n1",
  );
});

Deno.test("sysctls of the whole machine are refused", async () => {
  await assert.rejects(
    outputOf("true", {}, (spec) => spec.linux = { ...spec.linux, sysctl: { "vm.swappiness": "1" } }),
    {
      message:
        `linux.sysctl["vm.swappiness"] is not a setting of a container's own, it would change the whole machine's`,
    },
  );
});

/** What a terminal shows until its last user is gone, without carriage returns. */
async function shown(terminal: { read(into: Uint8Array): Promise<number> }): Promise<string> {
  const buffer = new Uint8Array(4096);
  let text = "";
  for (;;) {
    const count = await terminal.read(buffer);
    if (count === 0) return text.replaceAll("\r", "");
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
}

const DEVPTS = {
  destination: "/dev/pts",
  type: "devpts",
  options: ["newinstance", "ptmxmode=0666", "mode=0620"],
};

Deno.test("a terminal controls the session, and is the console", async () => {
  await using harness = new Harness();
  const { master, slave, slavePath } = openPty();
  using terminal = master;
  const script = `tty; [ -c /dev/console ] && echo console > /dev/console; echo tty > /dev/tty
    [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo terminal`;
  const spec = specOf(harness.rootfs, ["sh", "-c", script]);
  spec.mounts?.push(DEVPTS);
  spec.process.terminal = true;
  const { folder: bundle, cgroupRoot } = harness;
  const io = { kind: "terminal", slave, slavePath } as const;
  const log = createLogger("critical");
  const container = await Container.create({
    id: "terminal",
    bundle,
    spec,
    io,
    namespaces: {},
    log,
    cgroupRoot,
  });
  closeFd(slave);
  try {
    await container.start();
    assert.equal(await shown(terminal), "/dev/console\nconsole\ntty\nterminal\n");
  } finally {
    await container.destroy();
  }
});

Deno.test("a process that is executed can have a terminal, too", async () => {
  await using harness = new Harness();
  const spec = specOf(harness.rootfs, ["sleep", "30"]);
  spec.mounts?.push(DEVPTS);
  await using made = await harness.create(spec);
  await made.container.start();
  const { master, slave, slavePath } = openPty();
  using terminal = master;
  const args = ["sh", "-c", "echo tty > /dev/tty; [ -t 0 ] && echo terminal"];
  await made.container.exec("x", { ...spec.process, args, terminal: true }, {
    kind: "terminal",
    slave,
    slavePath,
  });
  closeFd(slave);
  assert.equal(await shown(terminal), "tty\nterminal\n");
});

Deno.test("the terminal belongs to the user of the process", async () => {
  await using harness = new Harness();
  await using made = await harness.create(specOf(harness.rootfs, ["sleep", "30"]));
  await made.container.start();
  const { master, slave, slavePath } = openPty();
  using terminal = master;
  const process = {
    ...processOf(["sh", "-c", "stat -L -c %u /proc/self/fd/0"]),
    user: { uid: 1000, gid: 1000 },
  };
  await made.container.exec("x", { ...process, terminal: true }, { kind: "terminal", slave, slavePath });
  closeFd(slave);
  assert.equal(await shown(terminal), "1000\n");
});

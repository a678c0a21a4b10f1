import assert from "node:assert/strict";
import type { Spec } from "../../oci/spec.ts";
import { explain } from "./explain.ts";
import { explanationJson, explanationLines } from "./explain_text.ts";

function spec(change: Partial<Spec> = {}): Spec {
  return {
    ociVersion: "1.2.0",
    process: { user: { uid: 0, gid: 0 }, args: ["sh"], env: ["PATH=/bin"], cwd: "/" },
    root: { path: "rootfs" },
    ...change,
  };
}

const of = (given: Spec) => explain({ id: "c1", bundle: "/nowhere", spec: given });

Deno.test("explain() lists what is written to the cgroup, what is cloned, and every step", async () => {
  const explanation = await of(spec({
    linux: {
      cgroupsPath: "/pods/one",
      namespaces: [{ type: "pid" }, { type: "network", path: "/run/netns/x" }],
      resources: { memory: { limit: 1 << 30 } },
    },
  }));
  const lines = explanationLines(explanation);
  assert.deepEqual(lines.filter((line) => !/^allow /.test(line)).slice(0, 7), [
    "# cgroup /sys/fs/cgroup/pods/one",
    `linux.resources.memory.limit: write "1073741824" to memory.max`,
    "# devices, by a program of 80 instructions",
    "# descriptors of the agent",
    "100: network namespace /run/netns/x",
    "# process",
    "create process in the cgroup: clone3(CLONE_NEWNS|CLONE_NEWPID)",
  ]);
  assert.ok(lines.includes("join network namespace: setns(100, CLONE_NEWNET)"));
  assert.match(
    lines.at(-1) ?? "",
    /^execute program: execve\(\$path, \["sh"\], \["PATH=\/bin", "HOME=\/"\]\)$/,
  );
});

Deno.test("explain() needs no rootfs and no sources of binds", async () => {
  const mounts = [
    { destination: "/etc/hosts", type: "bind", source: "/nowhere/hosts", options: ["rbind"] },
    { destination: "/data", type: "bind", source: "/nowhere/data", options: ["rbind"] },
  ];
  const lines = explanationLines(await of(spec({ mounts }))).join("\n");
  assert.match(lines, /make mount point \/etc\/hosts: mknodat\(/);
  assert.match(lines, /make mount point \/data: mkdirat\(/);
});

Deno.test("explain() explains a process to be executed", async () => {
  const process = { ...spec().process, args: ["ls", "-l"] };
  const explanation = await explain({ id: "c1", bundle: "/nowhere", spec: spec(), process });
  const lines = explanationLines(explanation);
  assert.ok(lines.includes("100: the container's first process"));
  assert.match(lines.join("\n"), /join the container's namespaces: setns\(100, .*\["ls", "-l"\]/s);
});

Deno.test("explain() refuses what creating the container would refuse", async () => {
  const wrong = spec({ linux: { intelRdt: { closID: "x" } } });
  await assert.rejects(of(wrong), /linux\.intelRdt /);
  const mounts = [{ destination: "/a", type: "tmpfs" }, { destination: "/b" }];
  await assert.rejects(of(spec({ mounts })), /mounts\[1\]/);
});

Deno.test("as JSON every step has its call, its arguments and its line", async () => {
  const explanation = await of(spec({ linux: { resources: { memory: { limit: 2n ** 60n } } } }));
  const document = JSON.parse(explanationJson(explanation));
  assert.deepEqual(document.clone, ["CLONE_NEWNS", "CLONE_NEWPID"]);
  assert.equal(document.cgroup.writes[0].value, String(2n ** 60n));
  const lines = explanationLines(explanation);
  assert.deepEqual(
    document.steps.map(({ text }: { text: string }) => text),
    lines.slice(lines.indexOf("# process") + 2),
  );
  const first = document.steps[0];
  assert.deepEqual([first.kind, first.call, first.args[0]], ["call", "prctl", "PR_SET_DUMPABLE"]);
});

Deno.test("filters are counted, and listed when everything is asked for", async () => {
  const seccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: ["mkdir", "rmdir"], action: "SCMP_ACT_ERRNO" }],
  };
  const devices = [{ allow: false }, { allow: true, type: "b", major: 8, minor: 0, access: "r" }];
  const explanation = await of(spec({ linux: { seccomp, resources: { devices } } }));
  const [short, long] = [explanationLines(explanation), explanationLines(explanation, true)];
  const text = short.join("\n");
  assert.match(
    text,
    /# filter of system calls: SCMP_ACT_ALLOW but for 1 rules about 2 calls, as \d+ instructions/,
  );
  assert.match(text, /\ndeny a \*:\* rwm\nallow b 8:0 r\n/);
  assert.doesNotMatch(text, /return/);
  assert.match(long.join("\n"), /\d+: return w0\n.*\d+: return ERRNO\(1\)/s);
  const everything = await of(spec({ linux: { resources: { devices: [{ allow: true }] } } }));
  assert.ok(explanationLines(everything).includes("# devices, all, so without a program"));
});

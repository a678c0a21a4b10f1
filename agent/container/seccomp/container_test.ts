/** Filters in containers on this machine's kernel, seen by trying what they forbid. */

import assert from "node:assert/strict";
import type { Process, Seccomp, Spec } from "../../../oci/spec.ts";
import { NR } from "../../../sys/syscall.ts";
import { Harness, type Outcome, specOf } from "../testing/harness.ts";
import { buildProbe, call } from "../testing/probe.ts";
import { X32_BIT } from "./architectures.ts";
import { CONTAINERD, DOCKER } from "./testing/profiles.ts";

const SIGSYS = 31;
const EPERM = -1, EACCES = -13, ENOSYS = -38;
const CLONE_NEWUSER = 0x1000_0000;

class Probes extends Harness {
  static async prepare(): Promise<Probes> {
    const harness = new Probes();
    await buildProbe(`${harness.rootfs}/bin/probe`);
    return harness;
  }

  spec(seccomp: Seccomp, calls: readonly string[], process: Partial<Process> = {}): Spec {
    const spec = specOf(this.rootfs, ["probe", ...calls]);
    Object.assign(spec.process, process);
    spec.linux = { ...spec.linux, seccomp };
    return spec;
  }

  async outcome(
    seccomp: Seccomp,
    calls: readonly string[],
    process: Partial<Process> = {},
  ): Promise<Outcome> {
    return await this.run(this.spec(seccomp, calls, process));
  }

  /** What the kernel says to each call. */
  async probe(seccomp: Seccomp, calls: readonly string[], process: Partial<Process> = {}): Promise<number[]> {
    const { status, stdout, stderr } = await this.outcome(seccomp, calls, process);
    assert.deepEqual({ status, stderr }, { status: { code: 0, signal: 0 }, stderr: "" });
    return results(stdout);
  }
}

function results(printed: string): number[] {
  return printed.trim().split("\n").map(Number);
}

const deny = (names: string[], rest: Partial<Seccomp> = {}): Seccomp => ({
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [{ names, action: "SCMP_ACT_ERRNO", errnoRet: 13 }],
  ...rest,
});

/** Each way of having the filter: with and without the right to load one, as root and not. */
const PROCESSES: readonly [string, Partial<Process>][] = [
  ["root with everything", {}],
  ["root without capabilities", { capabilities: {} }],
  ["no_new_privs", { noNewPrivileges: true, capabilities: {} }],
  ["a user", { user: { uid: 1000, gid: 1000 } }],
  ["a user without capabilities", { user: { uid: 1000, gid: 1000 }, capabilities: {} }],
];

/** What a process's privileges are, and whether it has a filter. */
const STATUS = "grep -E '^(Cap...|NoNewPrivs|Seccomp):' /proc/self/status";

Deno.test("a filter holds for every kind of process, and loading it leaves no privilege behind", async () => {
  await using harness = await Probes.prepare();
  for (const [who, process] of PROCESSES) {
    const printed = (seccomp: Seccomp | undefined) =>
      harness.output(`${STATUS}; probe ${NR.getpgid}`, (spec) => {
        Object.assign(spec.process, process);
        if (seccomp) spec.linux = { ...spec.linux, seccomp };
      });
    const unfiltered = await printed(undefined);
    assert.match(unfiltered, /Seccomp:\t0\n1$/, who);
    const expected = unfiltered.replace(/Seccomp:\t0\n1$/, `Seccomp:\t2\n${EACCES}`);
    assert.equal(await printed(deny(["getpgid"])), expected, who);
  }
});

Deno.test("a filter holds in a user namespace, whoever runs there", async () => {
  await using harness = await Probes.prepare();
  const maps = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  for (const [who, process] of PROCESSES) {
    const printed = (seccomp: Seccomp | undefined) =>
      harness.output(`${STATUS}; probe ${NR.getpgid}`, (spec) => {
        Object.assign(spec.process, process);
        const namespaces = [...spec.linux?.namespaces ?? [], { type: "user" as const }];
        const mapped = { namespaces, uidMappings: maps, gidMappings: maps };
        spec.linux = { ...spec.linux, ...mapped, ...(seccomp && { seccomp }) };
      });
    const expected = (await printed(undefined)).replace(/Seccomp:\t0\n1$/, `Seccomp:\t2\n${EACCES}`);
    assert.equal(await printed(deny(["getpgid"])), expected, who);
  }
});

Deno.test("a filter may forbid everything that comes before execve", async () => {
  await using harness = await Probes.prepare();
  // What the C library needs to begin and the probe to end, and nothing of what a runtime does.
  const names = ("execve brk arch_prctl set_tid_address set_robust_list rseq prlimit64 readlinkat readlink " +
    "getrandom mprotect uname newfstatat write exit_group").split(" ");
  const strict = (more: string[]): Seccomp => ({
    defaultAction: "SCMP_ACT_KILL_PROCESS",
    syscalls: [{ names: [...names, ...more], action: "SCMP_ACT_ALLOW" }],
  });
  for (const [who, process] of PROCESSES) {
    // To give up what was needed for loading the filter.
    const more = process.capabilities && !process.noNewPrivileges || process.user ? ["capset"] : [];
    const { status, stdout } = await harness.outcome(
      strict(more),
      [call(NR.uname, "x".repeat(400))],
      process,
    );
    assert.deepEqual({ who, status, stdout }, { who, status: { code: 0, signal: 0 }, stdout: "0\n" });
  }
});

Deno.test("each action does what it says", async () => {
  await using harness = await Probes.prepare();
  const profile = (action: string, errnoRet?: number): Seccomp => ({
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: ["getpgid"], action, ...(errnoRet !== undefined && { errnoRet }) }],
  });
  const outcome = async (action: string, errnoRet?: number) => {
    const { status, stdout } = await harness.outcome(profile(action, errnoRet), [call(NR.getpgid)]);
    return { ...status, stdout };
  };
  const killed = { code: 0, signal: SIGSYS, stdout: "" };
  const answers = (result: number) => ({ code: 0, signal: 0, stdout: `${result}\n` });
  assert.deepEqual(await outcome("SCMP_ACT_KILL"), killed);
  assert.deepEqual(await outcome("SCMP_ACT_KILL_THREAD"), killed);
  assert.deepEqual(await outcome("SCMP_ACT_KILL_PROCESS"), killed);
  assert.deepEqual(await outcome("SCMP_ACT_TRAP"), killed);
  assert.deepEqual(await outcome("SCMP_ACT_ERRNO"), answers(EPERM));
  assert.deepEqual(await outcome("SCMP_ACT_ERRNO", 77), answers(-77));
  // An error that is none: the call is not made, and says that all is well.
  assert.deepEqual(await outcome("SCMP_ACT_ERRNO", 0), answers(0));
  // Nobody traces it.
  assert.deepEqual(await outcome("SCMP_ACT_TRACE"), answers(ENOSYS));
  assert.deepEqual(await outcome("SCMP_ACT_LOG"), answers(1));
  assert.deepEqual(await outcome("SCMP_ACT_ALLOW"), answers(1));
});

Deno.test("arguments decide, in all their bits", async () => {
  await using harness = await Probes.prepare();
  const args = [{ index: 1, value: 0x1_0000_0000, op: "SCMP_CMP_GT" }];
  const filter = {
    ...deny([]),
    syscalls: [{ names: ["lseek"], action: "SCMP_ACT_ERRNO", errnoRet: 13, args }],
  };
  const calls = [0, 0x1_0000_0000, 0x1_0000_0001, 0xffff_ffff].map((at) => call(NR.lseek, 99, at, 0));
  assert.deepEqual(await harness.probe(filter, calls), [-9, -9, EACCES, -9]);
});

Deno.test("other ways of making calls are filtered, or closed", async () => {
  await using harness = await Probes.prepare();
  const filter = (...names: string[]) =>
    deny(["getpgid"], { architectures: names.map((name) => `SCMP_ARCH_${name}`) });
  const [native, i386] = [call(NR.getpgid), "i386:132"];
  if (Deno.build.arch !== "x86_64") {
    assert.deepEqual(await harness.probe(filter("ARM"), [native]), [EACCES]);
    return;
  }
  assert.deepEqual(await harness.probe(filter("X86_64", "X86"), [native, i386, "i386:20"]), [
    EACCES,
    EACCES,
    1,
  ]);
  for (const closed of ["i386:20", call(NR.getpid | X32_BIT)]) {
    const { status, stdout } = await harness.outcome(filter("X86_64"), [call(NR.getpid), closed]);
    assert.deepEqual({ status, stdout }, { status: { code: 0, signal: SIGSYS }, stdout: "1\n" });
  }
});

Deno.test("processes that are executed have the container's filter", async () => {
  await using harness = await Probes.prepare();
  const spec = specOf(harness.rootfs, ["sleep", "30"]);
  spec.linux = { ...spec.linux, seccomp: deny(["getpgid"]) };
  await using made = await harness.create(spec);
  await made.container.start();
  for (const [who, process] of PROCESSES) {
    const { stdout } = await made.exec({ ...process, args: ["probe", call(NR.getpgid), call(NR.getuid)] });
    assert.deepEqual([who, ...results(stdout)], [who, EACCES, process.user?.uid ?? 0]);
  }
});

Deno.test("startContainer hooks have the container's filter", async () => {
  await using harness = await Probes.prepare();
  const spec = harness.spec(deny(["getpgid"]), []);
  const args = ["sh", "-c", `probe ${call(NR.getpgid)} > /tmp/said`];
  spec.hooks = { startContainer: [{ path: "/bin/sh", args }] };
  await harness.run(spec);
  assert.deepEqual(results(Deno.readTextFileSync(`${harness.rootfs}/tmp/said`)), [EACCES]);
});

Deno.test("the default profiles of engines hold", async () => {
  await using harness = await Probes.prepare();
  const AF_UNIX = 1, AF_VSOCK = 40, SOCK_STREAM = 1, CLONE_NEWNS = 0x2_0000, SIGCHLD = 17;
  const PR_GET_DUMPABLE = 3;
  // Root with all capabilities: what is refused is refused by the filter alone.
  const forbidden = [
    call(NR.mount, "none", "/tmp", "tmpfs", 0, 0),
    call(NR.unshare, CLONE_NEWNS),
    call(NR.clone, CLONE_NEWUSER | SIGCHLD),
    call(NR.bpf, 0, 0, 0),
    call(NR.keyctl, 0, 0),
    call(NR.init_module, 0, 0, ""),
    call(NR.personality, 0x40_0000),
    call(NR.perf_event_open, 0, 0, 0, 0, 0),
    call(NR.userfaultfd, 0),
    call(NR.sethostname, "x", 1),
  ];
  const allowed = [call(NR.getpid), call(NR.prctl, PR_GET_DUMPABLE), call(NR.personality, 0xffff_ffff)];
  for (const [name, profile] of Object.entries({ CONTAINERD, DOCKER })) {
    assert.deepEqual(await harness.probe(profile, forbidden), forbidden.map(() => EPERM), name);
    assert.deepEqual(await harness.probe(profile, allowed), [1, 1, 0], name);
    assert.deepEqual(
      await harness.probe(profile, [call(NR.clone3, 0, 0), call(500)]),
      [ENOSYS, ENOSYS],
      name,
    );
    const script = "echo a | cat; (sleep 0); mkdir /tmp/$$ && rmdir /tmp/$$; ls / > /dev/null && echo done";
    const printed = await harness.output(script.replace("rmdir", "rm -r"), (spec) => {
      spec.linux = { ...spec.linux, seccomp: profile };
      Object.assign(spec.process, { noNewPrivileges: true, user: { uid: 0, gid: 0 } });
    });
    assert.equal(printed, "a\ndone", name);
  }
  const sockets = [call(NR.socket, AF_UNIX, SOCK_STREAM, 0), call(NR.socket, AF_VSOCK, SOCK_STREAM, 0)];
  assert.equal((await harness.probe(DOCKER, sockets))[1], EPERM);
  assert.ok(((await harness.probe(DOCKER, sockets))[0] ?? -1) >= 3);
});

Deno.test("a profile that cannot be is refused before anything is made", async () => {
  await using harness = await Probes.prepare();
  await assert.rejects(harness.outcome(deny(["read"], { defaultAction: "SCMP_ACT_NOTIFY" }), []), {
    name: "SpecError",
    message:
      "linux.seccomp.defaultAction is not supported: nobody outside of the virtual machine can be notified: " +
      'it is "SCMP_ACT_NOTIFY"',
  });
});

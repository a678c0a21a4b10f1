import assert from "node:assert/strict";
import type { Process, Spec } from "../../oci/spec.ts";
import { Harness, specOf } from "./testing/harness.ts";

/** Perl knows `syscall`; with it a process can ask the kernel about itself. Its files are the machine's. */
const PERL = ["/usr/bin/perl", "-e"];

function withPerl(spec: Spec): void {
  for (const folder of ["/usr", "/lib", "/lib64"]) {
    spec.mounts?.push({ destination: folder, source: folder, options: ["rbind", "ro"] });
  }
}

/** What a perl program prints as the first process of a container. */
async function perl(program: string, change: (spec: Spec) => void): Promise<string> {
  await using harness = new Harness();
  const spec = specOf(harness.rootfs, [...PERL, program]);
  withPerl(spec);
  change(spec);
  const { status, stdout, stderr } = await harness.run(spec);
  assert.deepEqual([status, stderr], [{ code: 0, signal: 0 }, ""]);
  return stdout;
}

const NR = Deno.build.arch === "aarch64"
  ? { sched_getattr: 275, ioprio_get: 31, personality: 92, get_mempolicy: 236 }
  : { sched_getattr: 315, ioprio_get: 252, personality: 135, get_mempolicy: 239 };

/** policy, flags, nice, priority; then runtime, deadline, period, if there is a deadline (new kernels tell slices) */
const ASK_SCHEDULER = `my $a = "\\0" x 56; syscall(${NR.sched_getattr}, 0, $a, 56, 0); ` +
  `my @a = unpack("LLQlLQQQ", $a); print join(" ", @a[1..($a[1] == 6 ? 7 : 4)]);`;

Deno.test("the scheduler is the specification's", async () => {
  const asked = (scheduler: Process["scheduler"]) =>
    perl(ASK_SCHEDULER, (spec) => Object.assign(spec.process, { scheduler }));
  assert.equal(await asked({ policy: "SCHED_BATCH", nice: 7 }), "3 0 7 0");
  assert.match(await asked({ policy: "SCHED_IDLE" }), /^5 0 /);
  assert.equal(
    await asked({ policy: "SCHED_RR", priority: 3, flags: ["SCHED_FLAG_RESET_ON_FORK"] }),
    "2 1 0 3",
  );
  // Whether the kernel has such limits is its own affair; what it is asked is well-formed.
  const clamped = { policy: "SCHED_OTHER", flags: ["SCHED_FLAG_UTIL_CLAMP_MIN"] };
  assert.match(await asked(clamped).catch(String), /^0 |: EOPNOTSUPP$/);
  const deadline = { runtime: 1_000_000, deadline: 10_000_000, period: 20_000_000 };
  assert.equal(
    await asked({ policy: "SCHED_DEADLINE", ...deadline }),
    "6 0 0 0 1000000 10000000 20000000",
  );
});

Deno.test("the I/O priority is the specification's", async () => {
  const asked = (ioPriority: Process["ioPriority"]) =>
    perl(`print syscall(${NR.ioprio_get}, 1, 0)`, (spec) => Object.assign(spec.process, { ioPriority }));
  assert.equal(await asked({ class: "IOPRIO_CLASS_BE", priority: 6 }), String(2 << 13 | 6));
  assert.equal(await asked({ class: "IOPRIO_CLASS_IDLE" }), String(3 << 13));
});

Deno.test("the personality is the specification's", async () => {
  const asked = (domain: string) =>
    perl(`print syscall(${NR.personality}, 0xffffffff)`, (spec) => {
      spec.linux = { ...spec.linux, personality: { domain } };
    });
  assert.deepEqual([await asked("LINUX"), await asked("LINUX32")], ["0", "8"]);
});

Deno.test("the memory policy is the specification's", async () => {
  const ask = `my ($m, $n) = ("\\0" x 4, "\\0" x 128); syscall(${NR.get_mempolicy}, $m, $n, 1024, 0, 0);
    print unpack("l", $m), " ", unpack("Q", $n)`;
  const asked = (memoryPolicy: NonNullable<Spec["linux"]>["memoryPolicy"]) =>
    perl(ask, (spec) => {
      spec.linux = { ...spec.linux, ...(memoryPolicy && { memoryPolicy }) };
    });
  const bind = { mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES"] };
  assert.equal(await asked(bind), `${2 | 1 << 15} 1`);
  assert.equal(await asked({ mode: "MPOL_LOCAL" }), "4 0");
  assert.equal(await asked(undefined), "0 0");
});

Deno.test("a process that is executed has the container's attributes, or its own", async () => {
  await using harness = new Harness();
  const spec = specOf(harness.rootfs, ["sleep", "30"]);
  withPerl(spec);
  spec.process.scheduler = { policy: "SCHED_BATCH", nice: 3 };
  spec.linux = { ...spec.linux, personality: { domain: "LINUX32" } };
  await using made = await harness.create(spec);
  await made.container.start();
  const ask = `${ASK_SCHEDULER} print " ", syscall(${NR.personality}, 0xffffffff)`;
  const inherited = await made.exec({ args: [...PERL, ask] });
  const own = await made.exec({ args: [...PERL, ask], scheduler: { policy: "SCHED_OTHER", nice: 5 } });
  assert.deepEqual([inherited.stdout, own.stdout], ["3 0 3 0 8", "0 0 5 0 8"]);
});

Deno.test("an executed process has processors of its own, before it enters its cgroup and after", async () => {
  await using harness = new Harness();
  await using made = await harness.create(specOf(harness.rootfs, ["sleep", "30"]));
  await made.container.start();
  const asked = async (execCPUAffinity: Process["execCPUAffinity"]) => {
    const args = [
      "sh",
      "-c",
      "grep Cpus_allowed_list /proc/self/status | cut -f2; grep ^0 /proc/self/cgroup",
    ];
    return (await made.exec({ args, ...(execCPUAffinity && { execCPUAffinity }) })).stdout.trim().split("\n");
  };
  const all = await asked(undefined);
  assert.deepEqual(await asked({ final: "0" }), ["0", "0::/"]);
  assert.deepEqual(await asked({ initial: "0" }), ["0", "0::/"]);
  assert.deepEqual(await asked({ initial: "0-1", final: "0" }), ["0", "0::/"]);
  assert.deepEqual(all[1], "0::/");
});

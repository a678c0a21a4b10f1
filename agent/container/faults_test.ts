/** Each step of making a container fails once: what is said, and what is left. */

import assert from "node:assert/strict";
import type { Spec } from "../../oci/spec.ts";
import { closeFd, pipe } from "../../sys/fd.ts";
import { readMountinfo } from "../../sys/mount.ts";
import { loopIdle } from "../../sys/poll.ts";
import type { Program, Step } from "../../sys/program.ts";
import { StepError } from "../../sys/program.ts";
import { Cgroup } from "./cgroup/cgroup.ts";
import { homeInside } from "./lookup.ts";
import { mountFacts, processFacts, withRoot } from "./facts.ts";
import { prepare } from "./launching.ts";
import { chooseNamespaces } from "./namespaces.ts";
import { planContainer, type ProcessPlan } from "./plan/container.ts";
import { Harness, specOf } from "./testing/harness.ts";

/** The program, but for one step that fails instead. */
function failing(program: Program, at: number): Program {
  const steps = program.steps.map((step, index): Step =>
    // A descriptor that is none; what else the step points to stays where it is.
    index === at && step.kind === "call"
      ? { ...step, call: "close", args: [-1, ...step.args].slice(0, 6) }
      : step
  );
  return { steps, checkpoints: program.checkpoints, check() {} } as unknown as Program;
}

function nameOf(step: Step): string {
  return "name" in step ? step.name : step.kind;
}

/** Whether it is certain that the program comes to the step, and that its failure counts. */
function isReached(steps: readonly Step[], at: number): boolean {
  const step = steps[at];
  if (step?.kind !== "call" || step.mayFail !== false) return false;
  // What lies between a jump and its label may be jumped over.
  return !steps.slice(0, at).some((before) => {
    const labels = before.kind === "jump"
      ? [before.label]
      : before.kind === "call" || before.kind === "expect"
      ? [before.onSuccess, before.onFailure]
      : [];
    return labels.some((label) => {
      const place = steps.findIndex((other) => other.kind === "label" && other.label === label);
      return place > at;
    });
  });
}

async function failEach(harness: Harness, spec: Spec): Promise<number> {
  const { folder, cgroupRoot, rootfs } = harness;
  using namespaces = await chooseNamespaces(spec, {});
  const { choices } = namespaces;
  const ends = [pipe(), pipe(), pipe()];
  const [stdin, stdout, stderr] = [ends[0]?.[0] ?? -1, ends[1]?.[1] ?? -1, ends[2]?.[1] ?? -1];
  const io = { kind: "pipes", stdin, stdout, stderr } as const;
  const plan = withRoot(rootfs, (root) =>
    planContainer({
      spec,
      rootfs,
      bundle: folder,
      namespaces: choices,
      mounts: mountFacts(root, spec, folder, new Map()),
      facts: processFacts(spec.process, io, homeInside(root, spec.process.user.uid)),
    }));
  const cgroup = Cgroup.create(cgroupRoot, "faults");
  const mounts = () => readMountinfo().filter(({ mountPoint }) => mountPoint.startsWith(folder));
  let count = 0;
  try {
    const { steps } = plan.program;
    // Looking for the program is a matter of taking what succeeds.
    const end = steps.findIndex((step) => nameOf(step).startsWith("candidate "));
    for (let at = 0; at < end; at++) {
      const step = steps[at];
      if (step === undefined || !isReached(steps, at)) continue;
      const changed: ProcessPlan = { ...plan, program: failing(plan.program, at) };
      const made = prepare({
        plan: changed,
        process: spec.process,
        io,
        cgroupFd: cgroup.fd,
        pidNamespaceFd: undefined,
      });
      await assert.rejects(made, (error: Error) => {
        assert.ok(error instanceof StepError, String(error));
        assert.equal(error.message, `${nameOf(step)}: EBADF`);
        return true;
      });
      assert.deepEqual(cgroup.pids(), [], nameOf(step));
      assert.deepEqual(mounts(), [], nameOf(step));
      count++;
    }
  } finally {
    cgroup.kill();
    await cgroup.empty(0);
    cgroup.remove();
    for (const fd of ends.flat()) closeFd(fd);
    await loopIdle();
  }
  return count;
}

/** Something of every kind. */
function fullSpec({ rootfs, folder }: Harness): Spec {
  const spec = specOf(rootfs, ["true"]);
  Deno.mkdirSync(`${folder}/data`);
  spec.hostname = "box";
  spec.mounts?.push(
    { destination: "/dev/pts", type: "devpts", options: ["newinstance"] },
    { destination: "/sys", type: "sysfs", options: ["ro"] },
    { destination: "/data", source: `${folder}/data`, options: ["rbind", "ro", "rprivate"] },
    { destination: "/tmp", type: "tmpfs", options: ["ro", "shared"] },
  );
  spec.root.readonly = true;
  spec.process.user = { uid: 5, gid: 6, additionalGids: [7] };
  spec.process.rlimits = [{ type: "RLIMIT_CORE", soft: 0, hard: 0 }];
  spec.process.oomScoreAdj = 100;
  spec.process.capabilities = { bounding: ["CAP_KILL"], permitted: ["CAP_KILL"], effective: ["CAP_KILL"] };
  spec.process.noNewPrivileges = true;
  spec.process.scheduler = { policy: "SCHED_BATCH" };
  spec.linux = {
    namespaces: [...spec.linux?.namespaces ?? [], { type: "time" }],
    timeOffsets: { boottime: { secs: 1 } },
    sysctl: { "kernel.shmmax": "4096" },
    maskedPaths: ["/etc/passwd", "/proc/kcore"],
    readonlyPaths: ["/proc/sys"],
    rootfsPropagation: "private",
  };
  return spec;
}

Deno.test("whichever step of making a container fails is named, and nothing is left", async () => {
  await using harness = new Harness();
  const count = await failEach(harness, fullSpec(harness));
  assert.ok(count > 80, String(count));
});

Deno.test("the same in a user namespace", async () => {
  await using harness = new Harness();
  for (const { name } of Deno.readDirSync(harness.rootfs)) {
    Deno.chownSync(`${harness.rootfs}/${name}`, 100_000, 100_000);
  }
  Deno.chownSync(harness.rootfs, 100_000, 100_000);
  const spec = fullSpec(harness);
  const maps = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  spec.linux = {
    ...spec.linux,
    namespaces: [...spec.linux?.namespaces ?? [], { type: "user" }],
    uidMappings: maps,
    gidMappings: maps,
  };
  const count = await failEach(harness, spec);
  assert.ok(count > 100, String(count));
});

/**
 * How long a container takes from its creation to the end of `/bin/true`, here and with crun, one after the
 * other in
 * the same run: `deno run -A agent/container/testing/compare.ts [rounds]`. Needs root and crun.
 */

import { DEFAULT_CAPABILITIES } from "../../../oci/capabilities.ts";
import type { Spec } from "../../../oci/spec.ts";
import { spawn } from "../../../sys/spawn.ts";
import { Harness, specOf } from "./harness.ts";

/** What container engines ask for by default, for a container without limits. */
export function defaultSpec(rootfs: string): Spec {
  const spec = specOf(rootfs, ["/bin/true"]);
  const sets = [...DEFAULT_CAPABILITIES];
  // Older runtimes refuse a later one.
  spec.ociVersion = "1.0.2";
  spec.hostname = "bench";
  spec.process.capabilities = { bounding: sets, effective: sets, permitted: sets };
  spec.process.noNewPrivileges = true;
  spec.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 1024, hard: 1024 }];
  spec.mounts?.push(
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    {
      destination: "/dev/shm",
      type: "tmpfs",
      source: "shm",
      options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
    },
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
  );
  spec.linux = {
    ...spec.linux,
    maskedPaths: [
      "/proc/acpi",
      "/proc/asound",
      "/proc/kcore",
      "/proc/keys",
      "/proc/latency_stats",
      "/proc/timer_list",
      "/proc/timer_stats",
      "/proc/sched_debug",
      "/sys/firmware",
      "/proc/scsi",
    ],
    readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
  };
  return spec;
}

/** Times of single rounds in milliseconds. */
export interface Comparison {
  readonly ours: number[];
  readonly crun: number[];
}

/** Runs both in turn, after a few rounds that do not count. */
export async function compare(rounds: number, warmUp = 20): Promise<Comparison> {
  await using harness = new Harness();
  const spec = defaultSpec(harness.rootfs);
  Deno.writeTextFileSync(`${harness.folder}/config.json`, JSON.stringify(spec));
  const ours: number[] = [], crun: number[] = [];
  for (let round = -warmUp; round < rounds; round++) {
    const [mine, theirs] = [
      await timeOf(() => runOurs(harness, spec)),
      await timeOf(() => runCrun(harness, round)),
    ];
    if (round < 0) continue;
    ours.push(mine);
    crun.push(theirs);
  }
  return { ours, crun };
}

async function runOurs(harness: Harness, spec: Spec): Promise<void> {
  const { status } = await harness.run(spec);
  if (status.code !== 0) throw new Error(`the container ended with ${status.code}`);
}

async function runCrun(harness: Harness, round: number): Promise<void> {
  const id = `kata-bench-${round + 1000}`;
  const argv = ["crun", "--cgroup-manager=cgroupfs", "run", "--bundle", harness.folder, id];
  const child = await spawn({ argv, env: { PATH: "/usr/sbin:/usr/bin" } });
  const { code } = await child.wait();
  if (code !== 0) throw new Error(`crun ended with ${code}`);
}

async function timeOf(run: () => Promise<void>): Promise<number> {
  const before = performance.now();
  await run();
  return performance.now() - before;
}

/** The middle one. */
export function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? NaN;
}

if (import.meta.main) {
  const { ours, crun } = await compare(Number(Deno.args[0] ?? 100));
  const [mine, theirs] = [median(ours), median(crun)];
  console.log(
    `here ${mine.toFixed(2)} ms, crun ${theirs.toFixed(2)} ms, ratio ${(mine / theirs).toFixed(2)}`,
  );
}

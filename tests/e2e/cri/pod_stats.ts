/**
 * Statistics of a pod, which an engine reads from the pod's cgroup on the host.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { PodSandboxStats } from "../../../rpc/gen/cri_pb.ts";
import type { Pod } from "./node.ts";

/** Asks for the statistics of one pod, and of all: it has used processors, and has these containers. */
export async function checkPodStats(pod: Pod, containers: readonly string[]): Promise<void> {
  const { runtime } = pod.node;
  const { stats } = await runtime.podSandboxStats({ podSandboxId: pod.id });
  check(stats, pod, containers);
  const all = (await runtime.listPodSandboxStats({})).stats;
  check(all.find(({ attributes }) => attributes?.id === pod.id), pod, containers);
}

function check(stats: PodSandboxStats | undefined, { id }: Pod, containers: readonly string[]): void {
  assert.equal(stats?.attributes?.id, id);
  const { cpu, process, containers: list } = stats?.linux ?? {};
  assert((cpu?.usageCoreNanoSeconds?.value ?? 0n) > 0n, "its virtual CPUs have run");
  assert(
    (process?.processCount?.value ?? 0n) >= BigInt(containers.length),
    String(process?.processCount?.value),
  );
  assert.deepEqual(list?.map(({ attributes }) => attributes?.id).sort(), [...containers].sort());
}

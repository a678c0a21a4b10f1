/**
 * A containerd of the next generation, which creates pods in two ways; the installed one where it cannot be had.
 *
 * @module
 */

import assert from "node:assert/strict";
import { newerContainerd } from "../../tools/newer_containerd.ts";
import { ContainerState, PodSandboxState } from "../../rpc/gen/cri_pb.ts";
import { type NodeOptions, startNode } from "./cri/node.ts";
import { checkPodStats } from "./cri/pod_stats.ts";
import { podCgroup } from "./host_cgroups.ts";
import { leaksSince, ownId, traces } from "./leaks.ts";

/** The ways of creating pods that there are to try, by the options of a node. */
async function ways(): Promise<NodeOptions[]> {
  try {
    const { folder, version } = await newerContainerd();
    console.log(`containerd ${version}`);
    return [{ containerd: folder, sandboxer: "podsandbox" }, { containerd: folder, sandboxer: "shim" }];
  } catch (error) {
    console.log(`only the installed containerd: ${error instanceof Error ? error.message : error}`);
    return [{}];
  }
}

Deno.test("the newest containerd that there is runs pods, and finds them again", async () => {
  const options = await ways();
  const before = await traces();
  await Promise.all(options.map(tryOut));
  assert.deepEqual(await leaksSince(before), []);
});

async function tryOut(options: NodeOptions): Promise<void> {
  const cgroup = ownId(`newer${options.sandboxer ?? ""}`);
  using _own = podCgroup(cgroup);
  await using node = await startNode(options);
  const pod = await node.runPod({ linux: { cgroupParent: `/${cgroup}` } });
  const [first, second] = [
    await pod.run("first", "echo up; sleep 1000"),
    await pod.run("second", "sleep 1000"),
  ];
  assert.deepEqual(await pod.exec(first, "hostname; exit 3"), { code: 3, stdout: "pod1\n", stderr: "" });

  await node.containerd.stop("SIGKILL");
  await node.containerd.start();
  await node.ready();
  const { items } = await node.runtime.listPodSandbox({});
  assert.deepEqual(items.map(({ state }) => state), [PodSandboxState.SANDBOX_READY]);
  const { containers } = await node.runtime.listContainers({});
  assert.deepEqual(containers.map(({ state }) => state), Array(2).fill(ContainerState.CONTAINER_RUNNING));
  assert.equal((await pod.exec(second, "exit 4")).code, 4);
  const { stats } = await node.runtime.containerStats({ containerId: first });
  assert(Number(stats?.memory?.workingSetBytes?.value) > 0);
  await checkPodStats(pod, [first, second]);
  assert.deepEqual(await pod.runToEnd("third", "echo out; exit 5"), {
    output: "out\n",
    code: 5,
    reason: "Error",
  });

  await node.runtime.stopContainer({ containerId: second });
  assert.equal((await pod.exited(second)).exitCode, 137);
  assert.equal(await pod.output(first), "up\n");
  await pod.stop();
  await pod.remove();
  assert.deepEqual((await node.runtime.listPodSandbox({})).items, []);
}

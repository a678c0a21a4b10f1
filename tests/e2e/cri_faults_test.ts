/**
 * Pods whose parts break, and an engine that is killed: a node agent has to see what is, and can always clean up.
 *
 * @module
 */

import assert from "node:assert/strict";
import { ContainerState, PodSandboxState } from "../../rpc/gen/cri_pb.ts";
import { type CriNode, type Pod, startNode } from "./cri/node.ts";
import { until } from "./containerd.ts";
import { leaksSince, traces } from "./leaks.ts";
import { kill } from "./victims.ts";

/** Status of a process that nobody could ask for it. */
const UNKNOWN = 255;

Deno.test("pods in distress", async (t) => {
  const before = await traces();
  {
    await using node = await startNode();
    const script = "while :; do date +%s.%N; sleep 0.2; done";
    const start = async () => {
      const pod = await node.runPod();
      return { pod, ids: [await pod.run("one", script), await pod.run("two", "sleep 1000")] };
    };
    const [healthy, ...others] = await Promise.all([start(), start(), start()]);

    await t.step("an engine that is killed and started again finds its pods as they were", async () => {
      const first = await healthy.pod.output(healthy.ids[0] ?? "");
      await node.containerd.stop("SIGKILL");
      await node.containerd.start();
      await node.ready();
      const { items } = await node.runtime.listPodSandbox({});
      assert.deepEqual(items.map(({ state }) => state), items.map(() => PodSandboxState.SANDBOX_READY));
      assert.equal(items.length, 3);
      const { containers } = await node.runtime.listContainers({});
      assert.deepEqual(containers.map(({ state }) => state), Array(6).fill(ContainerState.CONTAINER_RUNNING));
      const [id = ""] = healthy.ids;
      assert.equal((await healthy.pod.exec(id, "exit 5")).code, 5);
      await until(
        "output is logged again",
        async () => (await healthy.pod.output(id)).length > first.length + 40,
      );
      const third = await healthy.pod.runToEnd("three", "exit 3");
      assert.equal(third.code, 3);
    });

    for (const [index, role] of (["qemu", "virtiofsd"] as const).entries()) {
      await t.step(`the death of ${role} ends the containers of its pod, and no other`, async () => {
        const victim = others[index];
        assert(victim);
        await kill(role, victim.pod.id);
        for (const id of victim.ids) {
          const { exitCode, state } = await victim.pod.exited(id);
          assert.deepEqual([exitCode, state], [UNKNOWN, ContainerState.CONTAINER_EXITED]);
        }
        await until("the pod is not ready", async () => await stateOf(node, victim.pod) === "not ready");
        await assert.rejects(victim.pod.run("late", "true"));
        assert.equal(await stateOf(node, healthy.pod), "ready");
        await goodbye(node, victim);
      });
    }

    await t.step("stopping and removing, in any order and twice", async () => {
      const { pod, ids: [first = "", second = ""] } = healthy;
      await node.runtime.removeContainer({ containerId: second });
      await pod.stop();
      await node.runtime.stopContainer({ containerId: first });
      await goodbye(node, healthy);
      await node.runtime.removeContainer({ containerId: first });
    });

    await t.step("without a shim there is no pod, and removing it works", async () => {
      const victim = await start();
      await kill("shim", victim.pod.id);
      for (const id of victim.ids) await victim.pod.exited(id);
      await until("the pod is not ready", async () => await stateOf(node, victim.pod) === "not ready");
      await goodbye(node, victim);
    });
  }
  assert.deepEqual(await leaksSince(before), []);
});

async function goodbye(node: CriNode, { pod }: { pod: Pod }): Promise<void> {
  await pod.stop();
  await pod.stop();
  assert.equal(await stateOf(node, pod), "not ready");
  await pod.remove();
  await pod.remove();
  assert.equal(await stateOf(node, pod), undefined);
}

async function stateOf(node: CriNode, { id }: Pod): Promise<"ready" | "not ready" | undefined> {
  const { items } = await node.runtime.listPodSandbox({});
  const state = items.find((item) => item.id === id)?.state;
  if (state === undefined) return undefined;
  return state === PodSandboxState.SANDBOX_READY ? "ready" : "not ready";
}

/**
 * Pods whose guest hangs, whose creation is given up, and whose engine is killed at the worst moments: what a node
 * agent asks for ends in bounded time, and a pod is in order or gone.
 *
 * @module
 */

import assert from "node:assert/strict";
import { ContainerState, PodSandboxState } from "../../rpc/gen/cri_pb.ts";
import { pause, until } from "./containerd.ts";
import { type CriNode, type Pod, startNode } from "./cri/node.ts";
import { isOurs, leaksSince, traces } from "./leaks.ts";
import { pidsOf, type Victim } from "./victims.ts";

/** How long what ends a container may take, in milliseconds: more than the watchdog's patience. */
const STOP_MS = 120_000;

Deno.test("guests that hang, and creations that are given up", async (t) => {
  const before = await traces();
  {
    await using node = await startNode();
    const pods = await Promise.all([node.runPod(), node.runPod()]);
    const [hung, restarted] = pods;
    const ids: [string, string] = [await hung.run("one", "sleep 1000"), await hung.run("two", "sleep 1000")];
    const [machine = 0] = await pidsOf("qemu", hung.id);
    Deno.kill(machine, "SIGSTOP");
    const stopped = stopImpatiently(node, hung, ids[0]);
    // it takes a while: the step that looks at it says what went wrong
    stopped.catch(() => {});

    await t.step("a pod that is given up while it boots is gone", () => givenUp(node));

    await t.step(
      "a pod whose guest hangs is stopped and removed, and a container's end is known",
      async () => {
        await stopped;
        for (const id of ids) {
          const { state, exitCode } = await hung.status(id);
          assert.equal(state, ContainerState.CONTAINER_EXITED);
          assert([137, 255].includes(exitCode), String(exitCode));
        }
        // found out because it is asked to end, long before the watchdog
        assert.match(node.containerd.log, new RegExp(`its machine has not run for.*sandbox=${hung.id}`));
        await hung.remove();
        assert.equal((await node.runtime.listPodSandbox({})).items.length, 1);
        assert.deepEqual(await pidsOf("shim", hung.id), []);
      },
    );

    await t.step(
      "the engine is killed while a container is created",
      () => engineDiesAtCreation(node, restarted),
    );
    await t.step(
      "the engine is killed while a container is stopped",
      () => engineDiesAtStop(node, restarted),
    );
    await t.step("the engine is killed while a pod boots", () => engineDiesAtBoot(node));
    await restarted.stop();
    await restarted.remove();
    assert.deepEqual((await node.runtime.listPodSandbox({})).items, []);
  }
  assert.deepEqual(await leaksSince(before), []);
});

/** As a node agent that asks twice, for a container and for the pod, and meanwhile probes. */
async function stopImpatiently(node: CriNode, pod: Pod, containerId: string): Promise<void> {
  const { runtime } = node;
  const limit = { timeoutMs: STOP_MS };
  const podSandboxId = pod.id;
  await Promise.all([
    assert.rejects(runtime.execSync({ containerId, cmd: ["true"], timeout: 50n }, limit)),
    runtime.stopContainer({ containerId, timeout: 0n }, limit),
    runtime.stopContainer({ containerId, timeout: 1n }, limit),
    stopTwice(node, podSandboxId, limit),
  ]);
}

/**
 * Asks for the pod's stop twice at once. CNI's plugins do not lock: one of two that take the same link away may find
 * it gone, and the engine then answers with that. A node agent asks again, and that has to succeed.
 */
async function stopTwice(
  { runtime }: CriNode,
  podSandboxId: string,
  limit: { timeoutMs: number },
): Promise<void> {
  const stop = () => runtime.stopPodSandbox({ podSandboxId }, limit);
  for (const outcome of await Promise.allSettled([stop(), stop()])) {
    if (outcome.status === "rejected") assert.match(String(outcome.reason), /failed to destroy network/);
  }
  await stop();
}

/** Processes of all pods of this test. */
async function all(role: Victim): Promise<number[]> {
  const pids = await pidsOf(role, "[0-9a-f]{64}");
  const own = await Promise.all(pids.map(isOurs));
  return pids.filter((_, index) => own[index]);
}

async function restart({ containerd }: CriNode): Promise<void> {
  await containerd.stop("SIGKILL");
  await containerd.start();
}

/** Waits until a machine beside those that are known is there. @returns its pid */
async function booting(known: readonly number[]): Promise<number> {
  let found: number | undefined;
  await until("a machine boots", async () => {
    found = (await all("qemu")).find((pid) => !known.includes(pid));
    return found !== undefined;
  });
  return found ?? assert.fail();
}

async function givenUp(node: CriNode): Promise<void> {
  const known = await all("qemu");
  const config = node.podConfig();
  const request = { config, runtimeHandler: "kata" };
  const patience = new AbortController();
  const running = assert.rejects(node.runtime.runPodSandbox(request, { signal: patience.signal }));
  const machine = await booting(known);
  patience.abort();
  await running;
  await until("the machine is gone", async () => !(await all("qemu")).includes(machine));
  // a node agent asks again with the same name, and gets a pod
  let podSandboxId = "";
  await until("its name is free", async () => {
    try {
      ({ podSandboxId } = await node.runtime.runPodSandbox(request));
      return true;
    } catch (error) {
      assert.match(String(error), /reserved/);
      return false;
    }
  });
  await node.runtime.stopPodSandbox({ podSandboxId });
  await node.runtime.removePodSandbox({ podSandboxId });
}

async function engineDiesAtCreation(node: CriNode, pod: Pod): Promise<void> {
  const stays = await pod.run("stays", "sleep 1000");
  // a creation that is faster than the engine's end has succeeded, and another one is tried
  for (let tries = 1, isBroken = false; !isBroken; tries++) {
    assert.ok(tries <= 10, "no creation was broken off");
    const creation = pod.run("created", "sleep 1000").then(() => false, () => true);
    await pause(100);
    await restart(node);
    isBroken = await creation;
    await node.ready();
    assert.equal((await pod.exec(stays, "exit 3")).code, 3);
  }
  // whatever became of it: another try with the next number works, as node agents do it
  const id = await pod.run("created", "sleep 1000");
  assert.equal((await pod.status(id)).state, ContainerState.CONTAINER_RUNNING);
  const { containers } = await node.runtime.listContainers({ filter: { podSandboxId: pod.id } });
  for (const { id: other } of containers) {
    if (other === stays) continue;
    await node.runtime.stopContainer({ containerId: other, timeout: 0n });
    await node.runtime.removeContainer({ containerId: other });
  }
}

async function engineDiesAtStop(node: CriNode, pod: Pod): Promise<void> {
  const { runtime } = node;
  const id = await pod.run("deaf", "trap '' TERM; echo up; while :; do sleep 1; done");
  await until("it is deaf", async () => await pod.output(id) === "up\n");
  const stop = assert.rejects(runtime.stopContainer({ containerId: id, timeout: 30n }));
  await pause(500);
  await restart(node);
  await stop;
  await node.ready();
  assert.equal((await pod.status(id)).state, ContainerState.CONTAINER_RUNNING);
  await runtime.stopContainer({ containerId: id, timeout: 1n });
  assert.equal((await pod.status(id)).exitCode, 137);
  await runtime.removeContainer({ containerId: id });
}

/** A pod that its engine does not know, or knows to be not ready, can be removed, and takes everything with it. */
async function engineDiesAtBoot(node: CriNode): Promise<void> {
  const { items: before } = await node.runtime.listPodSandbox({});
  const known = await all("qemu");
  const request = { config: node.podConfig(), runtimeHandler: "kata" };
  const running = assert.rejects(node.runtime.runPodSandbox(request));
  const machine = await booting(known);
  await restart(node);
  await running;
  await node.ready();
  const { items } = await node.runtime.listPodSandbox({});
  for (const { id, state } of items) {
    if (before.some((pod) => pod.id === id)) continue;
    assert.equal(state, PodSandboxState.SANDBOX_NOTREADY);
    await node.runtime.stopPodSandbox({ podSandboxId: id });
    await node.runtime.removePodSandbox({ podSandboxId: id });
  }
  await until("the machine is gone", async () => !(await all("qemu")).includes(machine));
  await until("its shim is gone", async () => (await all("shim")).length === before.length);
}

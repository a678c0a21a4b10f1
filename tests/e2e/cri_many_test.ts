/**
 * Many pods at once, and a host that is as it was.
 *
 * @module
 */

import assert from "node:assert/strict";
import { run } from "../../tools/process.ts";
import { type Pod, startNode } from "./cri/node.ts";
import { until } from "./containerd.ts";
import { leaksSince, traces } from "./leaks.ts";

/** How many run at the same time. */
const PODS = 20;

/** How many boot at the same time: without hardware support each takes a processor for seconds. */
const BOOTS = 5;

Deno.test("twenty pods created and deleted in parallel leave the host as it was", async () => {
  const before = await traces();
  {
    await using node = await startNode();
    const host = await hostState();
    const pods: Pod[] = [];
    const create = async () => {
      while (pods.length < PODS) {
        const index = pods.length;
        pods.length++;
        const pod = pods[index] = await node.runPod();
        const id = await pod.run("app", `echo pod ${index}; sleep 1000`);
        await until("it has written", async () => await pod.output(id) === `pod ${index}\n`, 120_000);
      }
    };
    await Promise.all(Array.from({ length: BOOTS }, create));
    await Promise.all(pods.map(async (pod) => {
      await pod.stop();
      await pod.remove();
    }));
    let left: string[] = [];
    await until("nothing is left", async () => {
      left = (await hostState()).filter((entry) => !host.includes(entry));
      return left.length === 0;
    }).catch((error) => assert.fail(`${error.message}: ${left.join(", ")}`));
  }
  assert.deepEqual(await leaksSince(before), []);
});

/** What there is of a kind, one line each. */
async function hostState(): Promise<string[]> {
  const [links, qdiscs, cgroups, namespaces] = await Promise.all([
    run(["ip", "-o", "link"]),
    run(["tc", "qdisc"]),
    run(["find", "/sys/fs/cgroup", "-type", "d"]),
    run(["ls", "/run/netns"]).catch(() => ""),
  ]);
  const mounts = await Deno.readTextFile("/proc/self/mountinfo");
  const state = { links, qdiscs, cgroups, namespaces, mounts };
  return Object.entries(state).flatMap(([kind, text]) =>
    text.trim().split("\n").map((line) => `${kind}: ${line}`)
  );
}

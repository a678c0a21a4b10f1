/**
 * Many pods at once, and a host that is as it was.
 *
 * @module
 */

import assert from "node:assert/strict";
import { run } from "../../tools/process.ts";
import { type CriNode, type Pod, startNode } from "./cri/node.ts";
import { until } from "./containerd.ts";
import { leaksSince, traces } from "./leaks.ts";

/** How many run at the same time. */
const PODS = 20;

/** How many boot at the same time: without hardware support each takes a processor for seconds. */
const BOOTS = 5;

Deno.test("twenty pods created and deleted in parallel leave the host as it was", async () => {
  const before = await traces();
  {
    await using node = await startNode({ ownNetwork: true });
    const host = await hostState(node, []);
    const pods: Pod[] = [];
    const containers: string[] = [];
    const create = async () => {
      while (pods.length < PODS) {
        const index = pods.length;
        pods.length++;
        const pod = pods[index] = await node.runPod();
        const id = await pod.run("app", `echo pod ${index}; sleep 1000`);
        containers.push(id);
        await until("it has written", async () => await pod.output(id) === `pod ${index}\n`, 120_000);
      }
    };
    await Promise.all(Array.from({ length: BOOTS }, create));
    const ids = [...pods.map(({ id }) => id), ...containers];
    // what is looked for can be seen while it is there
    const busy = await hostState(node, ids);
    for (const kind of ["links", "qdiscs", "mounts"]) {
      const count = (state: string[]) => state.filter((line) => line.startsWith(`${kind}: `)).length;
      assert(count(busy) >= count(host) + PODS, `${kind}:\n${busy.join("\n")}`);
    }
    await Promise.all(pods.map(async (pod) => {
      await pod.stop();
      await pod.remove();
    }));
    let left: string[] = [];
    await until("nothing is left", async () => {
      left = (await hostState(node, ids)).filter((entry) => !host.includes(entry));
      return left.length === 0;
    }).catch((error) => assert.fail(`${error.message}: ${left.join(", ")}`));
  }
  assert.deepEqual(await leaksSince(before), []);
});

/**
 * What there is of a kind on the host, one line each, as far as it is the node's: others come and go at any time.
 *
 * @param ids of pods and containers, after which cgroups are named
 */
async function hostState({ containerd }: CriNode, ids: readonly string[]): Promise<string[]> {
  const inNetwork = ["nsenter", `--target=${containerd.pid}`, "--net"];
  const [links, qdiscs, cgroups] = await Promise.all([
    run([...inNetwork, "ip", "-o", "link"]),
    run([...inNetwork, "tc", "qdisc"]),
    foldersBelow("/sys/fs/cgroup"),
  ]);
  const mounts = (await Deno.readTextFile("/proc/self/mountinfo")).split("\n");
  const state = {
    links: links.split("\n"),
    qdiscs: qdiscs.split("\n"),
    cgroups: cgroups.filter((path) => ids.some((id) => path.includes(id))),
    // network namespaces are mounted there, too
    mounts: mounts.filter((line) => line.includes(containerd.folder)),
  };
  return Object.entries(state).flatMap(([kind, lines]) =>
    lines.filter((line) => line !== "").map((line) => `${kind}: ${line}`)
  );
}

/** Paths of all folders below one; those that vanish meanwhile are left out. */
async function foldersBelow(folder: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
  const paths = entries.filter(({ isDirectory }) => isDirectory).map(({ name }) => `${folder}/${name}`);
  return [...paths, ...(await Promise.all(paths.map(foldersBelow))).flat()];
}

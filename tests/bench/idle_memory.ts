import { startContainerd } from "../e2e/containerd.ts";
import type { Row } from "./table.ts";

/** Row of design.md: private memory of the shim's daemon, idle with one container. */
export async function idleMemoryRow(rootfs: string): Promise<Row> {
  await using containerd = await startContainerd();
  const id = `idle-${crypto.randomUUID().slice(0, 8)}`;
  await containerd.runDetached(id, rootfs, ["sleep", "3600"]);
  const before = await containerd.shimPid(id);
  // what the start has used is given back when the daemon has been idle for a moment
  await new Promise((resolve) => setTimeout(resolve, 15_000));
  const rollup = await Deno.readTextFile(`/proc/${before}/smaps_rollup`);
  const kib = [...rollup.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm)]
    .reduce((sum, match) => sum + Number(match[1]), 0);
  await containerd.ctr(["task", "rm", "--force", id]);
  return {
    what: "shim daemon idle with one container, private memory",
    value: kib / 1024,
    reference: 0,
    unit: "MiB",
    figure: kib / 1024,
    budget: 30,
    referenceName: "",
  };
}

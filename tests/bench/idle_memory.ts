import { type Containerd, startContainerd } from "../e2e/containerd.ts";
import type { Row } from "./table.ts";

/** What the start has used is given back when the daemon has been idle for a moment. */
const SETTLE_MS = 15_000;

/**
 * Row of design.md: private memory of the shim's daemon, idle with one container.
 *
 * Measured beside a second one: pages of the executable that the kernel has for all of them count as private to a
 * process that happens to be alone.
 */
export async function idleMemoryRow(rootfs: string): Promise<Row> {
  await using containerd = await startContainerd();
  const ids = ["idle", "other"].map((name) => `${name}-${crypto.randomUUID().slice(0, 8)}`);
  for (const id of ids) await containerd.runDetached(id, rootfs, ["sleep", "3600"]);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const [mib = 0] = await Promise.all(ids.map((id) => privateMib(containerd, id)));
  for (const id of ids) await containerd.ctr(["task", "rm", "--force", id]);
  return {
    what: "shim daemon idle with one container, private memory",
    value: mib,
    reference: 0,
    unit: "MiB",
    figure: mib,
    budget: 30,
    referenceName: "",
  };
}

/** Memory of a container's shim that no other process has, in MiB. */
async function privateMib(containerd: Containerd, id: string): Promise<number> {
  const rollup = await Deno.readTextFile(`/proc/${await containerd.shimPid(id)}/smaps_rollup`);
  const lines = rollup.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm);
  return [...lines].reduce((sum, [, kib]) => sum + Number(kib), 0) / 1024;
}

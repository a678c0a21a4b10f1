import assert from "node:assert/strict";
import { writeConfiguration } from "../e2e/configuration.ts";
import { counts, cycle, startPod } from "../e2e/cycles.ts";
import { startShim } from "../e2e/direct_shim.ts";
import { ownId } from "../e2e/leaks.ts";
import { temporaryRootfs } from "../e2e/rootfs.ts";
import type { Row } from "./table.ts";

const CYCLES = 100;

/** How much a collected heap may be above its last size, in MiB. */
const BUDGET_MIB = 8;

/**
 * Row of design.md: a hundred containers created and deleted; descriptors, mounts, processes and files have to be as
 * many as before, and memory is the figure.
 *
 * @throws {Error} something is left
 */
export async function cyclesRow(): Promise<Row> {
  await using rootfs = await temporaryRootfs();
  await using shim = await startShim(ownId("bench"), { configuration: writeConfiguration(rootfs.folder) });
  await startPod(shim, rootfs);
  await cycle(shim, rootfs, "w", CYCLES / 2);
  const [before, kib] = await counts(shim);
  await cycle(shim, rootfs, "c", CYCLES);
  const [after, kibAfter] = await counts(shim);
  assert.deepEqual(after, before, "what the pod's processes have, before and after");
  const mib = (kibAfter - kib) / 1024;
  return {
    what: `${CYCLES} containers created and deleted, growth of the shim's memory`,
    value: mib,
    reference: 0,
    unit: "MiB",
    figure: mib,
    budget: BUDGET_MIB,
    referenceName: "",
  };
}

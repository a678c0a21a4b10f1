/**
 * Containers of a pod, one after the other: the host is as it was after the first ones.
 *
 * @module
 */

import assert from "node:assert/strict";
import { writeConfiguration } from "./configuration.ts";
import { counts, cycle, startPod } from "./cycles.ts";
import { startShim } from "./direct_shim.ts";
import { leaksSince, ownId, traces } from "./leaks.ts";
import { temporaryRootfs } from "./rootfs.ts";

/** What is loaded, cached and optimised by then does not count. */
const WARM_UP = 8;
const CYCLES = 30;

/** Room for the ups and downs of a collected heap, in KiB. */
const ROOM_KIB = 12 << 10;

Deno.test("containers that come and go leave nothing in a pod's processes and on the host", async () => {
  const before = await traces();
  {
    await using rootfs = await temporaryRootfs();
    const configuration = writeConfiguration(rootfs.folder);
    await using shim = await startShim(ownId("cycles"), { configuration });
    await startPod(shim, rootfs);
    await cycle(shim, rootfs, "w", WARM_UP);
    const [counted, kib] = await counts(shim);
    await cycle(shim, rootfs, "c", CYCLES);
    const [countedAfter, kibAfter] = await counts(shim);
    assert.deepEqual(countedAfter, counted);
    assert.ok(kibAfter - kib < ROOM_KIB, `the shim's memory: ${kib} KiB, then ${kibAfter}`);
  }
  assert.deepEqual(await leaksSince(before), []);
});

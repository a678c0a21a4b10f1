/**
 * `deno task bench`: the rows of the budget table, each against a reference taken in the same run.
 *
 * @module
 */

import { makeCrunRootfs } from "../tests/bench/crun_rootfs.ts";
import { cyclesRow } from "../tests/bench/cycles.ts";
import { fileRows } from "../tests/bench/files.ts";
import { idleMemoryRow } from "../tests/bench/idle_memory.ts";
import { networkRows } from "../tests/bench/network.ts";
import { coldSandboxRow, guestProcessRows } from "../tests/bench/sandbox.ts";
import { emptyScript, shimStartRow, startupRows, statusRows } from "../tests/bench/startup.ts";
import { format, type Row } from "../tests/bench/table.ts";
import { makeGuest } from "./guest.ts";
import { DIST } from "./paths.ts";

await makeGuest();
const folder = await Deno.makeTempDir({ prefix: "kata-bench-" });
try {
  for (const name of ["kata-runtime", "containerd-shim-kata-v2"]) {
    await Deno.symlink(`${DIST}/kata`, `${folder}/${name}`);
  }
  const rootfs = await makeCrunRootfs(`${folder}/rootfs`);
  const empty = await emptyScript(folder);
  const built = { bin: folder };
  const bench = { dist: DIST, rootfs, folder };
  const rows: Row[] = [];
  const measure = async (what: string, rowsOf: () => Promise<Row | Row[]>) => {
    console.error(`==> ${what}`);
    rows.push(...[await rowsOf()].flat());
  };
  await measure("start-up", () => startupRows(built, empty));
  await measure("check and env", () => statusRows(built, empty, `${DIST}/configuration.toml`));
  await measure("shim start", () => shimStartRow(built, empty, folder));
  await measure("idle daemon", () => idleMemoryRow(rootfs));
  await measure("cold sandbox", () => coldSandboxRow(bench));
  await measure("processes in a guest", () => guestProcessRows(bench));
  await measure("a hundred containers", cyclesRow);
  await measure("files", () => fileRows(bench));
  await measure("network", () => networkRows(bench));
  console.log(format(rows));
} finally {
  await Deno.remove(folder, { recursive: true });
}

/** The memory of a guest that panicked, written to a file of the host. */

import { statfs } from "../../sys/statfs.ts";
import type { VmConfig } from "../vmm.ts";
import type { QmpClient } from "./qmp.ts";

const MIB = 1_048_576;

/** Free space that a dump needs, as a multiple of the memory: it must not fill the host's disk. */
const SPACE_FACTOR = 2;

/** How long writing may take, in milliseconds. */
const DUMP_MS = 300_000;

/** What is written, beside what the dump is for. */
export type DumpConfig = Pick<VmConfig, "id" | "memoryMiB" | "memoryDump" | "hypervisorPath" | "kernel">;

/**
 * Writes the memory, as `vmcore-<time>.elf`, with what one needs to read it, into a folder of the sandbox's own.
 *
 * @param args QEMU's command line
 * @returns a sentence about what was written, or why nothing was
 */
export async function dumpMemory(
  qmp: Pick<QmpClient, "execute">,
  config: DumpConfig,
  args: readonly string[],
): Promise<string> {
  const { memoryDump } = config;
  if (memoryDump === undefined) return "memory is not to be dumped";
  const folder = `${memoryDump.folder}/${config.id}`;
  try {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    const needed = SPACE_FACTOR * config.memoryMiB * MIB;
    const { blockSize, blocksFree } = statfs(folder);
    const free = blockSize * blocksFree;
    if (free < needed) {
      return `the guest's memory is not dumped: "${folder}" must have ${needed} bytes free, and has ${free}`;
    }
    const description = { hypervisor: config.hypervisorPath, kernel: config.kernel, arguments: args };
    await Deno.writeTextFile(`${folder}/hypervisor.conf`, `${JSON.stringify(description, null, 2)}\n`);
    await Deno.writeTextFile(
      `${folder}/hypervisor.version`,
      `${JSON.stringify(await qmp.execute("query-version"))}\n`,
    );
    const file = `${folder}/vmcore-${timeStamp(new Date())}.elf`;
    const options = { paging: memoryDump.paging, protocol: `file:${file}`, format: "elf" };
    await qmp.execute("dump-guest-memory", options, { timeoutMs: DUMP_MS });
    return `the guest's memory was dumped to "${file}"`;
  } catch (error) {
    return `the guest's memory could not be dumped to "${folder}": ${
      error instanceof Error ? error.message : error
    }`;
  }
}

/** `YYYYMMDDhhmmss.mmm`, in UTC. */
function timeStamp(time: Date): string {
  return time.toISOString().replace(/[-:TZ]/g, "");
}

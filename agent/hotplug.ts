import { failedPrecondition } from "./errors.ts";
import { delay } from "../sys/timer.ts";

const CPUS = "/sys/devices/system/cpu";
const MEMORY = "/sys/devices/system/memory";

/** How often and at which distance CPUs that the host has promised are looked for: five seconds in all. */
const ONLINE_TRIES = 100;
const ONLINE_PAUSE_MS = 50;

/**
 * Puts CPUs into use until `count` are.
 *
 * A CPU that the host has just plugged in may take a moment to appear.
 *
 * @throws {RpcError} `FailedPrecondition` if there are fewer in the end
 */
export async function onlineCpus(count: number, folder: string = CPUS): Promise<void> {
  for (let attempt = 0;; attempt++) {
    const online = switchOnCpus(count, folder);
    if (online >= count) return;
    if (attempt === ONLINE_TRIES) {
      throw failedPrecondition(`cannot bring ${count} CPUs into use: the guest has ${online}`);
    }
    await delay(ONLINE_PAUSE_MS);
  }
}

/** One pass over the CPUs; returns how many are in use. */
function switchOnCpus(wanted: number, folder: string): number {
  const offline: string[] = [];
  let online = 0;
  for (const name of namesOf(folder, /^cpu[0-9]+$/)) {
    const file = `${folder}/${name}/online`;
    // A CPU that cannot be switched off has no such file.
    if (readFlag(file) ?? true) online++;
    else offline.push(file);
  }
  for (const file of offline.slice(0, Math.max(wanted - online, 0))) if (trySwitchOn(file)) online++;
  return online;
}

/** Puts all memory into use that the guest knows of. */
export function onlineMemory(folder: string = MEMORY): void {
  for (const name of namesOf(folder, /^memory[0-9]+$/)) {
    const file = `${folder}/${name}/online`;
    if (readFlag(file) === false) trySwitchOn(file);
  }
}

/** Tells a kernel that cannot notice by itself where memory has been plugged in. @param addresses physical, in bytes */
export function probeMemory(addresses: readonly bigint[], folder: string = MEMORY): void {
  const file = `${folder}/probe`;
  if (!isFile(file)) {
    throw failedPrecondition("the guest's kernel finds plugged-in memory by itself: it has no probe");
  }
  for (const address of addresses) {
    Deno.writeTextFileSync(file, `0x${address.toString(16).toUpperCase()}`, { create: false });
  }
}

/** Size of the blocks in which memory can be plugged in, in bytes; 0 if it cannot. */
export function memoryBlockSize(folder: string = MEMORY): bigint {
  try {
    const text = Deno.readTextFileSync(`${folder}/block_size_bytes`).trim();
    return BigInt(`0x${text}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0n;
    throw error;
  }
}

/** Whether {@link probeMemory} can work. */
export function hasMemoryProbe(folder: string = MEMORY): boolean {
  return isFile(`${folder}/probe`);
}

function namesOf(folder: string, pattern: RegExp): string[] {
  try {
    return Array.from(Deno.readDirSync(folder), (entry) => entry.name).filter((name) => pattern.test(name))
      .sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function readFlag(file: string): boolean | undefined {
  try {
    return Deno.readTextFileSync(file).trim() === "1";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function trySwitchOn(file: string): boolean {
  try {
    Deno.writeTextFileSync(file, "1", { create: false });
    return true;
  } catch {
    // It went away, or is not ready yet: the next pass tells.
    return false;
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

import { failedPrecondition } from "./errors.ts";
import { isFile } from "../sys/exists.ts";
import { delay } from "../sys/timer.ts";

const CPUS = "/sys/devices/system/cpu";
const MEMORY = "/sys/devices/system/memory";

/** How often and at which distance CPUs that the host has promised are looked for: five seconds in all. */
const ONLINE_TRIES = 100;
const ONLINE_PAUSE_MS = 50;

/**
 * Puts CPUs into use, or the last ones out of it, until there are `count`.
 *
 * A CPU that the host has just plugged in may take a moment to appear. One that the host cannot take out again, or that
 * was there at boot, is at least not used any more; the first is never switched off.
 *
 * @throws {RpcError} `FailedPrecondition` if there are fewer in the end
 */
export async function onlineCpus(count: number, folder: string = CPUS): Promise<void> {
  for (let attempt = 0;; attempt++) {
    const online = switchOnCpus(count, folder);
    if (online > count) switchOffCpus(online - count, folder);
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
  for (const file of switchesOf(folder)) {
    // A CPU that cannot be switched off has no such file.
    if (readFlag(file) ?? true) online++;
    else offline.push(file);
  }
  for (const file of offline.slice(0, Math.max(wanted - online, 0))) if (trySwitch(file, "1")) online++;
  return online;
}

/** The last ones first; one that stays in use, as something needs it, does no harm. */
function switchOffCpus(count: number, folder: string): void {
  const online = switchesOf(folder).filter((file) =>
    !file.endsWith("/cpu0/online") && readFlag(file) === true
  );
  for (const file of online.slice(-count)) trySwitch(file, "0");
}

/** The CPUs' switches, by their numbers. */
function switchesOf(folder: string): string[] {
  const number = (name: string) => Number(name.slice("cpu".length));
  const names = namesOf(folder, /^cpu[0-9]+$/).sort((a, b) => number(a) - number(b));
  return names.map((name) => `${folder}/${name}/online`);
}

/** Online policy for plugged-in memory: "auto-movable" keeps it free of unmovable pages, if there is enough memory. */
const ONLINE_POLICY = "/sys/module/memory_hotplug/parameters/online_policy";

/**
 * Makes the kernel online memory as soon as it is plugged in, movable where possible so that it can be unplugged.
 */
export function welcomeMemory(folder: string = MEMORY, policy: string = ONLINE_POLICY): void {
  // neither is there in a kernel that cannot be given memory; the policy came with Linux 5.15
  trySwitch(policy, "auto-movable");
  trySwitch(`${folder}/auto_online_blocks`, "online");
}

/** Puts all memory into use that the guest knows of. */
export function onlineMemory(folder: string = MEMORY): void {
  for (const name of namesOf(folder, /^memory[0-9]+$/)) {
    const file = `${folder}/${name}/online`;
    if (readFlag(file) === false) trySwitch(file, "1");
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

function trySwitch(file: string, value: string): boolean {
  try {
    Deno.writeTextFileSync(file, value, { create: false });
    return true;
  } catch {
    // It went away, or is not ready yet: the next pass tells.
    return false;
  }
}

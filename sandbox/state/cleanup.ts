/**
 * Undoes, from a fresh process, what a sandbox's dead owner left behind.
 *
 * Every step is idempotent and may have nothing to do: the owner may have died at any moment.
 *
 * @module
 */

import { removeTree } from "../../fs/remove_tree.ts";
import { unmountRootfs } from "../../fs/rootfs.ts";
import { detachBelow } from "../../fs/unmount.ts";
import type { SavedNetwork } from "../../net/saved.ts";
import { isErrno } from "../../sys/errors.ts";
import { killProcess } from "../../sys/process.ts";
import { SIGNALS } from "../../sys/signals.ts";
import { delay } from "../../sys/timer.ts";
import { type Log, reason } from "../log/log.ts";
import type { HostPaths } from "./paths.ts";
import { bootId, isAlive, type ProcessIdentity } from "./process_identity.ts";
import type { SavedHooks, SavedSandbox } from "./state.ts";
import { readState, type Reclaimed, StateFile } from "./state_file.ts";

/** How long a killed process may take to end, in milliseconds; only uninterruptible sleep takes long. */
const DEATH_TIMEOUT_MS = 10_000;
const POLL_MS = 10;

/** Undoes what a saved state describes, except for its own folder. */
export async function replay(saved: SavedSandbox, log: Log): Promise<void> {
  if (saved.bootId === bootId()) await killAll(saved.helpers, log);
  if (saved.network && saved.bootId === bootId()) await releaseNetwork(saved.network, log);
  if (saved.cgroups !== undefined && saved.cgroups.length > 0) await releaseCgroups(saved.cgroups, log);
  for (const path of [...saved.mounts].reverse()) attempt(() => unmountRootfs(path), log);
  for (const folder of saved.folders) removeFolder(folder, log);
  if (saved.hooks !== undefined) await runHooks(saved.hooks, log);
}

/**
 * Removes a sandbox in whatever state it is: first its owner, if still alive, then everything else.
 *
 * @param bundle of the sandbox's client: another client's sandbox with the same id is left alone
 * @returns what was saved about it, `undefined` if there was nothing
 * @throws {Error} the owner cannot be killed
 */
export async function destroySandbox(
  paths: HostPaths,
  { id, bundle }: { readonly id: string; readonly bundle: string },
  log: Log,
): Promise<SavedSandbox | undefined> {
  const known = await readState(`${paths.state}/${id}`);
  if (known !== undefined && known.bundle !== bundle) {
    log.write("info", `sandbox "${id}" belongs to bundle "${known.bundle}"`);
    return undefined;
  }
  let taken = await StateFile.reclaim(paths.state, id);
  if (taken === "alive") {
    // another process is just creating it: not the sandbox to remove
    if (known === undefined) return undefined;
    if (known.bootId === bootId()) await killAll([known.owner], log);
    taken = await reclaimSoon(paths, id);
  }
  if (taken === undefined) return known;
  await using file = taken.file;
  const saved = taken.saved ?? known;
  if (saved !== undefined) await replay(saved, log);
  else log.write("warning", `nothing was saved in "${file.folder}"`);
  return saved;
}

/**
 * Cleans up after every dead owner on this host: no other process returns to a sandbox with an id of its own.
 *
 * @returns what was saved of them
 */
export async function sweepDeadSandboxes(paths: HostPaths, log: Log): Promise<SavedSandbox[]> {
  const swept: SavedSandbox[] = [];
  for (const id of listNames(paths.state)) {
    const known = await readState(`${paths.state}/${id}`);
    // a folder without a saved state is being created at this moment
    if (known === undefined || (known.bootId === bootId() && isAlive(known.owner))) continue;
    const taken = await StateFile.reclaim(paths.state, id);
    if (taken === undefined || taken === "alive") continue;
    await using file = taken.file;
    log.write("info", `removing what sandbox "${id}" left in "${file.folder}"`);
    const saved = taken.saved ?? known;
    await replay(saved, log);
    swept.push(saved);
  }
  return swept;
}

function listNames(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch {
    // no sandbox was ever created
    return [];
  }
}

/** The lock of a killed process is free a moment later. */
async function reclaimSoon(paths: HostPaths, id: string): Promise<Reclaimed | undefined> {
  const deadline = performance.now() + DEATH_TIMEOUT_MS;
  while (true) {
    const taken = await StateFile.reclaim(paths.state, id);
    if (taken !== "alive") return taken;
    if (performance.now() > deadline) throw new Error(`sandbox "${id}" is still owned by a live process`);
    await delay(POLL_MS);
  }
}

/** Kills those that are still the processes that were saved, and waits until they are gone. */
async function killAll(processes: readonly ProcessIdentity[], log: Log): Promise<void> {
  const alive = processes.filter(isAlive);
  for (const process of alive) sendSignal(process, SIGNALS.SIGKILL, log);
  if (!await gone(alive, DEATH_TIMEOUT_MS)) log.write("warning", "a killed process is still there");
}

/** Asks a process to end, and kills it if it has not done so after this time. */
export async function endProcess(process: ProcessIdentity, graceMs: number, log: Log): Promise<void> {
  if (!isAlive(process)) return;
  sendSignal(process, SIGNALS.SIGTERM, log);
  if (!await gone([process], graceMs)) await killAll([process], log);
}

function sendSignal({ pid }: ProcessIdentity, signal: number, log: Log): void {
  log.write("info", `sending signal ${signal} to process ${pid}`);
  try {
    killProcess(pid, signal);
  } catch (error) {
    if (!isErrno(error, "ESRCH")) log.write("warning", reason(error));
  }
}

/** Processes of other parents can only be looked at again and again. */
async function gone(processes: readonly ProcessIdentity[], timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (processes.some(isAlive)) {
    if (performance.now() > deadline) return false;
    await delay(POLL_MS);
  }
  return true;
}

/** Removes a folder and whatever is mounted below it; what cannot be removed is logged and left. */
function removeFolder(folder: string, log: Log): void {
  attempt(() => {
    detachBelow(folder);
    removeTree(folder);
  }, log);
}

async function releaseCgroups(folders: readonly string[], log: Log): Promise<void> {
  try {
    const { removeCgroups } = await import("../cgroups/folders.ts");
    await removeCgroups(folders, log);
  } catch (error) {
    log.write("warning", reason(error));
  }
}

/** Few containers have hooks. */
async function runHooks(all: readonly SavedHooks[], log: Log): Promise<void> {
  if (all.length === 0) return;
  const { runLastHooks } = await import("./last_hooks.ts");
  for (const hooks of all) {
    await runLastHooks(hooks, log).catch((error) => log.write("warning", reason(error)));
  }
}

/** Few sandboxes leave anything behind in a namespace that outlives them. */
async function releaseNetwork(network: SavedNetwork, log: Log): Promise<void> {
  if (network.plans.length + (network.devices?.length ?? 0) === 0) return;
  try {
    const { undoNetwork } = await import("../../net/saved.ts");
    await undoNetwork(network);
  } catch (error) {
    log.write("warning", reason(error));
  }
}

/** Cleanup continues after a failure: the rest can still be released. */
function attempt(step: () => void, log: Log): void {
  try {
    step();
  } catch (error) {
    log.write("warning", reason(error));
  }
}

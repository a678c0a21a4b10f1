/**
 * The sandboxes of this host, read from their saved states and `/proc`.
 *
 * @module
 */

import { parseColonLines, TICKS_PER_SECOND } from "../../sys/proc.ts";
import { HOST_PATHS, type HostPaths } from "./paths.ts";
import { bootId, isAlive } from "./process_identity.ts";
import type { SavedSandbox } from "./state.ts";
import { readState } from "./state_file.ts";

/** A sandbox as it is listed. */
export interface ListedSandbox {
  readonly id: string;
  /** "dead" if its owner is gone and its resources have not been cleaned up yet */
  readonly state: SavedSandbox["state"] | "dead";
  /** Of the virtual machine; 0 if there is none. */
  readonly pid: number;
  /** Of the process that runs the sandbox. */
  readonly shimPid: number;
  /** Since the owner's start, in seconds; 0 if it is dead. */
  readonly ageSeconds: number;
  /** Resident memory of owner, machine and helpers; what they share counts in proportion. */
  readonly memoryBytes: number;
  readonly containers: readonly { readonly id: string; readonly state: string }[];
  readonly bundle: string;
}

/** An id that means none of them, or several. */
class SandboxIdError extends Error {
  override readonly name = "SandboxIdError";
}

/** All sandboxes, by id. */
export async function listSandboxes(paths: HostPaths = HOST_PATHS): Promise<ListedSandbox[]> {
  const states = await Promise.all(sandboxIds(paths).map((id) => readState(`${paths.state}/${id}`)));
  const uptime = Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]);
  // one that is just being made, or removed, has no state
  return states.filter((state) => state !== undefined).map((state) => listed(state, uptime));
}

/** Ids of all sandboxes, sorted. */
function sandboxIds(paths: HostPaths = HOST_PATHS): string[] {
  try {
    return [...Deno.readDirSync(paths.state)].map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new Error(`cannot read "${paths.state}": sandboxes are shown to root only`, { cause: error });
    }
    throw error;
  }
}

/** The rule for ids that users type; it keeps "/" out of paths. */
const ID = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/**
 * Checks an id that a user has typed.
 *
 * @throws {SandboxIdError}
 */
export function checkSandboxId(id: string): void {
  if (id === "") throw new SandboxIdError("ID cannot be blank");
  if (!ID.test(id)) {
    throw new SandboxIdError(`invalid container/sandbox ID (should match "${ID.source}"): it is "${id}"`);
  }
}

/**
 * The sandbox that a user means, by its id or a unique beginning of it. A text that matches none is returned unchanged:
 * sandboxes of other runtimes are not listed here.
 *
 * @throws {SandboxIdError} it is no id, or the beginning of several
 */
export function resolveSandboxId(typed: string, paths: HostPaths = HOST_PATHS): string {
  checkSandboxId(typed);
  const ids = sandboxIds(paths);
  if (ids.includes(typed)) return typed;
  const matches = ids.filter((id) => id.startsWith(typed));
  if (matches.length > 1) {
    throw new SandboxIdError(
      `"${typed}" is the beginning of ${matches.length} sandboxes: ${matches.join(", ")}`,
    );
  }
  return matches[0] ?? typed;
}

function listed(saved: SavedSandbox, uptime: number): ListedSandbox {
  const isRunning = saved.bootId === bootId() && isAlive(saved.owner);
  const processes = isRunning ? [saved.owner, ...saved.helpers.filter(isAlive)] : [];
  const vmm = saved.helpers.find(({ role }) => role === "vmm");
  return {
    id: saved.id,
    state: isRunning ? saved.state : "dead",
    pid: isRunning && vmm !== undefined && isAlive(vmm) ? vmm.pid : 0,
    shimPid: isRunning ? saved.owner.pid : 0,
    ageSeconds: isRunning ? Math.max(0, uptime - Number(saved.owner.startTime) / TICKS_PER_SECOND) : 0,
    memoryBytes: processes.reduce((sum, { pid }) => sum + memoryOf(pid), 0),
    containers: saved.containers.map(({ id, state }) => ({ id, state })),
    bundle: saved.bundle,
  };
}

/** In bytes; of a process that has just ended 0. */
function memoryOf(pid: number): number {
  for (const [file, key] of [["smaps_rollup", "Pss"], ["status", "VmRSS"]] as const) {
    try {
      const kib = parseColonLines(Deno.readTextFileSync(`/proc/${pid}/${file}`)).get(key);
      if (kib !== undefined) return kib * 1024;
    } catch {
      // an older kernel, another user's process, or one that has ended
    }
  }
  return 0;
}

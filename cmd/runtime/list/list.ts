/**
 * `kata-runtime list`.
 *
 * @module
 */

import { type ListedSandbox, listSandboxes } from "../../../sandbox/state/listing.ts";
import { print } from "../output.ts";
import type { ListFlags } from "./command.ts";

/** Prints the sandboxes of this host. */
export async function list(flags: ListFlags): Promise<void> {
  const sandboxes = await listSandboxes();
  if (flags.quiet) print(sandboxes.map(({ id }) => `${id}\n`).join(""));
  else if (flags.json) print(`${JSON.stringify(sandboxes.map(toJson), undefined, 2)}\n`);
  else print(table(sandboxes));
}

function toJson(sandbox: ListedSandbox) {
  const { id, state, pid, shimPid, ageSeconds, memoryBytes, containers, bundle } = sandbox;
  return {
    id,
    state,
    pid,
    shimPid,
    ageSeconds: Math.floor(ageSeconds),
    memory: memoryBytes,
    containers,
    bundle,
  };
}

const COLUMNS = ["ID", "STATE", "AGE", "PID", "MEMORY", "CONTAINERS"];
const GAP = 3;

/** Columns as wide as what is in them. */
export function table(sandboxes: readonly ListedSandbox[]): string {
  const rows = [COLUMNS, ...sandboxes.map(row)];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    cells.map((cell, column) => cell.padEnd((widths[column] ?? 0) + GAP)).join("").trimEnd();
  return rows.map((cells) => `${line(cells)}\n`).join("");
}

function row({ id, state, ageSeconds, pid, memoryBytes, containers }: ListedSandbox): string[] {
  const isDead = state === "dead";
  return [
    id,
    state,
    isDead ? "-" : age(ageSeconds),
    pid === 0 ? "-" : String(pid),
    isDead ? "-" : `${Math.round(memoryBytes / 2 ** 20)} MiB`,
    String(containers.length),
  ];
}

/** `12s`, `5m`, `3h20m`, `2d`. */
function age(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) return `${Math.floor(seconds)}s`;
  if (minutes < 60) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  return `${Math.floor(hours / 24)}d`;
}

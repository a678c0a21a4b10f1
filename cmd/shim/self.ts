/**
 * How to run this very program once more.
 *
 * @module
 */

import { isFile } from "../../sys/exists.ts";

/** A program and the arguments that must stand before any other. */
export interface SelfCommand {
  readonly path: string;
  readonly args: readonly string[];
}

/** The executable; run from its sources, it is `deno` and has to be told which. */
export function selfCommand(): SelfCommand {
  const path = Deno.execPath();
  // replaced since, as by an update: what goes on with it is to be the same program
  if (path.endsWith(" (deleted)") && !isFile(path)) return { path: `/proc/${Deno.pid}/exe`, args: [] };
  const fromSources = Deno.mainModule.startsWith("file://") && Deno.mainModule.endsWith("/main.ts");
  return { path, args: fromSources ? ["run", "-A", Deno.mainModule] : [] };
}

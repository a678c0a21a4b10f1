/**
 * How to run this very program once more.
 *
 * @module
 */

/** A program and the arguments that must stand before any other. */
export interface SelfCommand {
  readonly path: string;
  readonly args: readonly string[];
}

/** The executable; run from its sources, it is `deno` and has to be told which. */
export function selfCommand(): SelfCommand {
  const path = Deno.execPath();
  const fromSources = Deno.mainModule.startsWith("file://") && Deno.mainModule.endsWith("/main.ts");
  return { path, args: fromSources ? ["run", "-A", Deno.mainModule] : [] };
}

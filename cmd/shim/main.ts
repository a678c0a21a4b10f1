/**
 * `containerd-shim-kata-v2`: what containerd runs to start, serve and clean up a sandbox.
 *
 * @module
 */

import { FlagError, parseFlags, type ShimFlags } from "./flags.ts";

/**
 * Runs what the command line asks for.
 *
 * @param argv0 the name the program was called by
 * @returns the exit code
 */
export async function main(argv0: string, args: readonly string[]): Promise<number> {
  try {
    return await run(argv0, parseFlags(args));
  } catch (error) {
    // containerd makes this the text of its own error
    await Deno.stderr.write(new TextEncoder().encode(`${argv0}: ${textOf(error)}\n`));
    return error instanceof FlagError ? 2 : 1;
  }
}

async function run(argv0: string, flags: ShimFlags): Promise<number> {
  if (flags.version) {
    const { versionText } = await import("./version_text.ts");
    console.log(versionText());
    return 0;
  }
  if (flags.help) {
    const { USAGE } = await import("./usage.ts");
    console.log(USAGE);
    return 0;
  }
  if (flags.info) return (await import("./info.ts")).info();
  if (flags.namespace === "") throw new Error("shim namespace cannot be empty");
  switch (flags.action) {
    case "start":
      return (await import("./start.ts")).start(argv0, flags);
    case "delete":
      return (await import("./delete.ts")).deleteCommand(flags);
    case "":
      return (await import("./daemon.ts")).serve(flags);
  }
  throw new FlagError(`unknown action "${flags.action}": it must be start or delete`);
}

function textOf(error: unknown): string {
  if (error instanceof SuppressedError) return textOf(error.suppressed);
  return error instanceof Error ? error.message : String(error);
}

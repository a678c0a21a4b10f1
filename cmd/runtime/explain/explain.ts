import type { AppContext } from "../app.ts";
import type { ExplainFlags } from "./command.ts";

/** Prints what the agent would do for a bundle. */
export async function explain(this: AppContext, flags: ExplainFlags, bundle: string): Promise<void> {
  const folder = await Deno.realPath(bundle).catch((error) => {
    throw new Error(`bundle "${bundle}" cannot be used: ${error instanceof Error ? error.message : error}`);
  });
  // The knowledge is the agent's, which is loaded only now.
  const { explainBundle } = await import("../../agent/explain.ts");
  this.process.stdout.write(`${await explainBundle({ ...flags, bundle: folder })}\n`);
}

import type { Spec } from "../../../oci/spec.ts";
import { parseProcess, parseSpec } from "../../../oci/validate.ts";
import type { AppContext } from "../app.ts";
import { why } from "../failure.ts";
import type { ExplainFlags } from "./command.ts";

/** Prints what the agent would do for a bundle. */
export async function explain(this: AppContext, flags: ExplainFlags, bundle: string): Promise<void> {
  const folder = await Deno.realPath(bundle).catch((error) => {
    throw new Error(`bundle "${bundle}" cannot be used: ${why(error)}`, { cause: error });
  });
  const file = `${folder}/config.json`;
  const spec = parseSpec(readText(file), file);
  const id = folder.slice(folder.lastIndexOf("/") + 1) || "container";
  const container = flags.guest ? await inGuest({ id, bundle: folder, spec }) : { spec };
  const { process, json, verbose } = flags;
  // The knowledge is the agent's, which is loaded only now.
  const { explainContainer } = await import("../../agent/explain.ts");
  const text = await explainContainer({
    id,
    bundle: folder,
    ...container,
    rootfs: spec.root.path.startsWith("/") ? spec.root.path : `${folder}/${spec.root.path}`,
    json,
    verbose,
    ...(process !== undefined && { process: parseProcess(readText(process), process) }),
  });
  this.process.stdout.write(`${text}\n`);
}

async function inGuest(container: { id: string; bundle: string; spec: Spec }) {
  const { guestView } = await import("../../../sandbox/guest/view.ts");
  const { MOUNT_HOST } = await import("../../../sandbox/storage/mount_host.ts");
  const { spec, sandboxPidns } = guestView(container, MOUNT_HOST);
  return { spec, pod: { sharesPids: sandboxPidns } };
}

function readText(file: string): string {
  try {
    return Deno.readTextFileSync(file);
  } catch (error) {
    throw new Error(`cannot read "${file}": ${why(error)}`, { cause: error });
  }
}

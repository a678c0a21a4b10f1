/**
 * Pending `poststop` hooks of a sandbox whose owner died, run from a fresh process.
 *
 * @module
 */

import { PodNamespace, reopenNamespace } from "../../net/namespace.ts";
import { runHooksAnyway, startHere } from "../../oci/run_hooks.ts";
import { isFolder } from "../../sys/exists.ts";
import type { Log } from "../log/log.ts";
import type { SavedHooks } from "./state.ts";

/** Time limit of a hook without a timeout of its own, in seconds: a cleanup must end. */
const LIMIT_S = 10;

/**
 * Runs a container's `poststop` hooks. What fails is logged.
 *
 * Where the pod's network namespace has ended with the pod, an empty one takes its place: what they would do to links
 * must not be done to those of the host.
 */
export async function runLastHooks(saved: SavedHooks, log: Log): Promise<void> {
  const { id, bundle, ociVersion, annotations, netns } = saved;
  using taken = new DisposableStack();
  const namespace = netns && taken.use(reopenNamespace(netns.path, netns) ?? PodNamespace.make());
  const poststop = saved.poststop.map((hook) => ({ timeout: LIMIT_S, ...hook }));
  const state = { ociVersion, id, status: "stopped", bundle, ...(annotations && { annotations }) } as const;
  const cwd = isFolder(bundle) ? bundle : "/";
  const start = startHere({ cwd, ...(namespace && { netns: namespace.path }) });
  const report = (error: string) => log.write("error", `a hook of container "${id}" failed: ${error}`);
  await runHooksAnyway("poststop", { poststop }, state, start, report);
}

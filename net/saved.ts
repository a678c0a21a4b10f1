/**
 * What has to be undone of a pod's network when its owner has died.
 *
 * @module
 */

import { type NamespaceIdentity, reopenNamespace } from "./namespace.ts";
import { unwire, type WiringPlan } from "./wiring.ts";

/** A network in the saved state of a sandbox. Namespaces that were made for a pod need no saving: they end by themselves. */
export interface SavedNetwork extends NamespaceIdentity {
  /** of the namespace */
  readonly path: string;
  readonly plans: readonly WiringPlan[];
}

/** Undoes it all, unless the namespace has ended. @throws {SysError} what could not be undone */
export async function undoNetwork(saved: SavedNetwork): Promise<void> {
  if (saved.plans.length === 0) return;
  using namespace = reopenNamespace(saved.path, saved);
  if (namespace === undefined) return;
  for (const plan of saved.plans) await unwire(namespace.fd, plan);
}

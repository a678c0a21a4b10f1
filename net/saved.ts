/**
 * What has to be undone of a pod's network when its owner has died.
 *
 * @module
 */

import { type NamespaceIdentity, reopenNamespace } from "./namespace.ts";
import { PciBus } from "../sys/pci.ts";
import { type DriverPlan, returnDevice } from "./physical.ts";
import { unwire, type WiringPlan } from "./wiring.ts";

/** A network in the saved state of a sandbox. Namespaces that were made for a pod need no saving: they end by themselves. */
export interface SavedNetwork extends NamespaceIdentity {
  /** of the namespace */
  readonly path: string;
  readonly plans: readonly WiringPlan[];
  /** devices of the host that were taken from their drivers */
  readonly devices?: readonly DriverPlan[];
}

/**
 * Undoes it all; what was done in the namespace, unless that has ended.
 *
 * @throws {Error} what could not be undone
 */
export async function undoNetwork(saved: SavedNetwork, bus: PciBus = new PciBus()): Promise<void> {
  for (const device of saved.devices ?? []) returnDevice(device, bus);
  if (saved.plans.length === 0) return;
  using namespace = reopenNamespace(saved.path, saved);
  if (namespace === undefined) return;
  for (const plan of saved.plans) await unwire(namespace.fd, plan);
}

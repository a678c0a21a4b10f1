/**
 * Podman calls an OCI runtime's command line, and cannot start a containerd shim.
 *
 * @module
 */

import type { Machine, Registration } from "./registration.ts";

/** What to do about Podman. */
export function registerPodman(machine: Machine): Registration | undefined {
  if (machine.program("podman") === undefined) return undefined;
  return {
    engine: "Podman",
    notes: [
      'not registered: Podman needs the commands of an OCI runtime ("create", "start", …), which this version does not have',
    ],
  };
}

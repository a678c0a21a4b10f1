/**
 * CRI-O: a drop-in of its own.
 *
 * @module
 */

import type { Machine, Places, Registration } from "./registration.ts";

const DROP_IN = "/etc/crio/crio.conf.d/50-kata.conf";

/** What to do about CRI-O. */
export function registerCrio(machine: Machine, { shim, configuration }: Places): Registration | undefined {
  if (machine.program("crio") === undefined && !machine.exists("/etc/crio")) return undefined;
  const text = `[crio.runtime.runtimes.kata]
  runtime_path = "${shim}"
  runtime_type = "vm"
  runtime_root = "/run/vc"
  runtime_config_path = "${configuration}"
  privileged_without_host_devices = true
`;
  return {
    engine: "CRI-O",
    change: { kind: "file", path: DROP_IN, text },
    notes: ['restart CRI-O and make a RuntimeClass with the handler "kata"'],
  };
}

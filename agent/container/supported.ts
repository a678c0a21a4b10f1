/**
 * Fields that this agent does not support are refused before anything is created: silently ignoring them would
 * be worse than not running the container.
 */

import { show, SpecError } from "../../oci/check.ts";
import { contradictoryCapabilities, unknownCapabilities } from "../../oci/rules.ts";
import type { Process, Spec } from "../../oci/spec.ts";
import type { Logger } from "../log.ts";

/**
 * @throws {SpecError} naming the first field that is not supported, by its JSON path, and its value
 */
export function refuseUnsupported({ linux = {} }: Spec): void {
  for (const [index, { type, path }] of (linux.namespaces ?? []).entries()) {
    const at = `linux.namespaces[${index}]`;
    if (type === "mount") refuse(`${at}.path`, path, "as a container has mounts of its own");
  }
  refuse("linux.intelRdt", linux.intelRdt, "as a guest has no control over the processor's caches");
  refuse("linux.netDevices", linux.netDevices, "as the devices of a guest are the pod's");
}

/** What cannot be granted is no reason to fail, but must not go unnoticed. */
export function warnOfCapabilities(
  { capabilities = {} }: Process,
  log: Logger,
  fields: Readonly<Record<string, string>>,
): void {
  const warn = (message: string, names: readonly string[]) => {
    if (names.length > 0) log.warn(message, { ...fields, names: names.join(" ") });
  };
  warn("unknown capabilities are left out", unknownCapabilities(capabilities));
  warn(
    "capabilities are left out of a set that needs them in another, too",
    contradictoryCapabilities(capabilities),
  );
}

/** Empty texts, lists and objects ask for nothing. */
function refuse(path: string, value: unknown, why?: string): void {
  if (value === undefined || value === "") return;
  if (typeof value === "object" && value !== null && Object.keys(value).length === 0) return;
  throw new SpecError(path, `is not supported${why ? `, ${why}` : ""}: it is ${show(value)}`);
}

/**
 * What is saved of a sandbox: enough for a fresh process to undo all of it.
 *
 * @module
 */

import type { NamespaceIdentity } from "../../net/namespace.ts";
import type { SavedNetwork } from "../../net/saved.ts";
import type { Hook } from "../../oci/spec.ts";
import type { ProcessIdentity } from "./process_identity.ts";

/** Format of the file; a file with another one is not touched. */
export const STATE_VERSION = 1;

/** A container in the saved state. */
export interface SavedContainer {
  readonly id: string;
  readonly bundle: string;
  readonly state: "creating" | "created" | "running" | "pausing" | "paused" | "stopped";
}

/** What has to be run on the host when nothing is left of a container. */
export interface SavedHooks {
  readonly id: string;
  readonly bundle: string;
  readonly ociVersion: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly poststop: readonly Hook[];
  /** the pod's network namespace, where it has one; the path is empty if only its processes held it */
  readonly netns?: NamespaceIdentity & { readonly path: string };
}

/** The saved state of a sandbox. */
export interface SavedSandbox {
  readonly version: typeof STATE_VERSION;
  readonly id: string;
  /** bundle of the container that it was made for; ids of several clients may be the same, bundles are not */
  readonly bundle: string;
  readonly state: "creating" | "running" | "stopped";
  /** pids mean nothing after the host was booted anew */
  readonly bootId: string;
  /** the process that runs the sandbox */
  readonly owner: ProcessIdentity;
  /** the machine and its helpers; killed when the owner is gone */
  readonly helpers: readonly (ProcessIdentity & { readonly role: string })[];
  /** mount points on the host, in the order in which they were made */
  readonly mounts: readonly string[];
  /** folders that are the sandbox's alone */
  readonly folders: readonly string[];
  readonly containers: readonly SavedContainer[];
  /** cgroups on the host that are the sandbox's alone, outermost first */
  readonly cgroups?: readonly string[] | undefined;
  /** what was done in a network namespace that outlives the sandbox */
  readonly network?: SavedNetwork;
  /** of containers whose first hooks were run */
  readonly hooks?: readonly SavedHooks[];
}

/** Reads a saved state; `undefined` if the text is not one. */
export function parseState(text: string): SavedSandbox | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isSaved(value) ? value : undefined;
}

function isSaved(value: unknown): value is SavedSandbox {
  if (typeof value !== "object" || value === null) return false;
  const {
    version,
    id,
    bundle,
    bootId,
    owner,
    helpers,
    mounts,
    folders,
    containers,
    network,
    cgroups,
    hooks,
  } = value as Record<
    string,
    unknown
  >;
  return version === STATE_VERSION && typeof id === "string" && typeof bundle === "string" &&
    typeof bootId === "string" &&
    isProcess(owner) &&
    Array.isArray(helpers) && helpers.every(isProcess) && isTexts(mounts) && isTexts(folders) &&
    Array.isArray(containers) && (network === undefined || isNetwork(network)) &&
    (cgroups === undefined || isTexts(cgroups)) && (hooks === undefined || Array.isArray(hooks));
}

function isProcess(value: unknown): value is ProcessIdentity {
  const process = value as ProcessIdentity | null;
  return typeof process === "object" && process !== null && Number.isInteger(process.pid) &&
    process.pid > 1 &&
    typeof process.startTime === "string";
}

function isNetwork(value: unknown): value is SavedNetwork {
  const network = value as SavedNetwork | null;
  return typeof network === "object" && network !== null && typeof network.path === "string" &&
    Array.isArray(network.plans);
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

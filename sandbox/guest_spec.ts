/**
 * The spec that goes to the guest: the client's, without what only means something on the host.
 *
 * @module
 */

import type { Mount, Namespace, Resources, Spec } from "../oci/spec.ts";
import { guestDeviceRules } from "./guest_devices.ts";
import { guestHooks } from "./host_hooks.ts";

/** What the host decided. */
export interface GuestSpecOptions {
  /** the root file system as the guest sees it */
  readonly rootPath: string;
  /** with sources as the guest sees them */
  readonly mounts: readonly Mount[];
  readonly terminal: boolean;
  readonly disableSeccomp: boolean;
}

/** The spec and what was taken out of it into a field of its own. */
export interface GuestSpec {
  readonly spec: Spec;
  /** the container joins the pod's pid namespace */
  readonly sandboxPidns: boolean;
}

/** Namespaces that the virtual machine itself is, or that the agent decides about. */
const DROPPED_NAMESPACES = new Set(["network", "cgroup", "pid"]);

/** @see host.md A.7 for each of the changes */
export function guestSpec(spec: Spec, options: GuestSpecOptions): GuestSpec {
  const { hooks, ...rest } = spec;
  const inside = hooks && guestHooks(hooks);
  const pid = spec.linux?.namespaces?.find((namespace) => namespace.type === "pid");
  return {
    sandboxPidns: (pid?.path ?? "") !== "",
    spec: {
      ...rest,
      ...(inside && { hooks: inside }),
      root: { ...spec.root, path: options.rootPath },
      mounts: [...options.mounts],
      process: guestProcess(spec, options.terminal),
      linux: spec.linux && guestLinux(spec.linux, options),
    },
  };
}

/** Labels and profiles name policies that are loaded on the host; the guest has none. */
function guestProcess(spec: Spec, terminal: boolean): Spec["process"] {
  const { selinuxLabel: _label, apparmorProfile: _profile, ...process } = spec.process;
  return { ...process, terminal };
}

function guestLinux(linux: NonNullable<Spec["linux"]>, options: GuestSpecOptions): Spec["linux"] {
  const { mountLabel: _label, seccomp, ...rest } = linux;
  return {
    ...rest,
    ...(seccomp !== undefined && !options.disableSeccomp ? { seccomp } : {}),
    ...(linux.resources && { resources: guestResources(linux.resources) }),
    namespaces: guestNamespaces(linux.namespaces ?? []),
  };
}

/**
 * Block and network I/O, which of the host's CPUs, rules about the host's own devices: not the guest's business. How
 * many processes a container may have is, as they are the guest's.
 */
export function guestResources(resources: Resources): Resources {
  const { devices, blockIO: _blockIO, network: _network, ...others } = resources;
  const rest = devices ? { ...others, devices: guestDeviceRules(devices) } : others;
  if (rest.cpu === undefined) return rest;
  const { cpus: _cpus, mems: _mems, ...cpu } = rest.cpu;
  return { ...rest, cpu };
}

function guestNamespaces(namespaces: readonly Namespace[]): Namespace[] {
  return namespaces.filter(({ type }) => !DROPPED_NAMESPACES.has(type)).map(({ type }) => ({ type }));
}

/**
 * The spec that goes to the guest: the client's, without the fields that only make sense on the host.
 *
 * @module
 */

import type { Device, Mount, Namespace, Resources, Spec } from "../../oci/spec.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import { type AttachedDisk, guestDeviceRules } from "../devices/guest_devices.ts";
import { guestHooks } from "../host_hooks.ts";

/** What the host decided. */
export interface GuestSpecOptions {
  /** the root file system as the guest sees it */
  readonly rootPath: string;
  /** with sources as the guest sees them */
  readonly mounts: readonly Mount[];
  /** nodes of devices that the guest makes; default: those of the spec */
  readonly nodes?: readonly Device[];
  /** those of them that are disks in the machine; default: none */
  readonly attached?: readonly AttachedDisk[];
  readonly terminal: boolean;
  readonly disableSeccomp: boolean;
  /** the container of the sandbox that is shown as this process on the host; default: none is */
  containerOf?(pid: number): string | undefined;
  /** the label of processes, if the guest has SELinux; default: it has none */
  guestLabel?(hostLabel: string): string | undefined;
}

/** The spec and what was taken out of it into a field of its own. */
export interface GuestSpec {
  readonly spec: Spec;
  /** the container joins the pod's pid namespace */
  readonly sandboxPidns: boolean;
  /** or that of this container, as those do that are there to debug another one; empty = it does not */
  readonly pidContainer: string;
}

/** Namespaces that the virtual machine itself is, or that the agent decides about. */
const DROPPED_NAMESPACES = new Set(["network", "cgroup", "pid"]);

/** @see host.md A.7 for each of the changes */
export function guestSpec(spec: Spec, options: GuestSpecOptions): GuestSpec {
  const { hooks, annotations, ...rest } = spec;
  const inside = hooks && guestHooks(hooks);
  const pid = spec.linux?.namespaces?.find((namespace) => namespace.type === "pid")?.path ?? "";
  const [, owner] = /^\/proc\/(\d+)\/ns\/pid$/.exec(pid) ?? [];
  return {
    sandboxPidns: pid !== "",
    pidContainer: (owner && options.containerOf?.(Number(owner))) ?? "",
    spec: {
      ...rest,
      ...(annotations && { annotations: guestAnnotations(annotations) }),
      ...(inside && { hooks: inside }),
      root: { ...spec.root, path: options.rootPath },
      mounts: [...options.mounts],
      process: guestProcess(spec, options),
      linux: spec.linux && guestLinux(spec.linux, options),
    },
  };
}

/** The policy has a request of its own. */
export const POLICY_ANNOTATION = "io.katacontainers.config.agent.policy";

function guestAnnotations(annotations: Readonly<Record<string, string>>): Record<string, string> {
  const { [POLICY_ANNOTATION]: _policy, ...rest } = annotations;
  return rest;
}

/** Profiles name policies that are loaded on the host; labels are translated for a guest that has them at all. */
function guestProcess(spec: Spec, options: GuestSpecOptions): Spec["process"] {
  const { selinuxLabel, apparmorProfile: _profile, ...process } = spec.process;
  const label = selinuxLabel ? options.guestLabel?.(selinuxLabel) : undefined;
  return { ...process, terminal: options.terminal, ...(label && { selinuxLabel: label }) };
}

function guestLinux(linux: NonNullable<Spec["linux"]>, options: GuestSpecOptions): Spec["linux"] {
  const { mountLabel, seccomp, ...rest } = linux;
  const label = mountLabel ? options.guestLabel?.(mountLabel) : undefined;
  return {
    ...rest,
    ...(label && { mountLabel }),
    ...(seccomp !== undefined && !options.disableSeccomp ? { seccomp } : {}),
    ...(linux.devices && { devices: [...options.nodes ?? linux.devices] }),
    ...(linux.resources && { resources: guestResources(linux.resources, options.attached) }),
    namespaces: guestNamespaces(linux.namespaces ?? []),
  };
}

/**
 * Block and network I/O, which of the host's CPUs, rules about the host's own devices: not the guest's business. How
 * many processes a container may have is, as they are the guest's.
 */
export function guestResources(resources: Resources, attached?: readonly AttachedDisk[]): Resources {
  const { devices, blockIO: _blockIO, network: _network, ...others } = resources;
  const rest = devices ? { ...others, devices: guestDeviceRules(devices, attached) } : others;
  if (rest.cpu === undefined) return rest;
  const { cpus: _cpus, mems: _mems, ...cpu } = rest.cpu;
  return { ...rest, cpu };
}

/** @throws {RpcError} `INVALID_ARGUMENT` for a namespace of the host's that the guest cannot have an equal of */
function guestNamespaces(namespaces: readonly Namespace[]): Namespace[] {
  const joined = namespaces.find(({ type, path }) => type === "time" && (path ?? "") !== "");
  if (joined !== undefined) {
    throw new RpcError(
      Code.InvalidArgument,
      `config.json: a namespace of type "time" must not have a path, as the guest has a clock of its own: it is "${joined.path}"`,
    );
  }
  return namespaces.filter(({ type }) => !DROPPED_NAMESPACES.has(type)).map(({ type }) => ({ type }));
}

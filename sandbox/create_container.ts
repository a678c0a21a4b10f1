/**
 * Creating a container in a running sandbox, step by step.
 *
 * @module
 */

import { specToWire } from "../oci/wire.ts";
import { Container, type ContainerContext } from "./container.ts";
import { AgentContainer } from "./guest/container.ts";
import { withHostPaths } from "./guest/mount_errors.ts";
import { guestSpec } from "./guest/spec.ts";
import { HostHooks, refuseHooks } from "./host_hooks.ts";
import type { IoSource } from "./io/streams.ts";
import { PauseContainer } from "./pause_container.ts";
import type { SandboxParts } from "./sandbox.ts";
import { type Bundle, equip, existingFolder, rootPathOf } from "./storage/equip.ts";
import { MOUNT_HOST } from "./storage/mount_host.ts";
import { type MountPlan, planMounts } from "./storage/mounts.ts";

/** What container to create. */
export interface CreateContainerOptions extends Bundle {
  readonly io: IoSource;
  /** gives up; nothing is left then */
  readonly signal?: AbortSignal;
}

/** What is known of the sandbox; before it is there, nothing is refused that it may be able to do. */
interface CheckedWith {
  readonly isPod: boolean;
  readonly useDisks?: boolean;
  readonly guestEmptyDirs?: boolean;
}

/**
 * Validates a container before there is a machine for it.
 *
 * @returns what becomes of its mounts
 * @throws {RpcError} `INVALID_ARGUMENT`
 */
export async function checkContainer(
  options: Bundle,
  { isPod, useDisks = true, guestEmptyDirs = true }: CheckedWith,
): Promise<MountPlan[]> {
  const { bundle, spec, rootfs } = options;
  refuseHooks(spec.hooks);
  if (rootfs.length === 0) await existingFolder(rootPathOf(options));
  const hugepageLimits = spec.linux?.resources?.hugepageLimits ?? [];
  const context = { bundle, inPod: isPod, hugepageLimits, useDisks, guestEmptyDirs };
  return planMounts(spec.mounts ?? [], context, MOUNT_HOST);
}

/** @throws {RpcError} and whatever a step throws; everything that was taken is given back then */
export async function createContainer(
  options: CreateContainerOptions,
  parts: SandboxParts,
  context: ContainerContext,
): Promise<Container> {
  const { id, bundle, io, spec } = options;
  const inGuest = parts.swap === undefined ? spec : parts.swap.specFor(spec);
  const { createTimeoutMs, disableSeccomp, guestLabel } = parts.policy;
  const plans = await checkContainer(options, { ...parts.policy, isPod: parts.isPod });
  await using taken = new AsyncDisposableStack();
  const { storages, devices, hostDevices, ...equipment } = await equip(options, plans, parts, taken);
  const terminal = io.names.terminal;
  const { containerOf } = context;
  const guest = guestSpec(inGuest, { ...equipment, terminal, disableSeccomp, guestLabel, containerOf });
  const hooks = HostHooks.of({ ...parts, id, bundle, spec });
  const { pid } = parts.vm;
  const standIn = parts.isPod ? taken.use(await parts.host.startStandIn(pid)).pid : undefined;
  const { resources } = spec.linux ?? {};
  const known = new AgentContainer(parts.client, id);
  const own = { id, bundle, guest: known, io, context, hooks, pid, standIn, resources };
  await using undo = new AsyncDisposableStack();
  const container = undo.adopt(new Container({ ...own, taken: taken.move() }), (it) => it.discard());
  await container.init.openIo();
  const { sandboxPidns, pidContainer } = guest;
  const pids = { sandboxPidns, pidContainer };
  const OCI = specToWire(guest.spec);
  await parts.client.agent.createContainer(
    { containerId: id, execId: id, OCI, storages: [...storages], devices: [...devices], ...pids },
    { timeoutMs: createTimeoutMs, signal: options.signal },
  ).catch((error) => {
    throw withHostPaths(error, equipment.mounts, spec.mounts ?? []);
  });
  options.signal?.throwIfAborted();
  if (!parts.policy.hostDevices.asVfio) await parts.network.devicesCame(hostDevices);
  await hooks?.created(pid);
  undo.move();
  return container;
}

/**
 * Registers the pause container of a pod: nothing of it exists in the guest.
 *
 * @throws {Error} its streams cannot be opened, or a hook fails
 */
export async function createPauseContainer(
  options: CreateContainerOptions,
  parts: SandboxParts,
  context: ContainerContext,
): Promise<Container> {
  const { id, bundle, io, spec } = options;
  const { vm: { pid } } = parts;
  const hooks = HostHooks.of({ ...parts, id, bundle, spec });
  const guest = new PauseContainer(id);
  const taken = new AsyncDisposableStack();
  parts.local.useRootOf(options, taken);
  const own = { id, bundle, guest, io, context, hooks, pid, resources: undefined };
  await using undo = new AsyncDisposableStack();
  const container = undo.adopt(new Container({ ...own, taken }), (it) => it.discard());
  await container.init.openIo();
  await hooks?.created(pid);
  undo.move();
  return container;
}

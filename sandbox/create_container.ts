/**
 * Creating a container in a running sandbox, step by step.
 *
 * @module
 */

import type { Rootfs, RootfsMount } from "../fs/rootfs.ts";
import type { Spec } from "../oci/spec.ts";
import { specToWire } from "../oci/wire.ts";
import { Code, RpcError } from "../rpc/errors.ts";
import { Container, type ContainerContext } from "./container.ts";
import { guestSpec } from "./guest_spec.ts";
import { HostHooks, refuseHooks } from "./host_hooks.ts";
import { UNKNOWN_STATUS } from "./exit.ts";
import { AgentContainer } from "./guest_container.ts";
import type { IoSource } from "./io.ts";
import { reason } from "./log.ts";
import { hostFileKind, type MountPlan, planMounts } from "./mounts.ts";
import { PodStandIn } from "./pod_stand_in.ts";
import type { SandboxParts } from "./sandbox.ts";

/** What container to create. */
export interface CreateContainerOptions {
  readonly id: string;
  /** folder that relative paths of the spec are relative to */
  readonly bundle: string;
  readonly spec: Spec;
  /** to be stacked on `<bundle>/rootfs`; none: the spec's root is there already */
  readonly rootfs: readonly RootfsMount[];
  readonly io: IoSource;
  /** gives up; nothing is left then */
  readonly signal?: AbortSignal;
}

/**
 * What can be known to be wrong with a container before there is a machine for it.
 *
 * @returns what becomes of its mounts
 * @throws {RpcError} `INVALID_ARGUMENT`
 */
export async function checkContainer(
  options: Pick<CreateContainerOptions, "bundle" | "spec" | "rootfs">,
): Promise<MountPlan[]> {
  const { bundle, spec, rootfs } = options;
  refuseHooks(spec.hooks);
  if (rootfs.length === 0) await existingFolder(rootPathOf(options));
  return planMounts(spec.mounts ?? [], bundle, hostFileKind);
}

/** @throws {RpcError} and whatever a step throws; everything that was taken is given back then */
export async function createContainer(
  options: CreateContainerOptions,
  parts: SandboxParts,
  context: ContainerContext,
): Promise<Container> {
  const { id, bundle, io, spec } = options;
  const plans = await checkContainer(options);
  await using taken = new AsyncDisposableStack();

  const rootfs = taken.use(await openRootfs(options, parts));
  taken.defer(() => parts.share.remove(id));
  const rootPath = await parts.share.addRootfs(id, rootfs.path);
  const mounts = [];
  for (const plan of plans) {
    if (plan.kind === "guest") mounts.push(plan.mount);
    else {
      const shared = { source: plan.source, destination: plan.mount.destination, readonly: plan.readonly };
      mounts.push({ ...plan.mount, source: await parts.share.addMount(id, shared) });
    }
  }

  const { createTimeoutMs, disableSeccomp, guestLabel } = parts.policy;
  const guest = guestSpec(spec, {
    rootPath,
    mounts,
    terminal: io.names.terminal,
    disableSeccomp,
    guestLabel,
  });
  const hooks = HostHooks.of({ id, bundle, spec, log: parts.log });
  const { pid } = parts.vm;
  const { resources } = spec.linux ?? {};
  const known = new AgentContainer(parts.client, id);
  const own = { id, bundle, guest: known, io, context, hooks, pid, resources };
  const container = new Container({ ...own, taken: taken.move() });
  try {
    await container.init.openIo();
    await parts.client.agent.createContainer(
      { containerId: id, execId: id, OCI: specToWire(guest.spec), sandboxPidns: guest.sandboxPidns },
      { timeoutMs: createTimeoutMs, signal: options.signal },
    );
    options.signal?.throwIfAborted();
    await hooks?.created(pid);
  } catch (error) {
    await container.forceExit(UNKNOWN_STATUS);
    await container.release();
    throw error;
  }
  return container;
}

/**
 * Makes the container known that stands for a pod: nothing of it is in the guest.
 *
 * @throws {Error} its streams cannot be opened, or a hook fails
 */
export async function createStandIn(
  { id, bundle, io, spec }: CreateContainerOptions,
  parts: SandboxParts,
  context: ContainerContext,
): Promise<Container> {
  const { log, vm: { pid } } = parts;
  const hooks = HostHooks.of({ id, bundle, spec, log });
  const guest = new PodStandIn(id);
  const taken = new AsyncDisposableStack();
  const container = new Container({
    id,
    bundle,
    guest,
    io,
    context,
    hooks,
    pid,
    resources: undefined,
    taken,
  });
  try {
    await container.init.openIo();
    await hooks?.created(pid);
  } catch (error) {
    await container.forceExit(UNKNOWN_STATUS);
    throw error;
  }
  return container;
}

function rootPathOf({ bundle, spec }: Pick<CreateContainerOptions, "bundle" | "spec">): string {
  return spec.root.path.startsWith("/") ? spec.root.path : `${bundle}/${spec.root.path}`;
}

/** The folder, links resolved. @throws {RpcError} `INVALID_ARGUMENT` when there is none */
async function existingFolder(path: string): Promise<string> {
  try {
    const real = await Deno.realPath(path);
    if ((await Deno.stat(real)).isDirectory) return real;
  } catch (error) {
    throw new RpcError(Code.InvalidArgument, `rootfs "${path}" cannot be used: ${reason(error)}`, {
      cause: error,
    });
  }
  throw new RpcError(Code.InvalidArgument, `rootfs "${path}" is not a folder`);
}

async function openRootfs(options: CreateContainerOptions, parts: SandboxParts): Promise<Rootfs> {
  const { bundle, rootfs } = options;
  if (rootfs.length === 0) {
    return {
      path: await existingFolder(rootPathOf(options)),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }
  const mountPoint = `${bundle}/rootfs`;
  await parts.record.addMount(mountPoint);
  return await parts.host.mountRootfs(mountPoint, rootfs);
}

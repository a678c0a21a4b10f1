/**
 * The specification that a guest would get for a bundle, without a sandbox: for `kata-runtime explain`.
 *
 * @module
 */

import type { Mount, Spec } from "../../oci/spec.ts";
import { refuseHooks } from "../host_hooks.ts";
import { GUEST_DISK_VOLUMES, GUEST_SHARED_FOLDER } from "../state/paths.ts";
import type { MountHost } from "../storage/mount_host.ts";
import { type MountPlan, planMounts } from "../storage/mounts.ts";
import { type GuestSpec, guestSpec } from "./spec.ts";

/** A container that is not made. */
export interface ViewedContainer {
  readonly id: string;
  readonly bundle: string;
  readonly spec: Spec;
}

/**
 * The specification as the guest gets it. Names in the shared folder have a random part, written as `…` here, and so
 * have the places of disks.
 *
 * @throws {RpcError} `INVALID_ARGUMENT` for what creating the container would refuse
 */
export function guestView({ id, bundle, spec }: ViewedContainer, host: MountHost): GuestSpec {
  refuseHooks(spec.hooks);
  const hugepageLimits = spec.linux?.resources?.hugepageLimits ?? [];
  const context = { bundle, inPod: true, hugepageLimits, useDisks: true, guestEmptyDirs: true };
  const mounts = planMounts(spec.mounts ?? [], context, host).map((plan) => placed(plan, id));
  const rootPath = `${GUEST_SHARED_FOLDER}/${id}/rootfs`;
  const terminal = spec.process.terminal ?? false;
  return guestSpec(spec, { rootPath, mounts, terminal, disableSeccomp: false });
}

function placed(plan: MountPlan, id: string): Mount {
  const { mount } = plan;
  if (plan.kind === "disk") return { ...mount, type: "bind", source: `${GUEST_DISK_VOLUMES}/…` };
  if (plan.kind === "local") return plan.at(`${GUEST_SHARED_FOLDER}/…/rootfs/local`).mount;
  if (plan.kind !== "shared") return mount;
  const name = mount.destination.slice(mount.destination.lastIndexOf("/") + 1);
  return { ...mount, source: `${GUEST_SHARED_FOLDER}/${id}-…-${name}` };
}

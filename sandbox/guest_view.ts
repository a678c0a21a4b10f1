/**
 * What the guest would be told of a bundle, without a sandbox: for `kata-runtime explain`.
 *
 * @module
 */

import type { Mount, Spec } from "../oci/spec.ts";
import { type GuestSpec, guestSpec } from "./guest_spec.ts";
import { refuseHooks } from "./host_hooks.ts";
import { type FileKind, planMounts } from "./mounts.ts";
import { GUEST_SHARED_FOLDER } from "./paths.ts";

/** A container that is not made. */
export interface ViewedContainer {
  readonly id: string;
  readonly bundle: string;
  readonly spec: Spec;
}

/**
 * The specification as the guest gets it. Names in the shared folder have a random part, written as `…` here.
 *
 * @param kindOf looks at the host
 * @throws {RpcError} `INVALID_ARGUMENT` for what creating the container would refuse
 */
export function guestView(
  { id, bundle, spec }: ViewedContainer,
  kindOf: (path: string) => FileKind,
): GuestSpec {
  refuseHooks(spec.hooks);
  const mounts = planMounts(spec.mounts ?? [], bundle, kindOf).map((plan): Mount => {
    if (plan.kind === "guest") return plan.mount;
    const name = plan.mount.destination.slice(plan.mount.destination.lastIndexOf("/") + 1);
    return { ...plan.mount, source: `${GUEST_SHARED_FOLDER}/${id}-…-${name}` };
  });
  const rootPath = `${GUEST_SHARED_FOLDER}/${id}/rootfs`;
  const terminal = spec.process.terminal ?? false;
  return guestSpec(spec, { rootPath, mounts, terminal, disableSeccomp: false });
}

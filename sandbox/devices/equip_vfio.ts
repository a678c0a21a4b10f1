/**
 * A container's devices of the host: plugged into its machine, and told to the guest.
 *
 * @module
 */

import type { Device as SpecDevice, Spec } from "../../oci/spec.ts";
import type { Device } from "../../rpc/gen/agent_pb.ts";
import type { Init } from "../../rpc/message.ts";
import { PciBus, VFIO_PCI } from "../../sys/pci.ts";
import type { HostDevice } from "../../vm/vmm.ts";
import type { SandboxParts } from "../sandbox.ts";
import type { UsedGroup } from "./host_devices.ts";
import {
  type HostDevicePolicy,
  planVfio,
  VFIO_HOST,
  type VfioGroup,
  type VfioHost,
  type VfioPlan,
} from "./vfio.ts";

/**
 * The groups that a machine is booted with, for the container that it is made for.
 *
 * @throws {RpcError} a sentence: that container could not have what it asks for, now or later
 */
export function bootGroups(spec: Spec, policy: HostDevicePolicy, host?: VfioHost): VfioGroup[] {
  const groups = new Map(planVfio(spec, policy, host).uses.map(({ group }) => [group.id, group]));
  return policy.atBoot ? [...groups.values()] : [];
}

/** What the largest of the host's devices takes that could be plugged in later. */
export function roomForDevices({ sys }: VfioHost = VFIO_HOST): HostDevice["memory"] {
  const bus = new PciBus(sys);
  const sizes = bus.boundTo(VFIO_PCI).map((address) => bus.memoryOf(address));
  return {
    prefetchable: Math.max(0, ...sizes.map(({ prefetchable }) => prefetchable)),
    other: Math.max(0, ...sizes.map(({ other }) => other)),
  };
}

/** What a container gets of devices of the host. */
export interface VfioEquipment extends Pick<VfioPlan, "others"> {
  readonly nodes: readonly SpecDevice[];
  readonly devices: readonly Init<Device>[];
  readonly paths: ReadonlyMap<string, string>;
}

/** The guest's kernel drives them, or the container does, by nodes of VFIO in the guest. */
export async function equipVfio(
  spec: Spec,
  parts: SandboxParts,
  taken: AsyncDisposableStack,
): Promise<VfioEquipment> {
  const { hostDevices: policy } = parts.policy;
  const { uses, others, control, dropped } = planVfio(spec, policy, parts.host.vfio);
  for (const sentence of dropped) parts.log.write("warning", sentence);
  const devices: Init<Device>[] = [];
  const all = new Map<string, string>();
  for (const { node, group } of uses) {
    const { hostDevices: held } = parts;
    if (held === undefined) throw new Error(`the machine has no ports for VFIO group ${group.id}`);
    const { paths }: UsedGroup = taken.use(await held.use(group));
    const options = Array.from(paths, ([address, path]) => `${address}=${path}`);
    const type = policy.asVfio ? "vfio-pci" : "vfio-pci-gk";
    devices.push({ type, id: group.id, containerPath: node.path, options });
    for (const [address, path] of paths) all.set(address, path);
  }
  const nodes = policy.asVfio ? [...control, ...uses.map(({ node }) => node)] : [];
  return { others, nodes, devices, paths: all };
}

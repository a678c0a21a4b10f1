/**
 * Devices of the host that a container asks for by their VFIO nodes, and what is behind these.
 *
 * @module
 */

import type { Device, DeviceRule, Spec } from "../../oci/spec.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import { exists } from "../../sys/exists.ts";
import { isPciAddress, PciBus } from "../../sys/pci.ts";
import type { HostDevice } from "../../vm/vmm.ts";
import { isVfio, VFIO_FOLDER } from "./devices.ts";

/** Where the host's files about devices are. */
export interface VfioHost {
  readonly sys: string;
  readonly dev: string;
}

/** This host. */
export const VFIO_HOST: VfioHost = { sys: "/sys", dev: "/dev" };

/** What the configuration says about such devices. */
export interface HostDevicePolicy {
  /** whether containers get them as VFIO devices, and not by the drivers of the guest's kernel */
  readonly asVfio: boolean;
  /** whether machines may have them at boot, and whether they may be plugged in later */
  readonly atBoot: boolean;
  readonly later: boolean;
}

/** Devices that can only be handed out together. */
export interface VfioGroup {
  /** number of the IOMMU group; a device without one has the name of its node */
  readonly id: string;
  readonly devices: readonly HostDevice[];
}

/** A container's use of them. */
export interface VfioUse {
  /** the node in the container's specification */
  readonly node: Device;
  readonly group: VfioGroup;
}

/** The devices of a container. */
export interface VfioPlan {
  readonly uses: readonly VfioUse[];
  /** nodes that have nothing to do with VFIO */
  readonly others: readonly Device[];
  /** the node by which groups are opened, the same in every Linux */
  readonly control: readonly Device[];
  /** devices that the container does not get, each with the reason */
  readonly dropped: readonly string[];
}

/**
 * Finds out what stands behind the nodes.
 *
 * @throws {RpcError} why a device cannot be used. A container that may use all devices has not asked
 * for any of them: it goes without.
 */
export function planVfio(spec: Spec, policy: HostDevicePolicy, host: VfioHost = VFIO_HOST): VfioPlan {
  const { devices = [], resources } = spec.linux ?? {};
  const mayAll = resources?.devices?.some(isForAll) === true;
  const [uses, control, dropped]: [VfioUse[], Device[], string[]] = [[], [], []];
  for (const node of devices.filter(isVfio)) {
    const name = nameOf(node, host);
    if (name === "vfio") {
      control.push(node);
      continue;
    }
    try {
      if (!policy.atBoot && !policy.later) {
        throw refused(node, 'both hot_plug_vfio and cold_plug_vfio are "no-port"');
      }
      uses.push({ node, group: groupOf(node, name, host) });
    } catch (error) {
      if (!mayAll || !(error instanceof RpcError)) throw error;
      dropped.push(error.message);
    }
  }
  return { uses, control, dropped, others: devices.filter((device) => !isVfio(device)) };
}

function isForAll({ allow, type, major, minor }: DeviceRule): boolean {
  const any = (number: number | undefined) => number === undefined || number < 0;
  return allow && (type === undefined || type === "a") && any(major) && any(minor);
}

/** The host's name of the node below its folder; a container's may be another. */
function nameOf({ path, major, minor }: Device, { sys }: VfioHost): string {
  const uevent = readText(`${sys}/dev/char/${major}:${minor}/uevent`) ?? "";
  return /^DEVNAME=vfio\/(.+)$/m.exec(uevent)?.[1] ?? path.slice(VFIO_FOLDER.length);
}

function groupOf(node: Device, name: string, host: VfioHost): VfioGroup {
  const [, single] = /^devices\/(vfio[0-9]+)$/.exec(name) ?? [];
  if (single !== undefined) return singleDevice(node, single, host);
  if (name.startsWith("noiommu-")) {
    throw refused(node, "nothing keeps it from the host's memory, as the host has no IOMMU for it");
  }
  if (!/^[0-9]+$/.test(name)) throw refused(node, "it is neither a group nor a device of VFIO");
  if (!exists(`${host.dev}/vfio/vfio`)) {
    const why = "its kernel has no VFIO (the module vfio-pci), or its IOMMU is switched off";
    throw refused(node, `the host has no "/dev/vfio/vfio": ${why}`);
  }
  const bus = new PciBus(host.sys);
  const names = bus.devicesOf(name);
  if (names === undefined) throw refused(node, `the host has no IOMMU group ${name}`);
  const devices = names.filter((member) => !bus.isBridge(member)).map((member) =>
    isPciAddress(member) ? pciDevice(node, member, false, bus) : mediatedDevice(node, member, host)
  );
  if (devices.length === 0) throw refused(node, `the IOMMU group ${name} has no device`);
  return { id: name, devices };
}

/** Drivers that hand devices through: the common one, and those that know a certain device as well. */
const HANDS_THROUGH = /vfio[-_]pci$/;

function pciDevice(node: Device, address: string, iommufd: boolean, bus: PciBus): HostDevice {
  const driver = bus.driverOf(address);
  if (driver === undefined || !HANDS_THROUGH.test(driver)) {
    const found = driver === undefined ? "no driver" : `driver "${driver}"`;
    throw refused(node, `device ${address} of its group must be bound to driver "vfio-pci": it has ${found}`);
  }
  return { address, iommufd, memory: bus.memoryOf(address) };
}

/** A part of a device, which its driver lends. */
function mediatedDevice(node: Device, name: string, { sys }: VfioHost): HostDevice {
  const folder = `${sys}/bus/mdev/devices/${name}`;
  const kind = readText(`${folder}/mdev_type/device_api`)?.trim();
  if (kind === undefined) throw refused(node, `"${name}" of its group is no PCI device`);
  if (kind !== "vfio-pci") {
    throw refused(
      node,
      `the mediated device "${name}" of its group is of kind "${kind}", and must be "vfio-pci"`,
    );
  }
  const parent = realPath(folder)?.split("/").at(-2) ?? "";
  if (!isPciAddress(parent)) throw refused(node, `the mediated device "${name}" belongs to no PCI device`);
  return { address: parent, mediated: folder, iommufd: false, memory: { prefetchable: 0, other: 0 } };
}

/** A device with a node of its own, opened by `/dev/iommu`. */
function singleDevice(node: Device, name: string, { sys, dev }: VfioHost): VfioGroup {
  if (!exists(`${dev}/iommu`)) throw refused(node, 'the host has no "/dev/iommu": its kernel has no iommufd');
  const address = realPath(`${sys}/class/vfio-dev/${name}/device`)?.split("/").at(-1);
  if (address === undefined) throw refused(node, `the host has no VFIO device "${name}"`);
  if (!isPciAddress(address)) throw refused(node, `"${address}" is no PCI device`);
  const bus = new PciBus(sys);
  return { id: bus.groupOf(address) ?? name, devices: [pciDevice(node, address, true, bus)] };
}

function refused({ path }: Device, why: string): RpcError {
  const message = `device "${path}" cannot be handed to the virtual machine: ${why}`;
  return new RpcError(Code.FailedPrecondition, message);
}

function readText(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}

function realPath(path: string): string | undefined {
  try {
    return Deno.realPathSync(path);
  } catch {
    return undefined;
  }
}

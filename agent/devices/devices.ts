/** Devices that the host has plugged in for a container, put into its specification by the guest's numbers. */

import type { Device as SpecDevice, DeviceRule, Spec } from "../../oci/spec.ts";
import type { Device, Storage } from "../../rpc/gen/agent_pb.ts";
import { VFIO_MODULES } from "../../sys/module_names.ts";
import { AT, S } from "../../sys/fd.ts";
import { majorOf, minorOf, statAt } from "../../sys/file.ts";
import { invalidArgument, unimplemented } from "../errors.ts";
import type { KernelDrivers } from "../storage/storages.ts";
import { DISK_MODULES, diskNode, isDiskKind } from "./disks.ts";
import { DEVICE_TYPES } from "./types.ts";
import { giveToVfio, handedThrough, type PciAddresses, withGuestAddresses } from "./vfio.ts";

/** A device in the guest. */
interface Found {
  readonly containerPath: string;
  /** its node; none for a device that the guest's own drivers serve */
  readonly node: string | undefined;
  readonly pci: readonly PciAddresses[];
}

/** Finds what the host has plugged in. */
export class DeviceFinder {
  readonly #drivers: KernelDrivers;
  readonly #timeoutMs: number;

  /** @param timeoutMs how long a device may take to appear, in milliseconds */
  constructor(drivers: KernelDrivers, timeoutMs: number) {
    this.#drivers = drivers;
    this.#timeoutMs = timeoutMs;
  }

  /** Storages with the paths of their disks as sources. */
  async withDisks(storages: readonly Storage[]): Promise<Storage[]> {
    return await Promise.all(storages.map(async (storage) => {
      const { driver, source } = storage;
      return isDiskKind(driver) ? { ...storage, source: await this.disk(driver, source) } : storage;
    }));
  }

  /** Path of a disk's node, once it is there. */
  async disk(kind: keyof typeof DISK_MODULES, address: string): Promise<string> {
    this.#drivers.need(...DISK_MODULES[kind]);
    return await diskNode(kind, address, this.#timeoutMs);
  }

  /**
   * The specification with the guest's numbers for the devices.
   *
   * @throws {RpcError} `InvalidArgument`, `Unimplemented`, `FailedPrecondition` for a device that does not come
   */
  async withDevices(spec: Spec, devices: readonly Device[]): Promise<Spec> {
    if (devices.length === 0) return spec;
    for (const device of devices) check(device);
    return applyDevices(spec, await Promise.all(devices.map((device) => this.#find(device))));
  }

  async #find({ type, id, vmPath, containerPath, options }: Device): Promise<Found> {
    if (isDiskKind(type)) {
      return { containerPath, node: await this.disk(type, vmPath || id), pci: [] };
    }
    const pci = await handedThrough(options, this.#timeoutMs);
    if (type === "vfio-pci-gk") return { containerPath, node: undefined, pci };
    if (this.#drivers.needMore) this.#drivers.needMore(...VFIO_MODULES);
    else this.#drivers.need(...VFIO_MODULES);
    const group = giveToVfio(pci.map(({ guest }) => guest));
    return { containerPath, node: `/dev/vfio/${group}`, pci };
  }
}

function check({ type, id, vmPath, containerPath }: Device): void {
  if (containerPath === "") throw invalidArgument('a device needs "container_path": it is empty');
  const what = `device "${containerPath}"`;
  if (type === "vfio-ap" || type === "vfio-ap-cold") {
    throw unimplemented(`${what} of type "${type}" is not supported: there are none but on s390x`);
  }
  if (!DEVICE_TYPES.includes(type)) {
    throw invalidArgument(`${what} must be of a type of ${DEVICE_TYPES.join(", ")}: it is "${type}"`);
  }
  if (isDiskKind(type) && id === "" && vmPath === "") {
    throw invalidArgument(`${what} needs "id" or "vm_path": both are empty`);
  }
}

/** Numbers are changed in one pass, so that a number that one device had and another gets is not changed twice. */
export function applyDevices(spec: Spec, found: readonly Found[], numbersOf = nodeNumbers): Spec {
  const entries = [...spec.linux?.devices ?? []];
  const moved = new Map<string, Numbers>();
  const granted: DeviceRule[] = [];
  for (const { containerPath, node } of found) {
    if (node === undefined) continue;
    const index = entries.findIndex(({ path }) => path === containerPath);
    const entry = entries[index];
    if (entry === undefined) {
      throw invalidArgument(`device "${containerPath}" is not in linux.devices of the specification`);
    }
    const numbers = numbersOf(node);
    const key = keyOf(entry);
    moved.set(key, numbers);
    entries[index] = { ...entry, ...numbers, path: node.startsWith("/dev/vfio/") ? node : containerPath };
    // the host's own rule about the device takes precedence
    if (spec.linux?.resources?.devices?.some((rule) => keyOf(rule) === key)) continue;
    const { type, major, minor } = numbers;
    granted.push({ allow: true, type, major, minor, access: "rwm" });
  }
  const pci = found.flatMap((device) => device.pci);
  const env = withGuestAddresses(spec.process.env ?? [], pci);
  const { resources } = spec.linux ?? {};
  const rules = resources?.devices?.map((rule) => ({ ...rule, ...moved.get(keyOf(rule)) }));
  return {
    ...spec,
    process: { ...spec.process, env },
    linux: {
      ...spec.linux,
      devices: entries,
      resources: {
        ...resources,
        ...(rules || granted.length > 0 ? { devices: [...rules ?? [], ...granted] } : {}),
      },
    },
  };
}

interface Numbers {
  readonly type: "b" | "c";
  readonly major: number;
  readonly minor: number;
}

/** Device nodes of one kind share numbers; "u" is another name of "c". */
function keyOf({ type, major, minor }: Pick<SpecDevice | DeviceRule, "type" | "major" | "minor">): string {
  return `${type === "u" ? "c" : type} ${major}:${minor}`;
}

function nodeNumbers(path: string): Numbers {
  const { rdev, type: kind } = statAt(AT.FDCWD, path);
  const type = kind === S.IFBLK ? "b" : "c";
  return { type, major: majorOf(rdev), minor: minorOf(rdev) };
}

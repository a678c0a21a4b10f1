/** Devices of the host that come and go while a machine runs. */

import type { HostDevice, HostDevicePlugs, PluggedHostDevice } from "../../vmm.ts";
import { type DescribeDevice, type DevicePorts, hostDeviceId, IOMMUFD } from "../host_devices.ts";
import type { QmpClient } from "../qmp.ts";
import { type Plugs, removeDevice } from "./removal.ts";

/** What the devices of a machine are plugged in with. */
export interface HostDevicesOptions {
  readonly plugs: Plugs;
  readonly ports: DevicePorts;
  readonly describe: DescribeDevice;
  /** those that are there since boot; their ports are taken */
  readonly atBoot: readonly HostDevice[];
}

/** The devices of the host in a machine. */
export class HostDevices implements HostDevicePlugs {
  readonly #options: HostDevicesOptions;
  readonly #numbers: Set<number>;

  constructor(options: HostDevicesOptions) {
    this.#options = options;
    this.#numbers = new Set(options.atBoot.keys());
  }

  async pathOf({ address, mediated }: HostDevice): Promise<string> {
    const number = this.#options.atBoot.findIndex((device) =>
      device.address === address && device.mediated === mediated
    );
    if (number < 0) throw new Error(`the VM was not booted with the device ${address} of the host`);
    return await guestPath(this.#options.plugs.qmp, hostDeviceId(number));
  }

  async add(device: HostDevice): Promise<PluggedHostDevice> {
    await using undo = new AsyncDisposableStack();
    const number = this.#takeNumber();
    undo.defer(() => void this.#numbers.delete(number));
    const id = hostDeviceId(number);
    const path = await plugIn(this.#options, id, device, undo);
    const taken = undo.move();
    return {
      path,
      [Symbol.asyncDispose]: () => removeDevice(this.#options.plugs, id).then(() => taken.disposeAsync()),
    };
  }

  #takeNumber(): number {
    let number = 0;
    while (this.#numbers.has(number)) number++;
    this.#numbers.add(number);
    return number;
  }
}

/**
 * Plugs a device of the host into a port.
 *
 * @param undo gets the port; it is free when the device is gone
 * @returns where the guest finds it
 */
export async function plugIn(
  { plugs: { qmp }, ports, describe }: Pick<HostDevicesOptions, "plugs" | "ports" | "describe">,
  id: string,
  device: HostDevice,
  undo: AsyncDisposableStack,
): Promise<string> {
  const { bus, address: addr } = undo.use(ports.take());
  if (device.iommufd) await openIommufd(qmp);
  await qmp.execute("device_add", { ...describe(device), id, bus, addr });
  return await guestPath(qmp, id);
}

/** Once per machine. */
async function openIommufd(qmp: QmpClient): Promise<void> {
  const types = await qmp.execute("qom-list-types", { implements: "iommufd" });
  if (!Array.isArray(types) || types.length === 0) throw new Error(NO_IOMMUFD);
  const objects = await qmp.execute("qom-list", { path: "/objects" });
  if (Array.isArray(objects) && objects.some((object) => object?.name === IOMMUFD)) return;
  await qmp.execute("object-add", { "qom-type": "iommufd", id: IOMMUFD });
}

/** Why a device cannot be opened by a node of its own. */
export const NO_IOMMUFD =
  "this QEMU cannot open devices by /dev/vfio/devices, which came with its version 8.2: hand in the group instead";

/** Longest way from a device to the root bus. */
const MAX_DEPTH = 8;

/** Where the guest finds a device: its slot, after those of the bridges and ports on the way from the root bus. */
export async function guestPath(qmp: QmpClient, id: string): Promise<string> {
  const slots: string[] = [];
  let device = `/machine/peripheral/${id}`;
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const address = Number(await qmp.execute("qom-get", { path: device, property: "addr" }));
    const bus = String(await qmp.execute("qom-get", { path: device, property: "parent_bus" }));
    if (!Number.isInteger(address) || address % FUNCTIONS !== 0) {
      throw new Error(`QEMU has put device "${id}" at ${address}, which is no slot`);
    }
    slots.unshift((address / FUNCTIONS).toString(16).padStart(2, "0"));
    device = bus.slice(0, bus.lastIndexOf("/"));
    if (!device.startsWith("/machine/peripheral/")) return slots.join("/");
  }
  throw new Error(`QEMU has put device "${id}" behind more than ${MAX_DEPTH} bridges`);
}

/** A slot has so many functions. */
const FUNCTIONS = 8;

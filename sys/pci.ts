/** PCI devices of this host as sysfs has them: their drivers, groups and memory. */

import { isErrno } from "./errors.ts";
import { isEntry } from "./exists.ts";

/** Where sysfs is mounted. */
const SYSFS = "/sys";

/** Driver that hands a device through. */
export const VFIO_PCI = "vfio-pci";

const ADDRESS = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

/** Whether a text is the address of a device: domain, bus, device and function, such as "0000:3b:00.0". */
export function isPciAddress(text: string): boolean {
  return ADDRESS.test(text);
}

/** How much address space a device takes, in bytes. */
export interface PciMemory {
  /** memory that may be read ahead, and stand above 4 GiB */
  readonly prefetchable: number;
  readonly other: number;
}

const RESOURCE = { MEMORY: 0x200, PREFETCH: 0x2000, MEMORY_64: 0x100000 } as const;

/** Classes of bridges begin with this byte. */
const BRIDGE = "0x06";

/** Devices of the PCI bus. */
export class PciBus {
  readonly #sys: string;

  /** @param sys where sysfs is; for tests */
  constructor(sys: string = SYSFS) {
    this.#sys = sys;
  }

  /** The device's folder. */
  folderOf(address: string): string {
    return `${this.#sys}/bus/pci/devices/${address}`;
  }

  has(address: string): boolean {
    return isEntry(this.folderOf(address));
  }

  /** Whether it leads to other devices, which it then is not handed through itself. */
  isBridge(address: string): boolean {
    return readText(`${this.folderOf(address)}/class`)?.startsWith(BRIDGE) === true;
  }

  /** The driver that it is bound to; undefined if there is none. */
  driverOf(address: string): string | undefined {
    return linkName(`${this.folderOf(address)}/driver`);
  }

  /** Number of the IOMMU group that it is in; undefined if the host has no IOMMU for it. */
  groupOf(address: string): string | undefined {
    return linkName(`${this.folderOf(address)}/iommu_group`);
  }

  /** Addresses, and names of mediated devices, of all that a group has; undefined if there is no such group. */
  devicesOf(group: string): string[] | undefined {
    return names(`${this.#sys}/kernel/iommu_groups/${group}/devices`);
  }

  /** Addresses of all devices that a driver has. */
  boundTo(driver: string): string[] {
    return (names(`${this.#sys}/bus/pci/drivers/${driver}`) ?? []).filter(isPciAddress);
  }

  /** What its registers take. */
  memoryOf(address: string): PciMemory {
    let [prefetchable, other] = [0, 0];
    for (const line of (readText(`${this.folderOf(address)}/resource`) ?? "").trim().split("\n")) {
      const [start = 0, end = 0, flags = 0] = line.split(" ").map(Number);
      if ((flags & RESOURCE.MEMORY) === 0 || end <= start) continue;
      const isHigh = (flags & RESOURCE.PREFETCH) !== 0 && (flags & RESOURCE.MEMORY_64) !== 0;
      if (isHigh) prefetchable += end - start + 1;
      else other += end - start + 1;
    }
    return { prefetchable, other };
  }

  /**
   * Takes a device from its driver and offers it to another one, which may still decline it: see
   * {@linkcode driverOf}.
   *
   * @throws {Error} sysfs refuses
   */
  offer(address: string, driver: string): void {
    write(`${this.folderOf(address)}/driver_override`, driver);
    this.#unbind(address);
    write(`${this.#sys}/bus/pci/drivers_probe`, address);
  }

  /**
   * Undoes {@linkcode offer}: the device is with its former driver again. It may be so already, or be gone.
   *
   * @throws {Error} sysfs refuses
   */
  giveBack(address: string, driver: string): void {
    if (!this.has(address)) return;
    // a line without a name is no override
    write(`${this.folderOf(address)}/driver_override`, "\n");
    if (this.driverOf(address) === driver) return;
    this.#unbind(address);
    write(`${this.#sys}/bus/pci/drivers/${driver}/bind`, address);
  }

  #unbind(address: string): void {
    const file = `${this.folderOf(address)}/driver/unbind`;
    if (isEntry(file)) write(file, address);
  }
}

/** Last part of a link's target. */
function linkName(path: string): string | undefined {
  try {
    return Deno.readLinkSync(path).replace(/^.*\//, "");
  } catch {
    return undefined;
  }
}

function names(folder: string): string[] | undefined {
  try {
    return Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
  } catch {
    return undefined;
  }
}

function readText(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}

function write(path: string, text: string): void {
  try {
    Deno.writeTextFileSync(path, text, { create: false });
  } catch (cause) {
    const why = isErrno(cause) ? cause.code : cause instanceof Error ? cause.message : String(cause);
    throw new Error(`cannot write "${text.trim()}" to "${path}": ${why}`, { cause });
  }
}

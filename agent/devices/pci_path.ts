/** Where a PCI device is: the slots on the way to it, as the host knows them, against the addresses the guest gave. */

import { isEntry } from "../../sys/exists.ts";
import { invalidArgument } from "../errors.ts";

/** Folder of the devices behind the root of the PCI tree, by where kernels have it. */
const ROOTS = ["/sys/devices/pci0000:00", "/sys/devices/platform"];

/** One slot and function of a bus. */
interface Hop {
  readonly slot: number;
  readonly fn: number;
}

/**
 * Slots from the root bus on, separated by "/": each two hexadecimal digits and perhaps a function, such as "02/01" or
 * "03.1".
 *
 * @throws {RpcError} `InvalidArgument`
 */
export function parsePciPath(text: string): Hop[] {
  return text.split("/").map((part) => {
    const [, slot, fn = "0"] = /^([0-9a-f]{2})(?:\.([0-7]))?$/i.exec(part) ?? [];
    const number = parseInt(slot ?? "", 16);
    if (slot !== undefined && number < 32) return { slot: number, fn: Number(fn) };
    throw invalidArgument(
      `a PCI path must be slots such as "02/01", each two hexadecimal digits up to 1f: it is "${text}"`,
    );
  });
}

/**
 * The device's folder in sysfs, if it is there already.
 *
 * @param root folder of the root bus
 * @throws {Error} a bridge on the way has other than one bus behind it
 */
export function pciFolder(path: string, root: string | undefined = rootFolder()): string | undefined {
  if (root === undefined) return undefined;
  let folder = root;
  let bus = root.slice(-"0000:00".length);
  for (const [index, { slot, fn }] of parsePciPath(path).entries()) {
    if (index > 0) {
      const behind = names(`${folder}/pci_bus`);
      if (behind.length === 0) return undefined;
      const [only] = behind;
      if (only === undefined || behind.length > 1) {
        throw new Error(
          `the bridge "${folder}" on the PCI path "${path}" has ${behind.length} buses behind it`,
        );
      }
      bus = only;
    }
    folder += `/${bus}:${slot.toString(16).padStart(2, "0")}.${fn}`;
    if (!isEntry(folder)) return undefined;
  }
  return folder;
}

/** x86 has the root bus at the top, machines described by a device tree or ACPI tables of arm64 below a platform device. */
function rootFolder(): string | undefined {
  const [top = "", platform = ""] = ROOTS;
  if (isEntry(top)) return top;
  for (const name of names(platform)) {
    const folder = `${platform}/${name}/pci0000:00`;
    if (name.endsWith(".pcie") && isEntry(folder)) return folder;
  }
  return undefined;
}

/** Names in a folder, sorted; none if it is not there. */
export function names(folder: string): string[] {
  try {
    return Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return [];
    throw error;
  }
}

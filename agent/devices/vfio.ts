/** PCI devices of the host that were handed through to the guest. */

import { isEntry } from "../../sys/exists.ts";
import { failedPrecondition, invalidArgument } from "../errors.ts";
import { appearance } from "./appearance.ts";
import { names, pciFolder } from "./pci_path.ts";

/** A device's address on the host, and in the guest. */
export interface PciAddresses {
  readonly host: string;
  readonly guest: string;
}

const ADDRESS = /^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/i;

/**
 * Waits for the functions of a device.
 *
 * @param options one for each function: its address on the host, "=", its PCI path in the guest
 * @throws {RpcError} `InvalidArgument`, `FailedPrecondition` if one does not come
 */
export async function handedThrough(
  options: readonly string[],
  timeoutMs: number,
  root?: string,
): Promise<PciAddresses[]> {
  if (options.length === 0) throw invalidArgument('a VFIO device needs "options": there are none');
  return await Promise.all(options.map(async (option) => {
    const [host = "", path = ""] = option.split("=");
    if (!ADDRESS.test(host)) {
      throw invalidArgument(
        `an option of a VFIO device must be such as "0000:3b:00.0=02/01": it is "${option}"`,
      );
    }
    const find = () => pciFolder(path, root);
    const folder = await appearance(find, `the PCI device "${path}" (${host} on the host)`, timeoutMs);
    return { host, guest: folder.slice(folder.lastIndexOf("/") + 1) };
  }));
}

/** Where devices and drivers of the PCI bus are. */
const PCI = "/sys/bus/pci";

/**
 * Takes devices from the guest's drivers, for a container to drive them.
 *
 * @returns number of their IOMMU group
 * @throws {RpcError} `FailedPrecondition` if they are in different groups, or in none
 */
export function giveToVfio(addresses: readonly string[], bus: string = PCI): string {
  const groups = new Set(addresses.map((address) => groupOf(address, bus)));
  const [group] = groups;
  if (group === undefined || groups.size !== 1) {
    throw failedPrecondition(
      `the functions of a VFIO device must be in one IOMMU group: ${addresses.join(", ")} are in ${
        [...groups].join(", ")
      }`,
    );
  }
  for (const address of addresses) {
    const device = `${bus}/devices/${address}`;
    write(`${device}/driver_override`, "vfio-pci");
    if (isEntry(`${device}/driver`)) write(`${device}/driver/unbind`, address);
    write(`${bus}/drivers_probe`, address);
  }
  return group;
}

function groupOf(address: string, bus: string): string {
  try {
    const link = Deno.readLinkSync(`${bus}/devices/${address}/iommu_group`);
    return link.slice(link.lastIndexOf("/") + 1);
  } catch (cause) {
    const known = names(`${bus}/devices`).includes(address) ? "has no IOMMU" : "is not there";
    throw failedPrecondition(`the PCI device ${address} ${known} in the guest`, { cause });
  }
}

function write(file: string, text: string): void {
  Deno.writeTextFileSync(file, text, { create: false });
}

/** How device plugins tell a container of its devices: addresses of the host, by the name of the resource. */
const PLUGIN_VARIABLE = /^PCIDEVICE_[^=]*=/;

/** Variables of device plugins with the guest's addresses in place of the host's. */
export function withGuestAddresses(env: readonly string[], addresses: readonly PciAddresses[]): string[] {
  if (addresses.length === 0) return [...env];
  const guest = new Map(addresses.map((pair) => [pair.host.toLowerCase(), pair.guest]));
  return env.map((variable) =>
    PLUGIN_VARIABLE.test(variable)
      ? variable.replaceAll(
        /[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]/gi,
        (host) => guest.get(host.toLowerCase()) ?? host,
      )
      : variable
  );
}

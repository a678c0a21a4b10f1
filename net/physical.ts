/**
 * Links of a pod that are devices of the host: taken from their drivers as long as the virtual machine has them.
 *
 * @module
 */

import { Code, RpcError } from "../rpc/errors.ts";
import { PciBus, VFIO_PCI } from "../sys/pci.ts";

/** What is done to a device, and has to be undone. */
export interface DriverPlan {
  /** of the device on the PCI bus */
  readonly address: string;
  /** what drove it before */
  readonly driver: string;
}

/**
 * Checks that a device can be taken.
 *
 * @param link what messages call it
 * @throws {RpcError} `FAILED_PRECONDITION`
 */
export function checkDevice({ address }: DriverPlan, link: string, bus: PciBus): void {
  const group = bus.groupOf(address);
  if (group === undefined) {
    throw refused(link, `the host has no IOMMU for its device ${address}, or it is switched off`);
  }
  for (const other of bus.devicesOf(group) ?? []) {
    if (other === address || bus.isBridge(other)) continue;
    const driver = bus.driverOf(other);
    if (driver === undefined || driver === VFIO_PCI) continue;
    throw refused(
      link,
      `its device ${address} cannot be separated from ${other}, which is in the same IOMMU group ${group} and ` +
        `bound to driver "${driver}"`,
    );
  }
}

/** Takes a device from its driver; its link is gone then. @throws {RpcError} `FAILED_PRECONDITION` */
export function takeDevice({ address }: DriverPlan, link: string, bus: PciBus): void {
  bus.offer(address, VFIO_PCI);
  const driver = bus.driverOf(address);
  if (driver === VFIO_PCI) return;
  const found = driver === undefined ? "it has none" : `it has "${driver}"`;
  const hint = "is the module vfio-pci loaded?";
  throw refused(link, `its device ${address} cannot be bound to driver "${VFIO_PCI}": ${found}; ${hint}`);
}

/**
 * Gives a device back to its driver. The link is in the host's network namespace then, whatever it was called and
 * wherever it was.
 */
export function returnDevice({ address, driver }: DriverPlan, bus: PciBus = new PciBus()): void {
  bus.giveBack(address, driver);
}

function refused(link: string, why: string): RpcError {
  return new RpcError(
    Code.FailedPrecondition,
    `link ${link} cannot be handed to the virtual machine: ${why}`,
  );
}

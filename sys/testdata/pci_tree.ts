/** For tests: PCI devices as sysfs shows them, in a folder. */

import { dirname } from "../path.ts";

/** What of a device matters. */
export interface TestDevice {
  readonly driver?: string;
  readonly group?: string;
  readonly class?: string;
  /** start, end, flags */
  readonly resource?: readonly (readonly [number, number, number])[];
}

/** The folder. */
export interface PciTree {
  /** What was written into files since they were made, or since {@linkcode forget}, by their paths. */
  written(): Record<string, string>;
  forget(): void;
  /** Does what the kernel does when a device gets a driver. */
  bind(address: string, driver: string | undefined): void;
  /** Writes a file. */
  file(path: string, text: string): void;
  link(path: string, target: string): void;
}

/** Drivers that there are. */
const DRIVERS = ["vfio-pci", "ixgbevf", "pcieport", "snd_hda_intel"];

/** Makes it. */
export function pciTree(root: string, devices: Readonly<Record<string, TestDevice>>): PciTree {
  const files = new Map<string, string>();
  const file = (path: string, text: string) => {
    Deno.mkdirSync(dirname(`${root}/${path}`), { recursive: true });
    Deno.writeTextFileSync(`${root}/${path}`, text);
    files.set(path, text);
  };
  const link = (path: string, target: string) => {
    Deno.mkdirSync(dirname(`${root}/${path}`), { recursive: true });
    Deno.symlinkSync(target, `${root}/${path}`);
  };
  file("bus/pci/drivers_probe", "");
  for (const driver of DRIVERS) {
    for (const name of ["bind", "unbind"]) file(`bus/pci/drivers/${driver}/${name}`, "");
  }
  const bind = (address: string, driver: string | undefined) => {
    const path = `${root}/devices/pci0000:00/${address}/driver`;
    try {
      Deno.removeSync(path);
    } catch {
      // it had none
    }
    for (const name of DRIVERS) {
      try {
        Deno.removeSync(`${root}/bus/pci/drivers/${name}/${address}`);
      } catch {
        // another one had it
      }
    }
    if (driver === undefined) return;
    Deno.symlinkSync(`${root}/bus/pci/drivers/${driver}`, path);
    Deno.symlinkSync(`${root}/devices/pci0000:00/${address}`, `${root}/bus/pci/drivers/${driver}/${address}`);
  };
  for (const [address, device] of Object.entries(devices)) {
    const folder = `devices/pci0000:00/${address}`;
    link(`bus/pci/devices/${address}`, `${root}/${folder}`);
    file(`${folder}/driver_override`, "(null)\n");
    file(`${folder}/class`, `${device.class ?? "0x030000"}\n`);
    const hex = (number: number) => `0x${number.toString(16).padStart(16, "0")}`;
    const lines = (device.resource ?? []).map((numbers) => numbers.map(hex).join(" "));
    file(`${folder}/resource`, lines.map((line) => `${line}\n`).join(""));
    bind(address, device.driver);
    if (device.group === undefined) continue;
    link(`${folder}/iommu_group`, `${root}/kernel/iommu_groups/${device.group}`);
    link(`kernel/iommu_groups/${device.group}/devices/${address}`, `${root}/${folder}`);
  }
  return {
    written: () => {
      const changed: Record<string, string> = {};
      for (const [path, before] of files) {
        const now = Deno.readTextFileSync(`${root}/${path}`);
        if (now !== before) changed[path.replace(/^devices\/pci0000:00/, "bus/pci/devices")] = now;
      }
      return changed;
    },
    forget: () => {
      for (const path of files.keys()) {
        const isOverride = path.endsWith("/driver_override");
        file(
          path,
          isOverride ? "(null)\n" : /bind$|probe$/.test(path) ? "" : Deno.readTextFileSync(`${root}/${path}`),
        );
      }
    },
    bind,
    file,
    link,
  };
}

/** Disks as the guest finds them, by the addresses at which the host has plugged them in. */

import { isEntry } from "../../sys/exists.ts";
import { invalidArgument } from "../errors.ts";
import { appearance } from "./appearance.ts";
import { names, pciFolder } from "./pci_path.ts";

/** Where devices are looked for. */
export interface Folders {
  readonly sys: string;
  readonly dev: string;
}

const FOLDERS: Folders = { sys: "/sys", dev: "/dev" };

/** Kinds of disks, by the names that the agent API has for their drivers. */
export type DiskKind = "blk" | "blk-ccw" | "mmioblk" | "nvdimm" | "scsi";

/** Kernel modules that a kind of disk needs. */
export const DISK_MODULES: Readonly<Record<DiskKind, readonly string[]>> = {
  "blk": ["virtio_blk"],
  "blk-ccw": ["virtio_blk"],
  "mmioblk": ["virtio_mmio", "virtio_blk"],
  "nvdimm": ["nfit", "nd_pmem"],
  "scsi": ["virtio_scsi", "sd_mod"],
};

export function isDiskKind(text: string): text is DiskKind {
  return Object.hasOwn(DISK_MODULES, text);
}

/**
 * Waits until a disk is there.
 *
 * @param address PCI path, CCW id, "id:lun", or a path below /dev
 * @returns path of its node
 * @throws {RpcError} `InvalidArgument`, `FailedPrecondition` if it does not come
 */
export async function diskNode(
  kind: DiskKind,
  address: string,
  timeoutMs: number,
  folders: Folders = FOLDERS,
): Promise<string> {
  const find = finder(kind, address, folders);
  return await appearance(find, `the disk "${address}" (${kind})`, timeoutMs);
}

function finder(kind: DiskKind, address: string, folders: Folders): () => string | undefined {
  if (address.startsWith("/dev/")) return byName(address.slice("/dev/".length), folders);
  switch (kind) {
    case "blk":
      return byPci(address, folders);
    case "blk-ccw":
      return byCcw(address, folders);
    case "scsi":
      return byScsi(address, folders);
    case "mmioblk":
    case "nvdimm":
      throw invalidArgument(`a disk of kind "${kind}" is named by its path below /dev: it is "${address}"`);
  }
}

function byName(name: string, { sys, dev }: Folders): () => string | undefined {
  if (!/^[a-z0-9]+$/i.test(name)) throw invalidArgument(`"/dev/${name}" is no name of a disk`);
  return () => isEntry(`${sys}/class/block/${name}`) ? node(name, dev) : undefined;
}

/** The block device below the virtio device below the PCI device. */
function byPci(path: string, { sys, dev }: Folders): () => string | undefined {
  return () => {
    const folder = pciFolder(path, sys === FOLDERS.sys ? undefined : `${sys}/devices/pci0000:00`);
    if (folder === undefined) return undefined;
    for (const virtio of names(folder).filter((name) => /^virtio[0-9]+$/.test(name))) {
      const [name] = names(`${folder}/${virtio}/block`);
      if (name !== undefined) return node(name, dev);
    }
    return undefined;
  };
}

function byCcw(id: string, { sys, dev }: Folders): () => string | undefined {
  if (!/^0\.[0-3]\.[0-9a-f]{4}$/i.test(id)) {
    throw invalidArgument(`a CCW address must be such as "0.0.0005": it is "${id}"`);
  }
  return () => {
    const folder = `${sys}/bus/ccw/devices/${id.toLowerCase()}`;
    for (const virtio of names(folder).filter((name) => /^virtio[0-9]+$/.test(name))) {
      const [name] = names(`${folder}/${virtio}/block`);
      if (name !== undefined) return node(name, dev);
    }
    return undefined;
  };
}

/** Host adapters are asked to look at the address: they do not all notice by themselves. */
function byScsi(address: string, { sys, dev }: Folders): () => string | undefined {
  const [, id, lun] = /^([0-9]{1,3}):([0-9]{1,5})$/.exec(address) ?? [];
  if (id === undefined || lun === undefined) {
    throw invalidArgument(`a SCSI address must be target and unit such as "0:1": it is "${address}"`);
  }
  const asked = new Set<string>();
  return () => {
    for (const host of names(`${sys}/class/scsi_host`)) {
      if (asked.has(host)) continue;
      asked.add(host);
      Deno.writeTextFileSync(`${sys}/class/scsi_host/${host}/scan`, `0 ${id} ${lun}`, { create: false });
    }
    const own = names(`${sys}/class/scsi_device`).filter((name) => name.endsWith(`:0:${id}:${lun}`));
    for (const device of own) {
      const [name] = names(`${sys}/class/scsi_device/${device}/device/block`);
      if (name !== undefined) return node(name, dev);
    }
    return undefined;
  };
}

/** The kernel makes the node a moment after the entry in sysfs. */
function node(name: string, dev: string): string | undefined {
  const path = `${dev}/${name}`;
  return isEntry(path) ? path : undefined;
}

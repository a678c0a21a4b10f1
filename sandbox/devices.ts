/**
 * What becomes of the devices of a container's spec: disks are plugged into its machine, other nodes are made in the
 * guest.
 *
 * @module
 */

import type { Device } from "../oci/spec.ts";
import { type MountInfo, readMountinfo } from "../sys/mountinfo.ts";
import type { Disk } from "../vm/vmm.ts";

/** A disk that the container has a node of. */
export interface DeviceDisk {
  /** path of the node in the container */
  readonly containerPath: string;
  readonly disk: Disk;
}

/** The devices, each where it belongs. */
export interface DevicePlan {
  /** nodes that the guest makes; those of disks get their numbers there */
  readonly nodes: readonly Device[];
  readonly disks: readonly DeviceDisk[];
  /** what the container does not get, each with the reason */
  readonly dropped: readonly string[];
}

/** What has to be known of the host's disks. */
export interface DiskHost {
  /** the disk's node; `undefined` = there is no such disk */
  nodeOf(major: number, minor: number): string | undefined;
  /** how the host uses the disk itself; `undefined` = not at all */
  useOf(major: number, minor: number): string | undefined;
  isReadOnly(major: number, minor: number): boolean;
}

/** Floppy and CD-ROM drives, without a medium as a rule. */
const REMOVABLE_MAJORS = new Set([2, 11]);

/**
 * A disk that the host has mounted is not given to a guest, which would destroy what is on it: a privileged container
 * has all nodes of the host in its spec. Nor is a node made with the host's numbers, which are another disk's in the
 * guest.
 *
 * @param useDisks whether disks may be plugged into the machine
 */
export function planDevices(devices: readonly Device[], useDisks: boolean, host: DiskHost): DevicePlan {
  const nodes: Device[] = [];
  const disks: DeviceDisk[] = [];
  const dropped: string[] = [];
  for (const device of devices) {
    if (device.type !== "b") {
      nodes.push(device);
      continue;
    }
    const { path: containerPath, major = 0, minor = 0 } = device;
    const node = host.nodeOf(major, minor);
    const why = REMOVABLE_MAJORS.has(major)
      ? "it is a removable medium"
      : node === undefined
      ? `there is no disk ${major}:${minor}`
      : !useDisks
      ? "disable_block_device_use is set"
      : host.useOf(major, minor);
    if (node === undefined || why !== undefined) {
      dropped.push(`device "${containerPath}" is not in the container: ${why}`);
      continue;
    }
    nodes.push(device);
    disks.push({
      containerPath,
      disk: { path: node, isDevice: true, readonly: host.isReadOnly(major, minor) },
    });
  }
  return { nodes, disks, dropped };
}

const BLOCK_DEVICES = "/sys/dev/block";

/** This host. */
export const DISK_HOST: DiskHost = {
  nodeOf(major, minor) {
    return nodeOf(`${BLOCK_DEVICES}/${major}:${minor}`);
  },
  useOf(major, minor) {
    const folder = `${BLOCK_DEVICES}/${major}:${minor}`;
    if (read(`${folder}/size`)?.trim() === "0") return "it has no medium";
    const own = [folder, ...partitionsOf(folder)];
    const numbers = own.map((part) => read(`${part}/dev`)?.trim());
    const nodes = own.map(nodeOf);
    // a file system on several disks has a number of its own
    const mounted = hostMounts().find(({ device, source }) =>
      numbers.includes(device) || nodes.includes(source)
    );
    if (mounted !== undefined) return `the host has mounted it on "${mounted.mountPoint}"`;
    const [holder] = names(`${folder}/holders`);
    return holder === undefined ? undefined : `it is part of "${holder}" on the host`;
  },
  isReadOnly: (major, minor) => read(`${BLOCK_DEVICES}/${major}:${minor}/ro`)?.trim() === "1",
};

function nodeOf(folder: string): string | undefined {
  const name = /^DEVNAME=(.+)$/m.exec(read(`${folder}/uevent`) ?? "")?.[1];
  return name === undefined ? undefined : `/dev/${name}`;
}

function partitionsOf(folder: string): string[] {
  return names(folder).map((name) => `${folder}/${name}`).filter((part) =>
    read(`${part}/partition`) !== undefined
  );
}

/** Those of the host, if this process has others. */
function hostMounts(): MountInfo[] {
  try {
    return readMountinfo("/proc/1/mountinfo");
  } catch {
    return readMountinfo();
  }
}

function read(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}

function names(folder: string): string[] {
  try {
    return Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
  } catch {
    return [];
  }
}

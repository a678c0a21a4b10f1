/**
 * How each device of a container's spec is handled: disks are plugged into its machine, other nodes are created in the
 * guest.
 *
 * @module
 */

import type { Device } from "../../oci/spec.ts";
import { AT, S } from "../../sys/fd.ts";
import { makeDev, statAt } from "../../sys/file.ts";
import { type MountInfo, readMountinfo } from "../../sys/mountinfo.ts";
import type { Disk } from "../../vm/vmm.ts";

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
  /** devices that the container does not get, each with the reason */
  readonly dropped: readonly string[];
}

/** Facts about the host's disks. */
export interface DiskHost {
  /** the disk's node; `undefined` = there is no such disk */
  nodeOf(major: number, minor: number): string | undefined;
  /** how the host uses the disk itself; `undefined` = not at all */
  useOf(major: number, minor: number): string | undefined;
  isReadOnly(major: number, minor: number): boolean;
  /** where the disk is served whose node is in `block/devices` of a folder; its socket has the same name */
  socketOf(major: number, minor: number, folder: string): string | undefined;
}

/** Where nodes of disks are that other processes serve, and their sockets. */
export interface ServedDisks {
  readonly folder: string;
  /** time after which a lost connection is made again, in seconds; 0 = never */
  readonly reconnectS: number;
}

/** Which disks a container may have. */
export interface DiskPolicy {
  /** whether disks may be plugged into the machine */
  readonly useDisks: boolean;
  /** absent: nodes with their numbers are disks like others */
  readonly servedDisks?: ServedDisks | undefined;
}

/** Numbers that are given to such disks: vhost-user-blk and vhost-user-scsi. */
const SERVED_BLOCK_MAJOR = 241;
const SERVED_SCSI_MAJOR = 242;

/** Floppy and CD-ROM drives, without a medium as a rule. */
const REMOVABLE_MAJORS = new Set([2, 11]);

/**
 * A disk that the host has mounted is not given to a guest, which would destroy what is on it: a privileged container
 * has all nodes of the host in its spec. Nor is a node made with the host's numbers, which are another disk's in the
 * guest.
 */
export function planDevices(devices: readonly Device[], policy: DiskPolicy, host: DiskHost): DevicePlan {
  const nodes: Device[] = [];
  const disks: DeviceDisk[] = [];
  const dropped: string[] = [];
  for (const device of devices) {
    const { path: containerPath } = device;
    const disk = device.type === "b" ? diskOf(device, policy, host) : undefined;
    if (typeof disk === "string") {
      dropped.push(`device "${containerPath}" is not in the container: ${disk}`);
      continue;
    }
    nodes.push(device);
    if (disk !== undefined) disks.push({ containerPath, disk });
  }
  return { nodes, disks, dropped };
}

/** The disk, or why the container does not get it. */
function diskOf({ major = 0, minor = 0 }: Device, policy: DiskPolicy, host: DiskHost): Disk | string {
  const { useDisks, servedDisks } = policy;
  if (REMOVABLE_MAJORS.has(major)) return "it is a removable medium";
  if (!useDisks) return "disable_block_device_use is set";
  if (servedDisks && major === SERVED_SCSI_MAJOR) {
    return "controllers that other processes serve are not plugged in";
  }
  if (servedDisks && major === SERVED_BLOCK_MAJOR) {
    const path = host.socketOf(major, minor, servedDisks.folder);
    if (path === undefined) {
      return `"${servedDisks.folder}/block/devices" has no node ${major}:${minor} with a socket`;
    }
    return { path, isDevice: false, readonly: false, served: { reconnectS: servedDisks.reconnectS } };
  }
  const path = host.nodeOf(major, minor);
  if (path === undefined) return `there is no disk ${major}:${minor}`;
  return host.useOf(major, minor) ?? { path, isDevice: true, readonly: host.isReadOnly(major, minor) };
}

/** Where the nodes are by which devices of the host are handed through. */
export const VFIO_FOLDER = "/dev/vfio/";

/** Whether a node is one of these. */
export function isVfio({ type, path }: Device): boolean {
  return type === "c" && path.startsWith(VFIO_FOLDER);
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
  socketOf(major, minor, folder) {
    const wanted = makeDev(major, minor);
    const name = names(`${folder}/block/devices`).find((name) => {
      const { type, rdev } = statAt(AT.FDCWD, `${folder}/block/devices/${name}`);
      return type === S.IFBLK && rdev === wanted;
    });
    const socket = `${folder}/block/sockets/${name}`;
    return name !== undefined && statKind(socket) === S.IFSOCK ? socket : undefined;
  },
};

function statKind(path: string): number | undefined {
  try {
    return statAt(AT.FDCWD, path).type;
  } catch {
    return undefined;
  }
}

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

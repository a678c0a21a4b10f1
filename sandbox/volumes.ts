/**
 * Mounts that are more than a folder of the host: volumes in memory, on huge pages, and on disks.
 *
 * @module
 */

import type { DirectVolume } from "../fs/direct_volume.ts";
import type { HugepageLimit, Mount } from "../oci/spec.ts";
import { Code, RpcError } from "../rpc/errors.ts";
import type { Storage } from "../rpc/gen/agent_pb.ts";
import { FSGroupChangePolicy } from "../rpc/gen/types_pb.ts";
import type { Init } from "../rpc/message.ts";
import { FS_MAGIC } from "../sys/statfs.ts";
import type { Disk } from "../vm/vmm.ts";
import type { MountHost } from "./mount_host.ts";
import { GUEST_MEMORY_VOLUMES } from "./paths.ts";

/** A file system that the guest makes, and the mount of it. */
export interface StoragePlan {
  readonly kind: "storage";
  readonly mount: Mount;
  readonly storage: Init<Storage>;
}

/** A disk for the machine. */
export interface DiskPlan {
  readonly kind: "disk";
  readonly mount: Mount;
  readonly disk: Disk;
  /** how it is mounted; the node itself is bound if absent */
  readonly filesystem?: Pick<Init<Storage>, "fstype" | "options" | "fsGroup">;
  /** path of the volume that a storage driver knows it by */
  readonly volume?: string;
}

/** How Kubernetes names the folders of its `emptyDir` volumes. */
const EMPTY_DIR = /\/kubernetes\.io~empty-dir\/([^/]+)$/;

/** Says that a file is a disk (Kata's name). */
const FILE_AS_DISK = "io.katacontainers.fs-opt.block_device=file";

/**
 * A volume that is memory on the host is memory of the guest: shared by the containers of a pod, with the same limit.
 *
 * @param limits of the container; huge pages are set aside by them
 * @throws {RpcError} `INVALID_ARGUMENT` for huge pages without a limit
 */
export function memoryVolume(
  mount: Mount,
  source: string,
  limits: readonly HugepageLimit[],
  host: MountHost,
): StoragePlan | undefined {
  const [, name] = EMPTY_DIR.exec(source) ?? [];
  const on = name === undefined ? undefined : host.fileSystemOf(source);
  if (name === undefined || on === undefined) return undefined;
  const mountPoint = `${GUEST_MEMORY_VOLUMES}/${name}`;
  const bound = { ...mount, type: "bind", source: mountPoint };
  const { gid, mode } = host.ownerOf(source);
  const group = gid === 0 ? [] : [`fsgid=${gid}`];
  if (on.magic === FS_MAGIC.tmpfs) {
    const options = [`mode=${mode.toString(8)}`, ...(on.bytes > 0 ? [`size=${on.bytes}`] : []), ...group];
    const storage = { driver: "ephemeral", source: "tmpfs", fstype: "tmpfs", mountPoint, options };
    return { kind: "storage", mount: bound, storage };
  }
  if (on.magic !== FS_MAGIC.hugetlbfs) return undefined;
  const limit = limits.find(({ pageSize }) => pageBytes(pageSize) === on.blockBytes)?.limit;
  if (limit === undefined) {
    throw new RpcError(
      Code.InvalidArgument,
      `cannot mount "${mount.destination}": the container has no limit for its huge pages of ${on.blockBytes} bytes`,
    );
  }
  const options = [`pagesize=${on.blockBytes}`, `size=${limit}`, ...group];
  const storage = { driver: "ephemeral", source: "nodev", fstype: "hugetlbfs", mountPoint, options };
  return { kind: "storage", mount: bound, storage };
}

/** `64KB`, `2MB`, `1GB`, as control groups name the sizes of huge pages. */
function pageBytes(text: string): number | undefined {
  const [, number = "", unit = ""] = /^(\d+)([KMG])B$/.exec(text) ?? [];
  return number === "" ? undefined : Number(number) * 1024 ** ("KMG".indexOf(unit) + 1);
}

/** A volume that a storage driver has left to the machine. @throws {RpcError} `INVALID_ARGUMENT` */
export function directVolume(mount: Mount, path: string, volume: DirectVolume, host: MountHost): DiskPlan {
  const { volumeType, device, fstype, metadata, options } = volume;
  const refused = (why: string) =>
    new RpcError(Code.InvalidArgument, `cannot mount "${mount.destination}": volume "${path}" ${why}`);
  if (volumeType !== "block") {
    throw refused(`must have the type "block": it is ${JSON.stringify(volumeType)}`);
  }
  const kind = host.kindOf(device);
  if (kind !== "block" && kind !== "file") {
    throw refused(`must be on a block device or in a file: "${device}" ${kind ? "is none" : "is not there"}`);
  }
  const readonly = isReadOnly(mount) || options.includes("ro");
  const filesystem = { fstype, options: fsOptions(fstype, options, readonly), ...fsGroup(metadata) };
  if (fstype === "") throw refused('needs "fstype": it is ""');
  return {
    kind: "disk",
    mount,
    disk: { path: device, isDevice: kind === "block", readonly },
    filesystem,
    volume: path,
  };
}

/** A file that is to be a disk. @throws {RpcError} `INVALID_ARGUMENT` when it has no file system */
export function fileAsDisk(mount: Mount, path: string, host: MountHost): DiskPlan | undefined {
  if (!(mount.options ?? []).includes(FILE_AS_DISK)) return undefined;
  const fstype = host.filesystemOn(path);
  if (fstype === undefined) {
    throw new RpcError(
      Code.InvalidArgument,
      `cannot mount "${mount.destination}": the file "${path}" has no file system that the guest knows`,
    );
  }
  const readonly = isReadOnly(mount);
  const filesystem = { fstype, options: fsOptions(fstype, [], readonly) };
  const bound = { ...mount, options: ["bind"] };
  return { kind: "disk", mount: bound, disk: { path, isDevice: false, readonly }, filesystem };
}

/** The node of a disk, bound somewhere else than below /dev. */
export function diskNode(mount: Mount, path: string): DiskPlan {
  return { kind: "disk", mount, disk: { path, isDevice: true, readonly: isReadOnly(mount) } };
}

/** XFS refuses a second file system with the same identity, which snapshots have. */
export function fsOptions(fstype: string, options: readonly string[], readonly: boolean): string[] {
  const own = options.filter((option) => option !== "ro" && option !== "rw");
  if (fstype === "xfs" && !own.includes("nouuid")) own.push("nouuid");
  return readonly ? [...own, "ro"] : own;
}

function isReadOnly(mount: Mount): boolean {
  return (mount.options ?? []).includes("ro");
}

function fsGroup(metadata: DirectVolume["metadata"]): Pick<Init<Storage>, "fsGroup"> {
  const groupId = Number(metadata.fsGroup ?? Number.NaN);
  if (!Number.isInteger(groupId) || groupId < 0) return {};
  const groupChangePolicy = metadata.fsGroupChangePolicy === "OnRootMismatch"
    ? FSGroupChangePolicy.OnRootMismatch
    : FSGroupChangePolicy.Always;
  return { fsGroup: { groupId, groupChangePolicy } };
}

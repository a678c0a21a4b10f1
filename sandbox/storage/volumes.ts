/**
 * Mounts of volumes on disks.
 *
 * @module
 */

import type { DirectVolume } from "../../fs/direct_volume.ts";
import type { Mount } from "../../oci/spec.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import type { Storage } from "../../rpc/gen/agent_pb.ts";
import { FSGroupChangePolicy } from "../../rpc/gen/types_pb.ts";
import type { Init } from "../../rpc/message.ts";
import type { Disk } from "../../vm/vmm.ts";
import type { MountHost } from "./mount_host.ts";

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

/** Says that a file is a disk (Kata's name). */
const FILE_AS_DISK = "io.katacontainers.fs-opt.block_device=file";

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

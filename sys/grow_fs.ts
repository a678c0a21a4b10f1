/** Growing mounted file systems to the size of their devices. */

import { O } from "./abi/file.ts";
import { openFd, OwnedFd } from "./fd.ts";
import { majorOf, minorOf, statFd } from "./file.ts";
import { FS_MAGIC, fstatfs } from "./statfs.ts";
import { syscall } from "./syscall.ts";

/** ioctl requests, with the sizes of their arguments in them. */
const IOCTL = {
  /** _IOW('f', 16, __u64) */
  EXT4_IOC_RESIZE_FS: 0x40086610,
  /** _IOW('X', 110, struct xfs_growfs_data) */
  XFS_IOC_FSGROWFSDATA: 0x4010586e,
  /** _IOR('X', 100, struct xfs_fsop_geom_v1) */
  XFS_IOC_FSGEOMETRY_V1: 0x80705864,
} as const;

/** struct xfs_fsop_geom_v1: its size, and where the numbers are that matter here. */
const XFS_GEOMETRY = { size: 112, imaxpct: 28, datablocks: 32 } as const;

const SECTOR_BYTES = 512;

/** A mounted file system that can be grown. */
export interface GrowableFs {
  readonly type: "ext4" | "xfs";
  /** Of the block device, `major:minor`. */
  readonly device: string;
  readonly blockSize: number;
}

/**
 * Looks which file system a path is on.
 *
 * @throws {SysError} there is no such path
 * @throws {Error} it is one that is not grown here
 */
export function growableFs(path: string): GrowableFs {
  using folder = new OwnedFd(openFd(path, O.RDONLY | O.DIRECTORY));
  const { type, blockSize } = fstatfs(folder.fd);
  const { dev } = statFd(folder.fd);
  const device = `${majorOf(dev)}:${minorOf(dev)}`;
  if (type === FS_MAGIC.ext4) return { type: "ext4", device, blockSize };
  if (type === FS_MAGIC.xfs) return { type: "xfs", device, blockSize };
  throw new Error(
    `the file system at "${path}" cannot be grown: it is neither ext4 nor xfs (type 0x${type.toString(16)})`,
  );
}

/** Size of a block device in bytes. @param device `major:minor` */
export function deviceSize(device: string): number {
  return Number(Deno.readTextFileSync(`/sys/dev/block/${device}/size`)) * SECTOR_BYTES;
}

/**
 * Grows a file system while it is used.
 *
 * @param blocks its size afterwards, in its own blocks
 * @throws {SysError} what the kernel answered
 */
export function growFs(path: string, { type }: GrowableFs, blocks: bigint): void {
  using folder = new OwnedFd(openFd(path, O.RDONLY | O.DIRECTORY));
  if (type === "ext4") {
    const count = new BigUint64Array([blocks]);
    syscall("ioctl", [folder.fd, IOCTL.EXT4_IOC_RESIZE_FS, new Uint8Array(count.buffer)], path);
    return;
  }
  const geometry = new Uint8Array(XFS_GEOMETRY.size);
  syscall("ioctl", [folder.fd, IOCTL.XFS_IOC_FSGEOMETRY_V1, geometry], path);
  const view = new DataView(geometry.buffer);
  if (view.getBigUint64(XFS_GEOMETRY.datablocks, true) >= blocks) return;
  const request = new DataView(new ArrayBuffer(16));
  request.setBigUint64(0, blocks, true);
  request.setUint32(8, view.getUint32(XFS_GEOMETRY.imaxpct, true), true);
  syscall("ioctl", [folder.fd, IOCTL.XFS_IOC_FSGROWFSDATA, new Uint8Array(request.buffer)], path);
}

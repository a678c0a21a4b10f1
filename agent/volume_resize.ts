/** Volumes that grow while they are used: first the device, which the host has enlarged, then its file system. */

import { failedPrecondition, invalidArgument } from "./errors.ts";
import { deviceSize, growableFs, growFs } from "../sys/grow_fs.ts";
import { statfs } from "../sys/statfs.ts";
import { delay } from "../sys/timer.ts";

/** How often the device is looked at while it is waited for, in milliseconds. */
const LOOK_MS = 20;

/**
 * Grows the file system at a path.
 *
 * @param size of the volume in bytes; the file system gets as many whole blocks
 * @param waitMs how long the kernel may take to notice that the device has grown
 * @throws {RpcError} `InvalidArgument`, `FailedPrecondition`: it would shrink, or the device is too small
 */
export async function resizeVolume(path: string, size: bigint, waitMs: number): Promise<void> {
  if (size <= 0n) throw invalidArgument(`a volume cannot have ${size} bytes`);
  const fs = growableFs(path);
  await untilLarge(path, fs.device, size, waitMs);
  const blocks = size / BigInt(fs.blockSize);
  const before = statfs(path);
  // what statfs tells of ext4 leaves out what the file system needs for itself
  if (blocks < BigInt(before.blocks)) {
    const now = BigInt(before.blocks) * BigInt(fs.blockSize);
    throw failedPrecondition(
      `the volume at "${path}" cannot shrink: it has ${now} bytes, ${size} are asked for`,
    );
  }
  growFs(path, fs, blocks);
}

async function untilLarge(path: string, device: string, size: bigint, waitMs: number): Promise<void> {
  const deadline = performance.now() + waitMs;
  if (BigInt(deviceSize(device)) < size) rescan(device);
  while (BigInt(deviceSize(device)) < size) {
    if (performance.now() > deadline) {
      throw failedPrecondition(
        `the device of the volume at "${path}" (${device}) has ${deviceSize(device)} bytes, ` +
          `${size} are asked for: it has to be enlarged on the host first`,
      );
    }
    await delay(LOOK_MS);
  }
}

/** SCSI disks are asked; virtio ones tell by themselves. */
function rescan(device: string): void {
  try {
    Deno.writeTextFileSync(`/sys/dev/block/${device}/device/rescan`, "1", { create: false });
  } catch {
    // no SCSI disk
  }
}

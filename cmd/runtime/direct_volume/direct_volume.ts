/**
 * `kata-runtime direct-volume …`
 *
 * @module
 */

import { addVolume, findVolume, removeVolume, sandboxOfVolume } from "../../../fs/direct_volume.ts";
import { askSandbox } from "../../../sandbox/management/client.ts";
import { checkSandboxId } from "../../../sandbox/state/listing.ts";
import { textOf } from "../answer_text.ts";
import { print } from "../output.ts";
import type { AddFlags, ResizeFlags, VolumeFlags } from "./command.ts";

/** How long a guest may take to grow a file system, in milliseconds. */
const RESIZE_MS = 60_000;

/** Makes a volume known. */
export async function add({ volumePath, mountInfo }: AddFlags): Promise<void> {
  await addVolume(volumePath, mountInfo);
}

/** Forgets it. */
export function remove({ volumePath }: VolumeFlags): void {
  removeVolume(volumePath);
}

/** Prints how much of it is used. */
export async function stats({ volumePath }: VolumeFlags): Promise<void> {
  const { id, device } = used(volumePath);
  const path = `/direct-volume/stats?path=${encodeURIComponent(device)}`;
  print(`${textOf(await askSandbox(id, { path }), `statistics of volume "${volumePath}"`)}\n`);
}

/** Grows it. */
export async function resize({ volumePath, size }: ResizeFlags): Promise<void> {
  const { id, device } = used(volumePath);
  const path = "/direct-volume/resize";
  const { status, body } = await askSandbox(id, {
    method: "POST",
    path,
    type: "application/json",
    body: new TextEncoder().encode(JSON.stringify({ VolumePath: device, Size: size })),
    timeoutMs: RESIZE_MS,
  });
  if (status === 200) return;
  const data = new TextDecoder().decode(body).trim();
  throw new Error(`error sending post: url: ${path}, status code: ${status}, response data: ${data}`);
}

/** The sandbox that uses a volume, and the device by which it knows it. */
function used(volumePath: string): { id: string; device: string } {
  const id = sandboxOfVolume(volumePath);
  checkSandboxId(id);
  return { id, device: findVolume(volumePath)?.device ?? "" };
}

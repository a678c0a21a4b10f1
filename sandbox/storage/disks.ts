/**
 * Disks of the host in a sandbox's machine. One that several containers use is plugged in once, and taken out with its
 * last user.
 *
 * @module
 */

import { claimVolume, releaseVolume } from "../../fs/direct_volume.ts";
import type { Disk, DiskAddress, PluggedDisk, Vm } from "../../vm/vmm.ts";
import { type Log, reason } from "../log/log.ts";
import type { MountedVolume } from "../management/managed.ts";
import { SharedUse } from "../shared_use.ts";

/** A disk as a container uses it. Disposing of it ends the use. */
export interface UsedDisk extends AsyncDisposable {
  /** driver of the agent's storages and devices, and how it finds the disk */
  readonly driver: "blk" | "scsi";
  readonly source: string;
  /** Tells the guest the size that the disk has by now, in bytes. */
  resize(bytes: number): Promise<void>;
}

/** What says which devices of the host the machine may open. */
export interface DeviceUse {
  /** until the end of this; a path of something else does nothing */
  useDevice(path: string): Disposable;
}

/** The disks of one sandbox. */
export class SandboxDisks {
  /** Volumes that the guest mounts itself, by the paths of their disks on the host; until their claims end. */
  readonly volumes = new Map<string, MountedVolume>();
  readonly #vm: Pick<Vm, "addDisk">;
  readonly #log: Log;
  readonly #devices: DeviceUse;
  readonly #plugged = new SharedUse<PluggedDisk>();
  readonly #claims = new SharedUse<AsyncDisposable>();

  /** @param devices may be used by the machine as long as they are plugged in */
  constructor(vm: Pick<Vm, "addDisk">, log: Log, devices: DeviceUse) {
    this.#vm = vm;
    this.#log = log;
    this.#devices = devices;
  }

  /** @throws {Error} the machine has no place for it, or the monitor cannot open it */
  async use(disk: Disk): Promise<UsedDisk> {
    const key = `${disk.path}${disk.readonly ? " ro" : ""}`;
    try {
      const { value: plugged, ...use } = await this.#plugged.use(key, () => this.#plug(disk, key));
      return { ...nameOf(plugged.address), resize: (bytes) => plugged.resize(bytes), ...use };
    } catch (error) {
      throw new Error(`cannot give the disk "${disk.path}" to the machine: ${reason(error)}`, {
        cause: error,
      });
    }
  }

  /**
   * Notes that the sandbox uses a volume of a storage driver, so that it can be asked about it. The note goes with the
   * last container that uses the volume.
   *
   * @param volume path by which the driver knows it
   * @param disk path of the volume's disk
   * @throws {DirectVolumeError} another sandbox uses it
   */
  async claim(volume: string, disk: string, sandboxId: string): Promise<AsyncDisposable> {
    return await this.#claims.use(volume, async () => {
      await claimVolume(volume, sandboxId);
      return {
        [Symbol.asyncDispose]: async () => {
          this.volumes.delete(disk);
          await releaseVolume(volume, sandboxId);
        },
      };
    });
  }

  async #plug(disk: Disk, key: string): Promise<PluggedDisk> {
    await using taken = new AsyncDisposableStack();
    taken.use(this.#devices.useDevice(disk.path));
    const plugged = taken.use(await this.#vm.addDisk(disk));
    const parts = taken.move();
    const { address } = plugged;
    return {
      address,
      resize: (bytes) => plugged.resize(bytes),
      [Symbol.asyncDispose]: () => this.#unplug(parts, key),
    };
  }

  async #unplug(parts: AsyncDisposableStack, key: string): Promise<void> {
    try {
      await parts.disposeAsync();
    } catch (error) {
      // it goes with the machine
      this.#log.write("warning", `the disk "${key}" stays in the machine: ${reason(error)}`);
    }
  }
}

function nameOf(address: DiskAddress): Pick<UsedDisk, "driver" | "source"> {
  return address.kind === "pci"
    ? { driver: "blk", source: address.path }
    : { driver: "scsi", source: address.address };
}

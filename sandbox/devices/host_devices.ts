/**
 * Devices of the host in a sandbox's machine. Those of a group come together, once, and go with their last user.
 *
 * @module
 */

import { Code, RpcError } from "../../rpc/errors.ts";
import type { PluggedHostDevice, Vm } from "../../vm/vmm.ts";
import { type Log, reason } from "../log/log.ts";
import { SharedUse } from "../shared_use.ts";
import type { VfioGroup } from "./vfio.ts";

/** A group as a container uses it. Disposing of it ends the use. */
export interface UsedGroup extends AsyncDisposable {
  /** where the guest finds the devices, by their addresses on the host */
  readonly paths: ReadonlyMap<string, string>;
}

/** What they are plugged in with. */
export interface HostDevicesOptions {
  readonly vm: Pick<Vm, "hostDevices">;
  /** those that the machine was booted with, which stay */
  readonly atBoot: readonly VfioGroup[];
  /** whether others may be plugged in */
  readonly later: boolean;
  readonly log: Log;
  /** called with the address of each unplugged device */
  onGone?(address: string): void;
}

/** The devices of a group, by their addresses on the host. */
interface PluggedGroup extends AsyncDisposable {
  readonly devices: ReadonlyMap<string, PluggedHostDevice>;
}

/** The devices of one sandbox. */
export class SandboxHostDevices {
  readonly #options: HostDevicesOptions;
  readonly #plugged = new SharedUse<PluggedGroup>();

  constructor(options: HostDevicesOptions) {
    this.#options = options;
  }

  /** @throws {RpcError} `FAILED_PRECONDITION`: the machine cannot have them */
  async use(group: VfioGroup): Promise<UsedGroup> {
    try {
      const { value, ...use } = await this.#plugged.use(keyOf(group), () => this.#plug(group));
      const paths = new Map([...value.devices].map(([address, { path }]) => [address, path]));
      return { paths, ...use };
    } catch (cause) {
      const message = `cannot give VFIO group ${group.id} to the machine: ${reason(cause)}`;
      throw new RpcError(Code.FailedPrecondition, message, { cause });
    }
  }

  async #plug(group: VfioGroup): Promise<PluggedGroup> {
    const { vm: { hostDevices: plugs }, atBoot, later } = this.#options;
    if (plugs === undefined) throw new Error("it has no ports for such devices");
    const isThere = atBoot.some((other) => keyOf(other) === keyOf(group));
    if (!isThere && !later) {
      throw new Error('it was not booted with it, and hot_plug_vfio is "no-port"');
    }
    await using undo = new AsyncDisposableStack();
    const devices = new Map<string, PluggedHostDevice>();
    for (const device of group.devices) {
      const one = isThere
        ? { path: await plugs.pathOf(device), [Symbol.asyncDispose]: () => Promise.resolve() }
        : undo.use(await plugs.add(device));
      devices.set(device.address, one);
    }
    undo.move();
    return { devices, [Symbol.asyncDispose]: () => this.#unplug(devices) };
  }

  async #unplug(devices: PluggedGroup["devices"]): Promise<void> {
    for (const [address, device] of devices) {
      this.#options.onGone?.(address);
      try {
        await device[Symbol.asyncDispose]();
      } catch (error) {
        // it goes with the machine
        this.#options.log.write("warning", `the device ${address} stays in the machine: ${reason(error)}`);
      }
    }
  }
}

/** A group may be opened as such, or its devices by nodes of their own. */
function keyOf({ id, devices }: VfioGroup): string {
  return [id, ...devices.map(({ address, iommufd }) => `${address}${iommufd ? " by node" : ""}`)].join(" ");
}

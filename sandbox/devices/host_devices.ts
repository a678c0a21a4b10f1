/**
 * Devices of the host in a sandbox's machine. Those of a group come together, once, and go with their last user.
 *
 * @module
 */

import { Code, RpcError } from "../../rpc/errors.ts";
import type { PluggedHostDevice, Vm } from "../../vm/vmm.ts";
import { type Log, reason } from "../log/log.ts";
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

interface Entry {
  users: number;
  readonly plugged: Promise<readonly [address: string, device: PluggedHostDevice][]>;
}

/** The devices of one sandbox. */
export class SandboxHostDevices {
  readonly #options: HostDevicesOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: HostDevicesOptions) {
    this.#options = options;
  }

  /** @throws {RpcError} `FAILED_PRECONDITION`: the machine cannot have them */
  async use(group: VfioGroup): Promise<UsedGroup> {
    const key = keyOf(group);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { users: 0, plugged: this.#plug(group) };
      this.#entries.set(key, entry);
    }
    const own = entry;
    own.users++;
    try {
      const plugged = await own.plugged;
      return {
        paths: new Map(plugged.map(([address, { path }]) => [address, path])),
        [Symbol.asyncDispose]: () => this.#release(key, own),
      };
    } catch (cause) {
      if (this.#entries.get(key) === own) this.#entries.delete(key);
      const message = `cannot give VFIO group ${group.id} to the machine: ${reason(cause)}`;
      throw new RpcError(Code.FailedPrecondition, message, { cause });
    }
  }

  async #plug(group: VfioGroup): Promise<[string, PluggedHostDevice][]> {
    const { vm: { hostDevices: plugs }, atBoot, later } = this.#options;
    if (plugs === undefined) throw new Error("it has no ports for such devices");
    const isThere = atBoot.some((other) => keyOf(other) === keyOf(group));
    if (!isThere && !later) {
      throw new Error('it was not booted with it, and hot_plug_vfio is "no-port"');
    }
    await using undo = new AsyncDisposableStack();
    const plugged: [string, PluggedHostDevice][] = [];
    for (const device of group.devices) {
      const one = isThere
        ? { path: await plugs.pathOf(device), [Symbol.asyncDispose]: () => Promise.resolve() }
        : undo.use(await plugs.add(device));
      plugged.push([device.address, one]);
    }
    undo.move();
    return plugged;
  }

  async #release(key: string, entry: Entry): Promise<void> {
    if (--entry.users > 0) return;
    this.#entries.delete(key);
    for (const [address, device] of await entry.plugged) {
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

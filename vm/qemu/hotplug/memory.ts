/** Memory that comes and goes while a machine runs. */

import { backendObject, type MemoryBackend } from "../memory_backend.ts";
import { type Plugs, removeDevice, UnplugRefused } from "./removal.ts";

/** What memory a machine has, and can get. */
export interface MemoryLimits {
  readonly atBootMiB: number;
  readonly mostMiB: number;
}

/** What is done about it, by whatever device. */
export interface GuestMemory {
  /** All memory that is plugged in, in MiB. */
  readonly memoryMiB: number;
  /** As `Vm.resizeMemory`. */
  resize(wantedMiB: number, blockMiB: number): Promise<number>;
}

interface Dimm {
  readonly number: number;
  readonly memoryMiB: number;
}

/** Memory in modules (DIMMs), which come and go as a whole. */
export class MemoryModules implements GuestMemory {
  readonly #plugs: Plugs;
  readonly #limits: MemoryLimits;
  readonly #slots: number;
  readonly #backend: MemoryBackend;
  /** oldest first */
  readonly #added: Dimm[] = [];
  #numbers = 0;

  /** @param slots sockets for modules */
  constructor(plugs: Plugs, limits: MemoryLimits, slots: number, backend: MemoryBackend) {
    this.#plugs = plugs;
    this.#limits = limits;
    this.#slots = slots;
    this.#backend = backend;
  }

  get memoryMiB(): number {
    return this.#added.reduce((sum, { memoryMiB }) => sum + memoryMiB, this.#limits.atBootMiB);
  }

  /** @throws {Error} every socket is taken, or QEMU refuses */
  async resize(wantedMiB: number, blockMiB: number): Promise<number> {
    const room = Math.floor((this.#limits.mostMiB - this.memoryMiB) / blockMiB) * blockMiB;
    const missing = Math.ceil((wantedMiB - this.memoryMiB) / blockMiB) * blockMiB;
    const module = Math.min(missing, room);
    if (module > 0) await this.#add(module);
    while (await this.#removeNewest(wantedMiB));
    return this.memoryMiB;
  }

  async #add(memoryMiB: number): Promise<void> {
    if (this.#added.length >= this.#slots) {
      throw new Error(
        `cannot plug in ${memoryMiB} MiB of memory: all ${this.#slots} memory slots of the VM are taken`,
      );
    }
    const { qmp } = this.#plugs;
    const number = this.#numbers++;
    const memdev = `mem-${number}`;
    await qmp.execute("object-add", backendObject(this.#backend, memdev, memoryMiB));
    try {
      await qmp.execute("device_add", { driver: "pc-dimm", id: `dimm-${number}`, memdev });
    } catch (error) {
      await qmp.execute("object-del", { id: memdev }).catch(() => {}); // the first error says more
      throw error;
    }
    this.#added.push({ number, memoryMiB });
  }

  /** @returns whether one went */
  async #removeNewest(wantedMiB: number): Promise<boolean> {
    const newest = this.#added.at(-1);
    if (newest === undefined || this.memoryMiB - newest.memoryMiB < wantedMiB) return false;
    try {
      await removeDevice(this.#plugs, `dimm-${newest.number}`);
    } catch (error) {
      if (error instanceof UnplugRefused) return false;
      throw error;
    }
    this.#added.pop();
    await this.#plugs.qmp.execute("object-del", { id: `mem-${newest.number}` });
    return true;
  }
}

/** Memory of a machine that cannot be changed. */
export class FixedMemory implements GuestMemory {
  constructor(readonly memoryMiB: number) {}

  resize(): Promise<number> {
    return Promise.resolve(this.memoryMiB);
  }
}

/** Processors that come and go while the machine runs. */

import { type Plugs, removeDevice, UnplugRefused } from "./removal.ts";

/** Where a processor can be, as QEMU lists it. */
interface Slot {
  readonly type: string;
  readonly props: Readonly<Record<string, number>>;
  /** absent while the place is empty */
  readonly "qom-path"?: string;
}

/** A processor, as QEMU knows it without asking the guest. */
interface Fast {
  readonly "cpu-index": number;
  readonly "thread-id": number;
}

/** How a machine's processors may change. */
export interface CpuLimits {
  readonly atBoot: number;
  /** places that the machine has */
  readonly most: number;
  /**
   * Whether one can be taken out. QEMU that emulates processors cannot: it goes on using the memory of one that was
   * taken out, and crashes at the next change of the machine (seen with 7.2).
   */
  readonly canRemove: boolean;
}

/** The processors of a machine. */
export class Cpus {
  readonly #plugs: Plugs;
  readonly #limits: CpuLimits;
  /** ids of the ones plugged in since, oldest first */
  readonly #added: string[] = [];
  #names = 0;

  constructor(plugs: Plugs, limits: CpuLimits) {
    this.#plugs = plugs;
    this.#limits = limits;
  }

  /** Processors that are plugged in. */
  get count(): number {
    return this.#limits.atBoot + this.#added.length;
  }

  /**
   * Plugs processors in, or the newest ones out, until there are `wanted`: never fewer than at boot, nor more than
   * there are places. One that is to go may stay, as QEMU or the guest cannot do without it.
   *
   * @returns how many there are then
   * @throws {QmpError} QEMU refused to plug one in
   */
  async resize(wanted: number): Promise<number> {
    const { atBoot, most, canRemove } = this.#limits;
    const target = Math.min(Math.max(wanted, atBoot), most);
    if (target > this.count) await this.#add(target - this.count);
    while (canRemove && target < this.count && await this.#removeNewest());
    return this.count;
  }

  /** Ids of their threads, in order. */
  async threads(): Promise<number[]> {
    const cpus = await this.#plugs.qmp.execute("query-cpus-fast") as Fast[];
    return cpus.toSorted((a, b) => a["cpu-index"] - b["cpu-index"]).map((cpu) => cpu["thread-id"]);
  }

  async #add(count: number): Promise<void> {
    const slots = await this.#plugs.qmp.execute("query-hotpluggable-cpus") as Slot[];
    // QEMU lists the last place first
    const free = slots.filter((slot) => slot["qom-path"] === undefined).reverse();
    for (const { type, props } of free.slice(0, count)) {
      const id = `cpu-${this.#names++}`;
      await this.#plugs.qmp.execute("device_add", { driver: type, id, ...props });
      this.#added.push(id);
    }
  }

  /** @returns false when the guest keeps it */
  async #removeNewest(): Promise<boolean> {
    const id = this.#added.at(-1);
    if (id === undefined) return false;
    try {
      await removeDevice(this.#plugs, id);
    } catch (error) {
      if (error instanceof UnplugRefused) return false;
      throw error;
    }
    this.#added.pop();
    return true;
  }
}

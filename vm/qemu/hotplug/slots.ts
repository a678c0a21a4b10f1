/** Places for PCI devices that are plugged in while a machine runs. */

/** First slot of bridges on the root bus; see devices.ts. */
const FIRST_BRIDGE_SLOT = 2;
/** Slot 0 is the bridge's own. */
const SLOTS_PER_BRIDGE = 30;

/** Where a device is. Disposing of it makes the place free again. */
export interface Place extends Disposable {
  /** QEMU's name of the bus. */
  readonly bus: string;
  /** Slot on it, in two hexadecimal digits. */
  readonly address: string;
  /** The way there from the root bus: "02/01". */
  readonly path: string;
}

const hex = (slot: number) => slot.toString(16).padStart(2, "0");

/** The places behind a machine's bridges. */
export class BridgeSlots {
  readonly #bridges: number;
  readonly #taken = new Set<number>();

  constructor(bridges: number) {
    this.#bridges = bridges;
  }

  /** The first free place. @throws {Error} there is none */
  take(): Place {
    const count = this.#bridges * SLOTS_PER_BRIDGE;
    let place = 0;
    while (this.#taken.has(place)) place++;
    if (place >= count) {
      const why = count === 0 ? "it has no bridge" : `all ${count} behind its bridges are taken`;
      throw new Error(`the VM has no place for another device: ${why}`);
    }
    this.#taken.add(place);
    const bridge = Math.floor(place / SLOTS_PER_BRIDGE);
    const address = hex(1 + place % SLOTS_PER_BRIDGE);
    return {
      bus: `pci-bridge-${bridge}`,
      address,
      path: `${hex(FIRST_BRIDGE_SLOT + bridge)}/${address}`,
      [Symbol.dispose]: () => void this.#taken.delete(place),
    };
  }
}

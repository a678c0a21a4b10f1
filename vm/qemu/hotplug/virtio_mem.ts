/** Memory that a virtio-mem device gives a guest and takes back, block by block. */

import { Timer } from "../../../sys/timer.ts";
import type { GuestMemory, MemoryLimits } from "./memory.ts";
import type { Plugs } from "./removal.ts";

const MIB = 1_048_576;

/** How long the guest may take to follow, in milliseconds; it takes what it can get, and gives what it can spare. */
const FOLLOW_MS = 10_000;

/** Memory through a virtio-mem device. */
export class VirtioMemory implements GuestMemory {
  readonly #plugs: Plugs;
  readonly #limits: MemoryLimits;
  readonly #device: string;
  #pluggedMiB = 0;

  /** @param device its id; it has nothing plugged in yet */
  constructor(plugs: Plugs, limits: MemoryLimits, device: string) {
    this.#plugs = plugs;
    this.#limits = limits;
    this.#device = device;
  }

  get memoryMiB(): number {
    return this.#limits.atBootMiB + this.#pluggedMiB;
  }

  async resize(wantedMiB: number, blockMiB: number): Promise<number> {
    const { atBootMiB, mostMiB } = this.#limits;
    const room = Math.floor((mostMiB - atBootMiB) / blockMiB) * blockMiB;
    const wanted = Math.ceil(Math.max(wantedMiB - atBootMiB, 0) / blockMiB) * blockMiB;
    const requested = Math.min(wanted, room);
    if (requested !== this.#pluggedMiB) await this.#request(requested);
    return this.memoryMiB;
  }

  async #request(requestedMiB: number): Promise<void> {
    const { qmp, events } = this.#plugs;
    let changed = Promise.withResolvers<void>();
    let late = false;
    using waiting = new DisposableStack();
    waiting.use(events.onMemorySize(() => changed.resolve()));
    waiting.use(
      new Timer(FOLLOW_MS, () => {
        late = true;
        changed.resolve();
      }),
    );
    const value = requestedMiB * MIB;
    await qmp.execute("qom-set", { path: this.#device, property: "requested-size", value });
    for (;;) {
      const next = changed = Promise.withResolvers();
      this.#pluggedMiB = await this.#size();
      if (this.#pluggedMiB === requestedMiB || late) break;
      await next.promise;
    }
  }

  async #size(): Promise<number> {
    const size = await this.#plugs.qmp.execute("qom-get", { path: this.#device, property: "size" });
    return Number(size) / MIB;
  }
}

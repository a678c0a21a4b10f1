/** What QEMU tells about its guest, kept until it is asked for. */

import type { QmpEvent } from "./qmp.ts";

/** What became of a device that the guest was asked to let go of. */
export type RemovalEnd = "gone" | "refused";

/** Waits for the removal of a device. Disposing of it ends the waiting. */
export interface Removal extends Disposable {
  readonly done: Promise<RemovalEnd>;
}

/** Events by which a guest says that it keeps a device. */
const REFUSALS = new Set(["DEVICE_UNPLUG_GUEST_ERROR", "MEM_UNPLUG_ERROR"]);

/** Collects events, also before there are listeners. */
export class VmEvents {
  readonly #removals = new Map<string, (end: RemovalEnd) => void>();
  readonly #sizes = new Set<() => void>();
  readonly #halted = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  #shutdown: string | undefined;
  #panicked = false;
  #haltWanted = false;

  /** Takes an event as it comes. */
  take({ name, data }: QmpEvent): void {
    if (name === "SHUTDOWN" && data.guest === true) {
      this.#shutdown = String(data.reason ?? "unknown");
      this.#ended.resolve();
    }
    if (name === "GUEST_PANICKED") {
      this.#panicked = true;
      this.#ended.resolve();
    }
    if (name === "STOP" && !this.#haltWanted) this.#halted.resolve();
    if (name === "DEVICE_DELETED") this.#removals.get(String(data.device))?.("gone");
    if (REFUSALS.has(name)) this.#removals.get(String(data.device))?.("refused");
    if (name === "MEMORY_DEVICE_SIZE_CHANGE") { for (const told of this.#sizes) told(); }
  }

  /** Why the guest ended itself ("guest-reset", "guest-shutdown", "guest-panic"), if it did. */
  get shutdown(): string | undefined {
    return this.#shutdown;
  }

  /** Whether the guest's kernel said that it panicked. */
  get panicked(): boolean {
    return this.#panicked;
  }

  /** Resolves when the guest has ended itself, in whatever way; the machine may still be there. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Resolves when the processors halt without having been told to: an internal error, or a full disk. */
  get halted(): Promise<void> {
    return this.#halted.promise;
  }

  /** To be told before the processors are halted on purpose, and after they go on. */
  expectHalt(wanted: boolean): void {
    this.#haltWanted = wanted;
  }

  /** To be called before the device is asked for: the event may come before the answer. */
  awaitRemoval(device: string): Removal {
    const done = Promise.withResolvers<RemovalEnd>();
    this.#removals.set(device, done.resolve);
    return { done: done.promise, [Symbol.dispose]: () => void this.#removals.delete(device) };
  }

  /** Calls back whenever a memory device has changed its size, until the result is disposed of. */
  onMemorySize(told: () => void): Disposable {
    this.#sizes.add(told);
    return { [Symbol.dispose]: () => void this.#sizes.delete(told) };
  }
}

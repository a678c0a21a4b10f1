/** What QEMU tells about its guest, kept until it is asked for. */

import type { QmpEvent } from "./qmp.ts";

/** Collects events; may be told some before anybody is interested. */
export class VmEvents {
  readonly #halted = Promise.withResolvers<void>();
  #shutdown: string | undefined;
  #haltWanted = false;

  /** Takes an event as it comes. */
  take({ name, data }: QmpEvent): void {
    if (name === "SHUTDOWN" && data.guest === true) this.#shutdown = String(data.reason ?? "unknown");
    if (name === "STOP" && !this.#haltWanted) this.#halted.resolve();
  }

  /** Why the guest ended itself ("guest-reset", "guest-shutdown", "guest-panic"), if it did. */
  get shutdown(): string | undefined {
    return this.#shutdown;
  }

  /** Resolves when the processors halt without having been told to: an internal error, or a full disk. */
  get halted(): Promise<void> {
    return this.#halted.promise;
  }

  /** To be told before the processors are halted on purpose, and after they go on. */
  expectHalt(wanted: boolean): void {
    this.#haltWanted = wanted;
  }
}

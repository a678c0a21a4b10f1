/**
 * Containers in which the kernel ran out of memory.
 *
 * @module
 */

import { pause } from "../timing.ts";
import type { AgentClient } from "./agent_client.ts";

/** How many events are taken without a pause, and the pause that each one costs after that, in milliseconds. */
const BURST = 32;
const PAUSE_MS = 1_000;

/**
 * Asks the agent, one event after the other, until the connection ends.
 *
 * A guest can answer at once, without end. What it reports goes to the front end, and from there to others: so the
 * questions become rare, and a container that is waiting to be told of does not wait twice.
 */
export class MemoryWatch {
  readonly #queue = new Set<string>();
  readonly #struck = new Map<string, PromiseWithResolvers<void>>();
  #changed = Promise.withResolvers<void>();
  #ended = false;

  /** @param isKnown whether an id that the guest names is that of a container */
  constructor(client: AgentClient, isKnown: (id: string) => boolean) {
    // an agent that has no such events ends it at once
    this.#ask(client, isKnown).catch(() => {}).finally(() => {
      this.#ended = true;
      this.#changed.resolve();
    });
  }

  async #ask(client: AgentClient, isKnown: (id: string) => boolean): Promise<void> {
    const gone = new AbortController();
    client.closed.finally(() => gone.abort());
    for (let free = BURST, last = performance.now();;) {
      const { containerId } = await client.agent.getOOMEvent({});
      const now = performance.now();
      free = Math.min(free + (now - last) / PAUSE_MS, BURST) - 1;
      last = now;
      if (free < 0) await pause(PAUSE_MS, gone.signal);
      if (!isKnown(containerId)) continue;
      this.#queue.add(containerId);
      this.#changed.resolve();
      this.#entry(containerId).resolve();
    }
  }

  /** Ids of containers, one each time; for one reader. */
  async *events(): AsyncGenerator<string> {
    while (true) {
      for (const id of this.#queue) {
        this.#queue.delete(id);
        yield id;
      }
      if (this.#ended) return;
      await this.#changed.promise;
      this.#changed = Promise.withResolvers();
    }
  }

  /** Settles when an event of this container has come; perhaps never. */
  struck(id: string): Promise<void> {
    return this.#entry(id).promise;
  }

  /** The container has gone; a later one may have its id. */
  forget(id: string): void {
    this.#struck.delete(id);
  }

  #entry(id: string): PromiseWithResolvers<void> {
    const entry = this.#struck.get(id) ?? Promise.withResolvers<void>();
    this.#struck.set(id, entry);
    return entry;
  }
}

/**
 * Containers in which the kernel ran out of memory.
 *
 * @module
 */

import type { AgentClient } from "./agent_client.ts";

/** Asks the agent, one event after the other, until the connection ends. */
export class MemoryWatch {
  readonly #queue: string[] = [];
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
    while (true) {
      const { containerId } = await client.agent.getOOMEvent({});
      if (!isKnown(containerId)) continue;
      this.#queue.push(containerId);
      this.#changed.resolve();
      this.#entry(containerId).resolve();
    }
  }

  /** Ids of containers, one each time; for one reader. */
  async *events(): AsyncGenerator<string> {
    while (true) {
      for (let id; (id = this.#queue.shift()) !== undefined;) yield id;
      if (this.#ended) return;
      await this.#changed.promise;
      this.#changed = Promise.withResolvers();
    }
  }

  /** Settles when an event of this container has come; perhaps never. */
  struck(id: string): Promise<void> {
    return this.#entry(id).promise;
  }

  #entry(id: string): PromiseWithResolvers<void> {
    const entry = this.#struck.get(id) ?? Promise.withResolvers<void>();
    this.#struck.set(id, entry);
    return entry;
  }
}

import { isErrno } from "../sys/errors.ts";
import { killsIn } from "./container/cgroup/kills.ts";
import { IN, Inotify } from "../sys/inotify.ts";
import { failedPrecondition } from "./errors.ts";

interface Watched {
  readonly id: string;
  readonly file: string;
  kills: number;
}

interface Consumer {
  resolve(id: string): void;
  reject(error: unknown): void;
}

/**
 * Tells which containers the kernel's out-of-memory killer has struck.
 *
 * The kernel says "modified" of a control group's `memory.events`; the file then says how often a process was killed.
 * An event that nobody waits for yet is kept, once per container.
 */
export class OomWatch implements Disposable {
  readonly #inotify = new Inotify();
  readonly #watched = new Map<number, Watched>();
  readonly #pending = new Set<string>();
  readonly #consumers: Consumer[] = [];
  #ended = false;

  constructor() {
    this.#follow().catch(() => this[Symbol.dispose]());
  }

  /**
   * Begins with a container.
   *
   * @param cgroup path of its control group; nothing happens if that counts no memory
   * @returns ends it
   */
  watch(id: string, cgroup: string): Disposable {
    const file = `${cgroup}/memory.events`;
    let descriptor: number;
    try {
      descriptor = this.#inotify.add(file, IN.MODIFY);
    } catch (error) {
      if (isErrno(error, "ENOENT")) return { [Symbol.dispose]() {} };
      throw error;
    }
    this.#watched.set(descriptor, { id, file, kills: killsIn(file) });
    return { [Symbol.dispose]: () => this.#unwatch(descriptor, id) };
  }

  /** Looks at once: the kernel's word may come after the end of the process that was killed. */
  look(id: string): void {
    for (const watched of this.#watched.values()) if (watched.id === id) this.#count(watched);
  }

  /**
   * Waits for the next container that was struck.
   *
   * @throws {RpcError} `FailedPrecondition` when the sandbox is destroyed
   */
  next(signal?: AbortSignal): Promise<string> {
    if (this.#ended) return Promise.reject(ended());
    for (const id of this.#pending) {
      this.#pending.delete(id);
      return Promise.resolve(id);
    }
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const consumer = { resolve, reject };
    this.#consumers.push(consumer);
    signal?.addEventListener("abort", () => {
      const place = this.#consumers.indexOf(consumer);
      if (place >= 0) this.#consumers.splice(place, 1);
      reject(signal.reason);
    }, { once: true });
    return promise;
  }

  /** Ends all waits. */
  [Symbol.dispose](): void {
    this.#ended = true;
    this.#inotify[Symbol.dispose]();
    for (const consumer of this.#consumers.splice(0)) consumer.reject(ended());
  }

  async #follow(): Promise<void> {
    while (!this.#ended) {
      for (const { watch, mask } of await this.#inotify.read()) this.#changed(watch, mask);
    }
  }

  #changed(descriptor: number, mask: number): void {
    const watched = this.#watched.get(descriptor);
    if (!watched) return;
    if (mask & IN.IGNORED) {
      this.#watched.delete(descriptor);
      return;
    }
    this.#count(watched);
  }

  #count(watched: Watched): void {
    const kills = killsIn(watched.file);
    if (kills <= watched.kills) return;
    watched.kills = kills;
    const consumer = this.#consumers.shift();
    if (consumer) consumer.resolve(watched.id);
    else this.#pending.add(watched.id);
  }

  #unwatch(descriptor: number, id: string): void {
    this.#pending.delete(id);
    // The descriptor of a removed control group is gone by itself, and its number is never used again.
    if (this.#watched.delete(descriptor) && !this.#ended) this.#inotify.remove(descriptor);
  }
}

function ended(): Error {
  return failedPrecondition("the sandbox is being destroyed");
}

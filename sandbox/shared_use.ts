/**
 * What several containers use at once: acquired for the first of them, released by the last.
 *
 * @module
 */

/** One of the users. Disposing of it ends the use; that of the last one releases the value, and throws what that throws. */
export interface Use<T> extends AsyncDisposable {
  readonly value: T;
}

interface Entry<T> {
  users: number;
  readonly value: Promise<T>;
}

/** Values by their keys. */
export class SharedUse<T extends AsyncDisposable> {
  readonly #entries = new Map<string, Entry<T>>();

  /**
   * Uses the value of a key. Those who come while it is being acquired wait for the same; after a failure, which all of
   * them get, the next one tries again.
   */
  async use(key: string, acquire: () => Promise<T>): Promise<Use<T>> {
    const entry = this.#entries.get(key) ?? { users: 0, value: acquire() };
    this.#entries.set(key, entry);
    entry.users++;
    try {
      const value = await entry.value;
      return { value, [Symbol.asyncDispose]: () => this.#release(key, entry) };
    } catch (error) {
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
      throw error;
    }
  }

  async #release(key: string, entry: Entry<T>): Promise<void> {
    if (--entry.users > 0) return;
    this.#entries.delete(key);
    await (await entry.value)[Symbol.asyncDispose]();
  }
}

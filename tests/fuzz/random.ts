/**
 * Random choices that a seed repeats.
 *
 * @module
 */

/** A source of random choices. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to below `limit`. */
  below(limit: number): number {
    // the generator called mulberry32: short, quick, and even enough to try things out
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor(((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32 * limit);
  }

  /** One of several. @throws {RangeError} there is none */
  pick<T>(choices: readonly T[]): T {
    const [choice] = choices.slice(this.below(choices.length));
    if (choice === undefined) throw new RangeError("there is nothing to choose from");
    return choice;
  }

  /** Happens once in `times` times. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }
}

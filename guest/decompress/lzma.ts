/**
 * The LZMA decoder, as far as LZMA2 needs it.
 *
 * Written after the format's public description: a range coder whose bits adapt their probabilities, and on
 * top of it literals, matches at new distances, and matches at one of the four last distances.
 *
 * @module
 */

import { DecompressError } from "./errors.ts";

const TOP = 0x1000000;
const PROBABILITY_BITS = 11;
const EVEN = 1 << (PROBABILITY_BITS - 1);
const ADAPT_SHIFT = 5;

const STATES = 12;
const POSITION_STATES = 16;
const LITERAL_SIZE = 0x300;
const FIRST_LITERAL_FREE_STATE = 7;
const SHORTEST_MATCH = 2;

/** Places of the probability groups in one array. */
const IS_MATCH = 0;
const IS_REPEAT = IS_MATCH + STATES * POSITION_STATES;
const IS_REPEAT_0 = IS_REPEAT + STATES;
const IS_REPEAT_1 = IS_REPEAT_0 + STATES;
const IS_REPEAT_2 = IS_REPEAT_1 + STATES;
const IS_REPEAT_0_LONG = IS_REPEAT_2 + STATES;
const DISTANCE_SLOT = IS_REPEAT_0_LONG + STATES * POSITION_STATES;
const DISTANCE_SPECIAL = DISTANCE_SLOT + 4 * 64;
const DISTANCE_ALIGN = DISTANCE_SPECIAL + 128;
const MATCH_LENGTH = DISTANCE_ALIGN + 16;
/** A length coder: two choices, 16 × 8 short, 16 × 8 middle, 256 long. */
const LENGTH_SIZE = 2 + POSITION_STATES * 8 * 2 + 256;
const REPEAT_LENGTH = MATCH_LENGTH + LENGTH_SIZE;
const LITERAL = REPEAT_LENGTH + LENGTH_SIZE;

/** State of one decoder; the output so far is its dictionary. */
export class LzmaDecoder {
  /** What has been decoded; grows as needed, valid up to {@linkcode length}. */
  output: Uint8Array<ArrayBuffer>;
  length = 0;

  #dictionaryStart = 0;
  #literalContextBits = 0;
  #literalPositionMask = 0;
  #positionMask = 0;
  #probabilities = new Uint16Array(LITERAL);
  #state = 0;
  readonly #distances = new Uint32Array(4);

  #input: Uint8Array = new Uint8Array();
  #at = 0;
  #range = 0;
  #code = 0;

  constructor(expectedSize: number) {
    this.output = new Uint8Array(expectedSize);
  }

  /** Forgets what came before: nothing behind this point refers to it. */
  resetDictionary(): void {
    this.#dictionaryStart = this.length;
  }

  /** Sets the coder's three parameters from their common byte. */
  setProperties(byte: number): void {
    const lc = byte % 9;
    const lp = Math.floor(byte / 9) % 5;
    const pb = Math.floor(byte / 45);
    if (pb > 4 || lc + lp > 4) throw new DecompressError(`xz: parameter byte ${byte} is out of range`);
    this.#literalContextBits = lc;
    this.#literalPositionMask = (1 << lp) - 1;
    this.#positionMask = (1 << pb) - 1;
    this.#probabilities = new Uint16Array(LITERAL + (LITERAL_SIZE << (lc + lp)));
  }

  /** Starts anew with even probabilities. */
  resetState(): void {
    this.#probabilities.fill(EVEN);
    this.#state = 0;
    this.#distances.fill(0);
  }

  /** Takes bytes as they are. */
  copy(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.output.set(bytes, this.length);
    this.length += bytes.length;
  }

  /**
   * Decodes one chunk of exactly `size` bytes.
   *
   * @throws {DecompressError} when the chunk does not hold what it should
   */
  decode(chunk: Uint8Array, size: number): void {
    this.#reserve(size);
    this.#input = chunk;
    this.#range = 0xffffffff;
    this.#code =
      ((byteAt(chunk, 1) << 24) | (byteAt(chunk, 2) << 16) | (byteAt(chunk, 3) << 8) | byteAt(chunk, 4)) >>>
      0;
    this.#at = 5;
    const end = this.length + size;
    while (this.length < end) this.#step(end);
    if (this.#at !== chunk.length || this.#code !== 0) {
      throw new DecompressError("xz: a chunk does not end where its content does");
    }
  }

  #step(end: number): void {
    const position = (this.length - this.#dictionaryStart) & this.#positionMask;
    const state = this.#state;
    if (this.#bit(IS_MATCH + state * POSITION_STATES + position) === 0) {
      this.#literal();
      return;
    }
    let length: number;
    if (this.#bit(IS_REPEAT + state) === 0) {
      length = this.#length(MATCH_LENGTH, position);
      this.#state = state < FIRST_LITERAL_FREE_STATE ? 7 : 10;
      this.#remember(this.#distance(length), 3);
    } else if (this.#repeat(state, position)) {
      this.#state = state < FIRST_LITERAL_FREE_STATE ? 9 : 11;
      length = 1;
    } else {
      length = this.#length(REPEAT_LENGTH, position);
      this.#state = state < FIRST_LITERAL_FREE_STATE ? 8 : 11;
    }
    this.#match(length, end);
  }

  /** Chooses one of the last distances; true for a single byte at the very last one. */
  #repeat(state: number, position: number): boolean {
    if (this.#bit(IS_REPEAT_0 + state) === 0) {
      return this.#bit(IS_REPEAT_0_LONG + state * POSITION_STATES + position) === 0;
    }
    const which = this.#bit(IS_REPEAT_1 + state) === 0 ? 1 : this.#bit(IS_REPEAT_2 + state) === 0 ? 2 : 3;
    this.#remember(this.#distances[which] as number, which);
    return false;
  }

  /** Puts a distance in front, moving those before `place` back by one. */
  #remember(distance: number, place: number): void {
    this.#distances.copyWithin(1, 0, place);
    this.#distances[0] = distance;
  }

  #literal(): void {
    const { output } = this;
    const at = this.length;
    const previous = at > this.#dictionaryStart ? output[at - 1] as number : 0;
    const lc = this.#literalContextBits;
    const context = (((at - this.#dictionaryStart) & this.#literalPositionMask) << lc) +
      (previous >> (8 - lc));
    const base = LITERAL + context * LITERAL_SIZE;
    let symbol = 1;
    if (this.#state >= FIRST_LITERAL_FREE_STATE) {
      let expected = output[at - (this.#distances[0] as number) - 1] as number;
      while (symbol < 0x100) {
        const hint = (expected >> 7) & 1;
        expected <<= 1;
        const bit = this.#bit(base + ((1 + hint) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (bit !== hint) break;
      }
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.#bit(base + symbol);
    output[at] = symbol;
    this.length = at + 1;
    const state = this.#state;
    this.#state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
  }

  #match(length: number, end: number): void {
    const { output } = this;
    const distance = (this.#distances[0] as number) + 1;
    const at = this.length;
    if (distance > at - this.#dictionaryStart) {
      throw new DecompressError(
        `xz: a match reaches ${distance} bytes back where there are ${at - this.#dictionaryStart}`,
      );
    }
    if (at + length > end) throw new DecompressError(`xz: a match of ${length} bytes does not fit its chunk`);
    // byte by byte: a match may overlap what it produces
    for (let i = at; i < at + length; i++) output[i] = output[i - distance] as number;
    this.length = at + length;
  }

  #length(coder: number, position: number): number {
    if (this.#bit(coder) === 0) return SHORTEST_MATCH + this.#tree(coder + 2 + position * 8, 3);
    if (this.#bit(coder + 1) === 0) {
      return SHORTEST_MATCH + 8 + this.#tree(coder + 2 + (POSITION_STATES + position) * 8, 3);
    }
    return SHORTEST_MATCH + 16 + this.#tree(coder + 2 + POSITION_STATES * 16, 8);
  }

  #distance(length: number): number {
    const group = Math.min(length - SHORTEST_MATCH, 3);
    const slot = this.#tree(DISTANCE_SLOT + group * 64, 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const base = ((2 | (slot & 1)) << bits) >>> 0;
    if (slot < 14) return base + this.#reverseTree(DISTANCE_SPECIAL + base - slot, bits);
    const distance = base + this.#directBits(bits - 4) * 16 + this.#reverseTree(DISTANCE_ALIGN, 4);
    if (distance > 0xfffffffe) throw new DecompressError("xz: an end mark inside a chunk");
    return distance;
  }

  #tree(base: number, bits: number): number {
    let symbol = 1;
    for (let i = 0; i < bits; i++) symbol = (symbol << 1) | this.#bit(base + symbol);
    return symbol - (1 << bits);
  }

  #reverseTree(base: number, bits: number): number {
    let symbol = 1;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.#bit(base + symbol);
      symbol = (symbol << 1) | bit;
      value |= bit << i;
    }
    return value;
  }

  #directBits(bits: number): number {
    let value = 0;
    for (let i = 0; i < bits; i++) {
      this.#range >>>= 1;
      const bit = this.#code >= this.#range ? 1 : 0;
      if (bit) this.#code = (this.#code - this.#range) >>> 0;
      value = value * 2 + bit;
      this.#normalize();
    }
    return value;
  }

  #bit(index: number): number {
    const probability = this.#probabilities[index] as number;
    const bound = (this.#range >>> PROBABILITY_BITS) * probability;
    let bit: number;
    if (this.#code < bound) {
      this.#range = bound;
      this.#probabilities[index] = probability + (((1 << PROBABILITY_BITS) - probability) >> ADAPT_SHIFT);
      bit = 0;
    } else {
      this.#range -= bound;
      this.#code -= bound;
      this.#probabilities[index] = probability - (probability >> ADAPT_SHIFT);
      bit = 1;
    }
    this.#normalize();
    return bit;
  }

  #normalize(): void {
    if (this.#range < TOP) {
      this.#range = (this.#range << 8) >>> 0;
      this.#code = ((this.#code << 8) | byteAt(this.#input, this.#at++)) >>> 0;
    }
  }

  #reserve(size: number): void {
    if (this.length + size <= this.output.length) return;
    const grown = new Uint8Array(Math.max(this.length + size, this.output.length * 2));
    grown.set(this.output.subarray(0, this.length));
    this.output = grown;
  }
}

/** A byte of the input; what lies behind its end reads as 0 and is noticed when the chunk is done. */
function byteAt(bytes: Uint8Array, at: number): number {
  return at < bytes.length ? bytes[at] as number : 0;
}

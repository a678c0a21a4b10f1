/**
 * Checks for values that came out of JSON: each takes a value and the JSON path where it stands, and returns
 * the value with its type, or throws a `SpecError` that says what it must be and what it is.
 */

import type { Integer } from "./spec.ts";

/** Longest piece of an offending value that is quoted in a message. */
const MAX_QUOTED = 120;

/**
 * A configuration that cannot be used; the message names the document, the JSON path, the rule and the value.
 */
export class SpecError extends Error {
  override readonly name = "SpecError";

  constructor(readonly path: string, readonly problem: string, readonly where?: string) {
    const subject = path === "" ? problem : `${path} ${problem}`;
    super(where === undefined ? subject : `${where}: ${subject}`);
  }

  /** The same error, said about the document `where`. */
  in(where: string): SpecError {
    return new SpecError(this.path, this.problem, where);
  }
}

/** A check: value and JSON path in, typed value out. */
export type Check<T> = (value: unknown, path: string) => T;

/** Shows a value in a message: as JSON, shortened. */
export function show(value: unknown): string {
  if (value === undefined) return "missing";
  const text = JSON.stringify(value, (_, part) => typeof part === "bigint" ? part.toString() : part);
  return text.length <= MAX_QUOTED ? text : `${text.slice(0, MAX_QUOTED)}…`;
}

/** Throws: `<path> must be <what>: it is <value>`. */
export function mustBe(what: string, value: unknown, path: string): never {
  throw new SpecError(path, `must be ${what}: it is ${show(value)}`);
}

/** A string without NUL bytes (they would cut a path or an argument short in the kernel). */
export const text: Check<string> = (value, path) => {
  if (typeof value !== "string") return mustBe("a string", value, path);
  if (value.includes("\0")) return mustBe("a string without NUL bytes", value, path);
  return value;
};

/** A string of at least one character. */
export const nonEmptyText: Check<string> = (value, path) =>
  text(value, path) === "" ? mustBe("a non-empty string", value, path) : value as string;

/** A path that begins with `/`. */
export const absolutePath: Check<string> = (value, path) =>
  text(value, path).startsWith("/") ? value as string : mustBe("an absolute path", value, path);

/** `true` or `false`. */
export const flag: Check<boolean> = (value, path) =>
  typeof value === "boolean" ? value : mustBe("true or false", value, path);

/** A whole number between two bounds that a `number` holds exactly. */
export function integer(min: number, max: number): Check<number> {
  return (value, path) => {
    const number = typeof value === "bigint" ? Number(value) : value;
    if (typeof number === "number" && Number.isInteger(number) && number >= min && number <= max) {
      return number;
    }
    return mustBe(`a whole number from ${min} to ${max}`, value, path);
  };
}

/** A whole number of 32 bits without sign, as user ids and the like are. */
export const uint32: Check<number> = integer(0, 0xffff_ffff);

/** A whole number between two 64-bit bounds. */
export function wide(min: bigint, max: bigint): Check<Integer> {
  return (value, path) => {
    const whole = typeof value === "bigint" || (typeof value === "number" && Number.isInteger(value));
    if (whole && value >= min && value <= max) return value as Integer;
    return mustBe(`a whole number from ${min} to ${max}`, value, path);
  };
}

export const uint64: Check<Integer> = wide(0n, 0xffff_ffff_ffff_ffffn);
export const int64: Check<Integer> = wide(-0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn);

/** One of a few words. */
export function oneOf<const T extends string>(words: readonly T[]): Check<T> {
  return (value, path) =>
    words.includes(value as T)
      ? value as T
      : mustBe(`one of ${words.map((word) => JSON.stringify(word)).join(", ")}`, value, path);
}

/** A list, each entry checked by `item`. */
export function list<T>(item: Check<T>, what = "an array"): Check<T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) return mustBe(what, value, path);
    return value.map((entry, index) => item(entry, `${path}[${index}]`));
  };
}

/** A list of strings. */
export const texts: Check<string[]> = list(text, "an array of strings");

/** A list of strings that is not empty. */
export const nonEmptyTexts: Check<string[]> = (value, path) => {
  const what = "a non-empty array of strings";
  if (!Array.isArray(value) || value.length === 0) return mustBe(what, value, path);
  return texts(value, path);
};

/** An object whose keys are free, each value checked by `item`. */
export function map<T>(item: Check<T>): Check<Record<string, T>> {
  return (value, path) => {
    // Object.fromEntries, as an assignment to the key "__proto__" would not make a property.
    return Object.fromEntries(
      Object.entries(object(value, path)).map(([key, entry]) => [
        key,
        item(entry, `${path}[${JSON.stringify(key)}]`),
      ]),
    );
  };
}

/** Any object (not an array, not null). */
export const object: Check<Record<string, unknown>> = (value, path) =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? value as Record<string, unknown>
    : mustBe("an object", value, path);

/** Checks of a record's fields; `undefined` among a check's results means that the field may be missing. */
export type Fields<T> = { readonly [K in keyof T]-?: Check<T[K]> };

/** A field that may be missing; `null` counts as missing. */
export function optional<T>(check: Check<T>): Check<T | undefined> {
  return (value, path) => value === undefined || value === null ? undefined : check(value, path);
}

/**
 * An object with known fields. Fields that are not known stay in the result as they are: whoever acts on the
 * object decides what it does not support.
 */
export function record<T extends object>(fields: Fields<T>): Check<T> {
  const names = Object.keys(fields) as (keyof T & string)[];
  return (value, path) => {
    const given = object(value, path);
    const checked: Record<string, unknown> = { ...given };
    for (const name of names) {
      const result = fields[name](given[name], path === "" ? name : `${path}.${name}`);
      if (result === undefined) delete checked[name];
      else checked[name] = result;
    }
    return checked as T;
  };
}

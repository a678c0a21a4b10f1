/**
 * Rows of the configuration's table: one row per key defines how it is read, checked and defaulted. Its documentation
 * is in `texts/`, where a type requires an entry for each row, and is not loaded at start.
 */

import { nearest } from "./nearest.ts";

/** How an annotation may set a key. */
export interface AnnotationRule {
  /** Names after the section's prefix; default: the key itself. */
  readonly names?: readonly string[];
  /** `append` adds to the value of the file; default: replace it. */
  readonly mode?: "append";
  /** Another name, with all that stands before the key. */
  readonly alias?: string;
  /** An empty value leaves the key as it is. */
  readonly ignoreEmpty?: boolean;
  /** An empty value is not allowed. */
  readonly needed?: boolean;
  /** "0" leaves the key as it is. */
  readonly ignoreZero?: boolean;
  /** The value that means the default in the file is not allowed here. */
  readonly refuseUnset?: boolean;
  /** The value must be a file that a pattern of this list of the same section matches. */
  readonly within?: string;
  /** Form of a list: `json` = a JSON array of strings, otherwise the separator. */
  readonly list?: "json" | ";" | " ";
  /** Allowed values where they are fewer than in the file. */
  readonly allowed?: readonly string[];
}

/** What this version does with a value that asks for an unsupported feature. */
export interface Missing<T> {
  /** `refuse`: the pod would lack something it relies on; `warn`: everything else works without it. */
  readonly say: "refuse" | "warn";
  /** Values that ask for it; default: all but the key's default. */
  when?(value: T): boolean;
  /** What is missing, and what happens instead: "templates are not part of this version: …". */
  readonly why: string;
}

/** What a builder takes besides the default. */
interface RowOptions {
  /** Unit of a number. */
  readonly unit?: string;
  /** Absent: no annotation can set the key. */
  readonly annotation?: AnnotationRule;
  /** The key exists as an annotation only. */
  readonly annotationOnly?: boolean;
  /** The value is not for everyone who sees messages. */
  readonly secret?: boolean;
  /** The value is a path in the host; a relative one starts at the configuration file's folder. */
  readonly path?: boolean;
}

/** One key. `T` is the type of its value. */
export interface Row<T> extends RowOptions {
  readonly type: "string" | "boolean" | "integer" | "float" | "array of strings";
  /** Used when the key is absent; a function when it depends on the host. */
  readonly default: T | (() => T);
  /** Values that mean "absent". */
  readonly unset?: T;
  readonly allowed?: readonly T[];
  /** Alternative spellings and what they stand for. */
  readonly aliases?: Readonly<Record<string, string>>;
  readonly min?: number;
  readonly max?: number;
  /** A larger number counts as this one. */
  readonly cap?: number;
  readonly missing?: Missing<T>;
  /** Says what is wrong with a value, beginning with "must"; undefined = nothing. */
  check?(value: T): string | undefined;
}

/** Any row; what is done with a row in general does not depend on its value's type. */
export type AnyRow = Row<unknown>;

/** One table of the file. */
export type Section = Readonly<Record<string, AnyRow>>;

/** The values of a table. */
export type Values<S extends Section> = { -readonly [K in keyof S]: S[K] extends Row<infer T> ? T : never };

type Extra<T> = RowOptions & Pick<Row<T>, "unset" | "check" | "cap" | "missing">;

export function text(initial: string | (() => string), options: Extra<string> = {}): Row<string> {
  return { type: "string", default: initial, ...options };
}

/** One of a few words. @param allowed its first is the default */
export function choice<const A extends readonly [string, ...string[]]>(
  allowed: A,
  options: Extra<A[number]> & { aliases?: Readonly<Record<string, A[number]>>; default?: () => A[number] },
): Row<A[number]> {
  return { type: "string", default: allowed[0], allowed, ...options };
}

export function flag(initial: boolean, options: Extra<boolean> = {}): Row<boolean> {
  return { type: "boolean", default: initial, ...options };
}

export function integer(
  initial: number | (() => number),
  options: Extra<number> & { min?: number; max?: number } = {},
): Row<number> {
  return { type: "integer", default: initial, min: 0, max: 2 ** 32 - 1, ...options };
}

/** A number that may have a fraction. */
export function float(
  initial: number | (() => number),
  options: Extra<number> & { min?: number; max?: number },
): Row<number> {
  return { type: "float", default: initial, ...options };
}

export function list(
  initial: readonly string[],
  options: Extra<readonly string[]> = {},
): Row<readonly string[]> {
  return { type: "array of strings", default: initial, ...options };
}

/** A value as it may be shown. */
export function shownValue(row: AnyRow, value: unknown): unknown {
  return row.secret && value !== "" ? "***" : value;
}

/** The default of a row. */
export function defaultOf(row: AnyRow): unknown {
  const initial = row.default;
  // no value of a key is a function
  return typeof initial === "function" ? initial() : initial;
}

/** A value that a key cannot have. The message begins with "must" and says what it can have. */
export class BadValue extends Error {
  override name = "BadValue";

  /** @param near what may have been meant */
  constructor(message: string, readonly near?: string) {
    super(message);
  }
}

/**
 * Reads a value of the file.
 *
 * @returns the value in the row's type
 * @throws {BadValue}
 */
export function readValue(row: AnyRow, raw: unknown): unknown {
  // a whole number that is too large for a number is beyond every limit
  const value = typeof raw === "bigint" && isNumeric(row) ? Number(raw) : raw;
  if (!hasType(row, value)) {
    const wanted = row.type === "float" ? "a number" : article(row.type);
    throw new BadValue(`must be ${wanted}, not ${typeName(value)}`);
  }
  return checkValue(row, value);
}

/** Checks a value of the right type. @returns the value, or what it stands for */
export function checkValue(row: AnyRow, raw: unknown): unknown {
  if (row.unset !== undefined && raw === row.unset) return defaultOf(row);
  const value = row.aliases !== undefined && Object.hasOwn(row.aliases, String(raw))
    ? row.aliases[String(raw)]
    : raw;
  if (row.allowed !== undefined && !row.allowed.includes(value)) {
    throw new BadValue(`must be ${oneOf(row.allowed)}`, nearest(String(value), row.allowed.map(String)));
  }
  if (typeof value === "number") checkRange(row, value);
  checkCharacters(value);
  const problem = row.check?.(value);
  if (problem !== undefined) throw new BadValue(problem);
  return value;
}

/** `"a", "b" or "c"` */
export function oneOf(values: readonly unknown[]): string {
  const quoted = values.map((value) => JSON.stringify(value));
  return quoted.length < 2 ? quoted.join() : `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
}

/** No program and no kernel takes them; white space may stand between words. */
// deno-lint-ignore no-control-regex
const CONTROL = /[\0-\x08\x0e-\x1f\x7f]/;

function checkCharacters(value: unknown): void {
  for (const text of Array.isArray(value) ? value : [value]) {
    if (typeof text === "string" && CONTROL.test(text)) {
      throw new BadValue("must not have control characters");
    }
  }
}

function checkRange({ min, max, unit }: AnyRow, value: number): void {
  const suffix = unit === undefined ? "" : ` ${unit}`;
  if (min !== undefined && value < min) throw new BadValue(`must be at least ${min}${suffix}`);
  if (max !== undefined && value > max) throw new BadValue(`must be at most ${max}${suffix}`);
}

function isNumeric({ type }: AnyRow): boolean {
  return type === "integer" || type === "float";
}

function hasType({ type }: AnyRow, raw: unknown): boolean {
  switch (type) {
    case "array of strings":
      return Array.isArray(raw) && raw.every((item) => typeof item === "string");
    case "integer":
      return Number.isInteger(raw);
    case "float":
      return typeof raw === "number" && Number.isFinite(raw);
    case "string":
      return typeof raw === "string";
    case "boolean":
      return typeof raw === "boolean";
  }
}

function typeName(raw: unknown): string {
  if (Array.isArray(raw)) {
    return raw.every((item) => typeof item === "string") ? "an array of strings" : "an array of other values";
  }
  if (typeof raw === "number" && !Number.isFinite(raw)) return "inf or nan";
  if (typeof raw === "bigint" || Number.isInteger(raw)) return "an integer";
  if (typeof raw === "number") return "a number with a fraction";
  if (typeof raw === "object") return raw instanceof Date ? "a date" : "a table";
  return article(typeof raw);
}

function article(noun: string): string {
  return `${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun}`;
}

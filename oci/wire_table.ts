/**
 * Objects of `config.json` to messages of the agent API and back, by tables that serve both directions.
 *
 * The messages are proto3 without presence: a zero, an empty text, an empty list mean "not set", so on the
 * way back such fields are left out, unless the specification requires them.
 */

import type { Integer } from "./spec.ts";

/** Turns the value of one field into that of the message, and back; `undefined` = leave the field out. */
export interface Codec {
  to(value: unknown): unknown;
  from(value: unknown): unknown;
}

/** One field: its name in the specification, its name in the message, and how its value is turned. */
export type Row = readonly [json: string, wire: string, codec: Codec];

type Plain = Record<string, unknown>;

/** A 64-bit number of a message as the specification's types have it: a `number` wherever that is exact. */
export function narrow(value: bigint): Integer {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

const same = (value: unknown) => value;

/** Text, 32-bit number or flag; the zero value means "not set". */
export const scalar: Codec = {
  to: same,
  from: (value) => value === "" || value === 0 || value === false ? undefined : value,
};

/** A field that the specification requires: kept even when it is zero. */
export const required: Codec = { to: same, from: same };

/** A 64-bit number; 0 means "not set". */
export const wide: Codec = {
  to: (value) => BigInt(value as Integer),
  from: (value) => value === 0n ? undefined : narrow(value as bigint),
};

/** A 64-bit number that the specification requires. */
export const requiredWide: Codec = { to: wide.to, from: (value) => narrow(value as bigint) };

/** A device number of a rule, where the specification leaves "any" out and the message has 0 or −1. */
export const orAny: Codec = {
  to: (value) => BigInt(value as number),
  from: (value) => (value as bigint) <= 0n ? undefined : narrow(value as bigint),
};

/** A limit whose message, once it is there, means "none" by anything that is not positive. */
export const orUnlimited: Codec = {
  to: wide.to,
  from: (value) => (value as bigint) <= 0n ? -1 : narrow(value as bigint),
};

/** A list of texts or 32-bit numbers. */
export const scalars: Codec = {
  to: same,
  from: (value) => (value as unknown[]).length === 0 ? undefined : value,
};

/** A map of texts. */
export const textMap: Codec = {
  to: same,
  from: (value) => Object.keys(value as Plain).length === 0 ? undefined : value,
};

/** A nested object. */
export function nested(rows: readonly Row[]): Codec {
  return {
    to: (value) => toMessage(rows, value as Plain),
    from: (value) => fromMessage(rows, value as Plain),
  };
}

/** A list of nested objects. */
export function nestedList(rows: readonly Row[]): Codec {
  return {
    to: (value) => (value as Plain[]).map((item) => toMessage(rows, item)),
    from: (value) => {
      const list = value as Plain[];
      return list.length === 0 ? undefined : list.map((item) => fromMessage(rows, item));
    },
  };
}

/** The message (a part of one: what is left out has its default) of an object. */
export function toMessage(rows: readonly Row[], object: Plain): Plain {
  const message: Plain = {};
  for (const [json, wire, codec] of rows) {
    if (object[json] !== undefined) message[wire] = codec.to(object[json]);
  }
  return message;
}

/** The object of a message. */
export function fromMessage(rows: readonly Row[], message: Plain): Plain {
  const object: Plain = {};
  for (const [json, wire, codec] of rows) {
    const value = message[wire] === undefined ? undefined : codec.from(message[wire]);
    if (value !== undefined) object[json] = value;
  }
  return object;
}

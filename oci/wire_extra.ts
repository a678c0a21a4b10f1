/**
 * What the agent API's messages have no field for (a umask, a scheduler, cgroup files by name, …), as JSON
 * that is laid over what they do have. Computed by comparison, so that nothing of a specification can get
 * lost unnoticed, and empty for what container engines usually send.
 */

import { jsonText, parseJson } from "./validate.ts";

type Plain = Record<string, unknown>;

/** Fields whose zero says something else than their absence does. */
const MEANT_ZEROS = new Set(["errnoRet", "defaultErrnoRet", "major", "minor", "burst", "idle"]);

/**
 * The JSON that turns `arrived` into `sent`; "" when nothing is missing. Zero values that are missing do not
 * count, since the messages have no presence.
 */
export function extraOf(sent: unknown, arrived: unknown): string {
  const missing = difference(sent, arrived);
  if (missing === undefined) return "";
  return jsonText(missing);
}

/** Lays the JSON of `extraOf` over an object; the object is not changed. */
export function withExtra(arrived: unknown, extra: string): unknown {
  return extra === "" ? arrived : overlay(arrived, parseJson(extra));
}

function difference(sent: unknown, arrived: unknown): unknown {
  if (arrived === undefined) return isZero(sent) ? undefined : sent;
  if (Array.isArray(sent) && Array.isArray(arrived) && sent.length !== arrived.length) return sent;
  if (!isContainer(sent) || !isContainer(arrived)) return equalScalars(sent, arrived) ? undefined : sent;
  const entries = Object.entries(sent)
    .map(([key, value]) => [key, fieldDifference(key, value, ownValue(arrived, key))] as const)
    .filter(([, value]) => value !== undefined);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function fieldDifference(key: string, sent: unknown, arrived: unknown): unknown {
  return sent === 0 && arrived === undefined && MEANT_ZEROS.has(key) ? sent : difference(sent, arrived);
}

function overlay(base: unknown, extra: unknown): unknown {
  if (!isContainer(base) || !isContainer(extra) || Array.isArray(extra)) return extra;
  if (Array.isArray(base)) return base.map((item, index) => overlayOwn(item, extra, String(index)));
  const keys = new Set([...Object.keys(base), ...Object.keys(extra)]);
  return Object.fromEntries([...keys].map((key) => [key, overlayOwn(ownValue(base, key), extra, key)]));
}

function overlayOwn(base: unknown, extra: Plain, key: string): unknown {
  return Object.hasOwn(extra, key) ? overlay(base, extra[key]) : base;
}

function ownValue(object: Plain | unknown[], key: string): unknown {
  return Object.hasOwn(object, key) ? (object as Plain)[key] : undefined;
}

function isContainer(value: unknown): value is Plain {
  return typeof value === "object" && value !== null;
}

function equalScalars(a: unknown, b: unknown): boolean {
  const isWhole = (value: unknown) => typeof value === "number" || typeof value === "bigint";
  // deno-lint-ignore eqeqeq -- 5n and 5 are the same number here
  return isWhole(a) && isWhole(b) ? a == b : a === b;
}

function isZero(value: unknown): boolean {
  if (isContainer(value)) return Object.values(value).every(isZero);
  return value === undefined || value === null || value === "" || value === false || value === 0 ||
    value === 0n;
}

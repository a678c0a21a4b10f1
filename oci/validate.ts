/**
 * Reading `config.json`: parsing, shape and rules. Tolerant of what containerd, Docker and CRI put there that
 * the host side handles or drops (hooks, seccomp, devices, resources, labels) and of fields that it does not
 * know; strict about the type of every field that it does.
 */

import { SpecError } from "./check.ts";
import { checkProcessRules, checkRules } from "./rules.ts";
import { processShape, resourcesShape, specShape } from "./shape.ts";
import type { Process, Resources, Spec } from "./spec.ts";

export { SpecError } from "./check.ts";

/**
 * Parses and validates the text of a `config.json`.
 *
 * @param where what the text is called in messages, such as its file name
 * @throws {SpecError} such as `config.json: process.args must be a non-empty array of strings: it is []`
 */
export function parseSpec(text: string, where: string): Spec {
  return within(where, () => {
    const spec = specShape(parseJson(text), "");
    checkRules(spec);
    return spec;
  });
}

/**
 * Validates a process given as parsed JSON (containerd's exec request, a `--process` file).
 *
 * @param json the value, or the JSON text itself
 * @param where what it is called in messages
 */
export function parseProcess(json: unknown, where = "process"): Process {
  return within(where, () => {
    const value = typeof json === "string" ? parseJson(json) : json;
    const process = processShape(value, "");
    checkProcessRules(process, "process");
    return process;
  });
}

/** Validates the resources of an update given as parsed JSON or as JSON text. */
export function parseResources(json: unknown, where = "resources"): Resources {
  return within(where, () => resourcesShape(typeof json === "string" ? parseJson(json) : json, ""));
}

/**
 * `JSON.parse` that keeps whole numbers exact: above 2^53 they become `bigint` (resource limits and seccomp
 * arguments use all 64 bits).
 */
export function parseJson(text: string): unknown {
  // Only such a text needs the slower, exact way: most documents have no number of that length.
  const wideNumber = /[0-9]{16}/;
  try {
    if (!wideNumber.test(text)) return JSON.parse(text);
    return JSON.parse(text, exactNumber as Parameters<typeof JSON.parse>[1]);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SpecError("", `is not valid JSON: ${reason}`);
  }
}

/**
 * `JSON.rawJSON` (ES2025) writes a 64-bit number with all its digits; TypeScript's library does not know it
 * yet.
 */
const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;

/** The counterpart of `parseJson`: `bigint`s are written as numbers. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, (_, part) => typeof part === "bigint" ? rawJson(part.toString()) : part);
}

function exactNumber(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context?.source ?? "";
  return /^-?[0-9]+$/.test(source) ? BigInt(source) : value;
}

function within<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof SpecError && error.where === undefined ? error.in(where) : error;
  }
}

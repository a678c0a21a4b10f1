/** All explanations by section, and what the schema says about a key, in words. */

import { annotationNames } from "../annotations.ts";
import { type AnyRow, defaultOf, oneOf, type Section } from "../key.ts";
import { type SectionName, SECTIONS, tableName } from "../schema.ts";
import { HYPERVISOR_TEXTS } from "./hypervisor.ts";
import { AGENT_TEXTS, FACTORY_TEXTS, RUNTIME_TEXTS } from "./runtime.ts";
import type { Text } from "./text.ts";

/** By section, then by key. */
const TEXTS: Readonly<Record<SectionName, Readonly<Record<string, Text>>>> = {
  hypervisor: HYPERVISOR_TEXTS,
  runtime: RUNTIME_TEXTS,
  agent: AGENT_TEXTS,
  factory: FACTORY_TEXTS,
};

/** What tables are about. */
export const TABLE_DOCS: Readonly<Record<SectionName, string>> = {
  hypervisor: "Virtual machines: what they are made of, and what they may take of the host.",
  runtime: "What the runtime does on the host.",
  agent: "The agent in the guest.",
  factory: "Machines that are made ahead of time.",
};

/** One key with all that is known about it. */
export interface Entry extends Text {
  readonly section: SectionName;
  readonly key: string;
  readonly row: AnyRow;
  /** Names of annotations that set it. */
  readonly annotations: readonly string[];
}

/** All keys of a section, in the order of the schema. */
export function entriesOf(section: SectionName): Entry[] {
  const rows: Section = SECTIONS[section];
  return Object.entries(rows).map(([key, row]) => {
    const text = TEXTS[section][key];
    if (text === undefined) throw new Error(`${tableName(section, "qemu")}.${key} has no explanation`);
    return { ...text, section, key, row, annotations: annotationNames(section, key, row) };
  });
}

/** What values a key takes: `integer in MiB, at least 256`. */
export function valuesInWords(row: AnyRow): string {
  const words = row.allowed === undefined ? TYPES[row.type] : oneOf(row.allowed);
  const unit = row.unit === undefined ? "" : ` in ${row.unit}`;
  const limits = [
    row.min !== undefined && row.min > 0 ? `at least ${row.min}` : undefined,
    row.cap !== undefined
      ? `at most ${row.cap}`
      : row.max !== undefined && row.max < 2 ** 32 - 1
      ? `at most ${row.max}`
      : undefined,
  ].filter((limit) => limit !== undefined);
  return [words + unit, ...limits].join(", ");
}

const TYPES: Readonly<Record<AnyRow["type"], string>> = {
  string: "text",
  boolean: "true or false",
  integer: "whole number",
  float: "number",
  "array of strings": "list of texts",
};

/** The default as TOML; the same on every machine. */
export function defaultText({ row, default: fixed }: Entry): string {
  if (fixed !== undefined) return fixed;
  const value = defaultOf(row);
  return value === SNP_POLICY ? `0x${SNP_POLICY.toString(16)}` : JSON.stringify(value);
}

/** Its bits are what matters. */
const SNP_POLICY = 0x30000;

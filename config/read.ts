/** From the tables of files to settings. */

import type { Origin, Report } from "./error.ts";
import { type AnyRow, BadValue, oneOf, readValue, type Section, shownValue } from "./key.ts";
import { nearest } from "./nearest.ts";
import { type HypervisorName, HYPERVISORS, type SectionName, SECTIONS, tableName } from "./schema.ts";
import { Settings, type Table } from "./settings.ts";
import type { Layer } from "./source.ts";

/** Tables of other versions and other runtimes, which are ignored without a warning. */
const FOREIGN_TABLES = ["image"];

/** What readers of a section need. */
interface Reading {
  readonly layers: readonly Layer[];
  readonly settings: Settings;
  readonly report: Report;
}

/** Reads all keys of all layers. @param path the main file */
export function readTables(layers: readonly Layer[], path: string, report: Report): Settings {
  const settings = new Settings(hypervisorName(layers, report), path);
  const reading = { layers, settings, report };
  reportUnknownTables(layers, report);
  readSection(reading, "hypervisor", [`hypervisor.${settings.name}`]);
  readSection(reading, "runtime", ["runtime"]);
  readSection(reading, "agent", agentTables(layers, report));
  readSection(reading, "factory", ["factory"]);
  return settings;
}

/** The one `[hypervisor.<name>]` of all files. */
function hypervisorName(layers: readonly Layer[], report: Report): HypervisorName {
  const found = new Map<string, Layer>();
  for (const layer of layers) {
    for (const name of Object.keys(tableAt(layer, "hypervisor", report))) found.set(name, layer);
  }
  const [first, second] = [...found.keys()];
  const known = HYPERVISORS.find((name) => found.has(name));
  if (first === undefined) return "qemu";
  if (second !== undefined) {
    const origin = place(found.get(second), `hypervisor.${second}`);
    report.badKey(origin, `cannot be configured beside hypervisor.${first}: a machine has one hypervisor`);
  } else if (known === undefined) {
    const origin = place(found.get(first), `hypervisor.${first}`);
    report.badKey(origin, `is not supported: the hypervisor must be ${oneOf(HYPERVISORS)}`);
    report.markIncomplete();
  }
  return known ?? "qemu";
}

/** Any name may stand behind `agent.`; the last table counts most. */
function agentTables(layers: readonly Layer[], report: Report): string[] {
  const names = new Set(layers.flatMap((layer) => Object.keys(tableAt(layer, "agent", report))));
  return [...names].map((name) => `agent.${name}`);
}

/** Reads all keys of a section. @param paths dotted names of the tables that hold them */
function readSection({ layers, settings, report }: Reading, section: SectionName, paths: string[]): void {
  const rows: Section = SECTIONS[section];
  for (const layer of layers) {
    for (const path of paths) {
      for (const [key, raw] of Object.entries(tableAt(layer, path, report))) {
        const row = Object.hasOwn(rows, key) ? rows[key] : undefined;
        const origin = () => place(layer, `${path}.${key}`);
        if (row === undefined || row.annotationOnly) unknownKey({ layer, section, key, origin, report });
        else readKey({ settings, report, section, key, row, raw, origin });
      }
    }
  }
}

interface AnyKey {
  readonly report: Report;
  readonly section: SectionName;
  readonly key: string;
  origin(): Origin;
}

interface KnownKey extends AnyKey {
  readonly settings: Settings;
  readonly row: AnyRow;
  readonly raw: unknown;
}

interface UnknownKey extends AnyKey {
  readonly layer: Layer;
}

function readKey({ settings, report, section, key, row, raw, origin }: KnownKey): void {
  try {
    settings.set(section, key, readValue(row, raw), origin);
  } catch (error) {
    if (!(error instanceof BadValue)) throw error;
    report.bad(origin(), shownValue(row, raw), error.message, error.near);
    settings.breakKey(section, key);
  }
}

/**
 * Main files of other versions must load, so a key that is not known is left aside there. In a drop-in it can only
 * be a mistake, except in tables that other runtimes share.
 */
function unknownKey({ layer, section, key, origin, report }: UnknownKey): void {
  const rows: Section = SECTIONS[section];
  if (Object.hasOwn(rows, key)) {
    report.badKey(origin(), "can only be set by an annotation");
    return;
  }
  const settable = Object.entries(rows).filter(([, row]) => !row.annotationOnly).map(([name]) => name);
  const near = nearest(key, settable) ?? inOtherTable(section, key);
  if (layer.dropIn && (section === "hypervisor" || section === "agent")) {
    report.badKey(origin(), "is not a key that can be set", near);
  } else report.doubtfulKey(origin(), "is not a known key and has no effect", near);
}

/** The full name of a key that stands in a wrong table, as what is appended to a file does. */
function inOtherTable(section: SectionName, key: string): string | undefined {
  const other = (Object.keys(SECTIONS) as SectionName[]).find((name) => Object.hasOwn(SECTIONS[name], key));
  return other === undefined || other === section ? undefined : `${tableName(other, "qemu")}.${key}`;
}

function reportUnknownTables(layers: readonly Layer[], report: Report): void {
  for (const layer of layers) {
    for (const name of Object.keys(layer.tables)) {
      if (Object.hasOwn(SECTIONS, name) || FOREIGN_TABLES.includes(name)) continue;
      const near = nearest(name, Object.keys(SECTIONS));
      report.doubtfulKey(place(layer, name), "is not a known table and has no effect", near);
    }
  }
}

/** The table of a dotted name; empty when it is not there, or is no table, which is reported. */
function tableAt(layer: Layer, path: string, report: Report): Table {
  let at: Table = layer.tables;
  let name = "";
  for (const part of path.split(".")) {
    name = name === "" ? part : `${name}.${part}`;
    const next = Object.hasOwn(at, part) ? at[part] : {};
    if (typeof next !== "object" || next === null || Array.isArray(next) || next instanceof Date) {
      // of the two readers of the table, the one that looks for its name only tells
      if (name === path) report.bad(place(layer, name), next, "must be a table");
      return {};
    }
    at = next as Table;
  }
  return at;
}

/** Where a key or table stands; a key of an inline table stands where the table begins. */
function place(layer: Layer | undefined, key: string): Origin {
  if (layer === undefined) return { kind: "file", where: "", key };
  const { file, dropIn } = layer;
  const lines = layer.lines();
  let line: number | undefined;
  for (let path = key; line === undefined && path !== ""; path = path.replace(/\.?[^.]*$/, "")) {
    line = lines.get(path);
  }
  const where = line === undefined ? file : `${file}:${line}`;
  return { kind: dropIn ? "drop-in" : "file", where, key, file, line };
}

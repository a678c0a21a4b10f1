/** Loads the configuration: files, annotations, defaults, and the rules that hold between keys. */

import { dirname, resolve } from "../sys/path.ts";
import { applyAnnotations, CONFIG_PATH_ANNOTATION } from "./annotations.ts";
import { badSetting, ConfigError, type Origin } from "./error.ts";
import { type AnyRow, BadValue, oneOf, readValue, type Section } from "./key.ts";
import { finish } from "./rules.ts";
import { type Config, type HypervisorName, HYPERVISORS, type SectionName, SECTIONS } from "./schema.ts";
import { Settings, type Table } from "./settings.ts";
import { fallbackFiles, findMainFile, type Layer, lineOf, readLayers } from "./source.ts";

/** What the configuration depends on. */
export interface LoadOptions {
  /** A file asked for by an option of the command line or of containerd's runtime handler. */
  explicit?: string | undefined;
  /** Annotations of the sandbox; none when absent. */
  annotations?: Readonly<Record<string, string>>;
  /** KATA_CONF_FILE and PATH are used; default: those of the process. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Folder whose configuration.toml is the last resort; default: that of the executable. */
  beside?: string;
  /** Used instead of the usual files; the last resort is not added. */
  fallbacks?: readonly string[];
}

/** A configuration, and what it was made from. */
export interface Loaded {
  readonly config: Config;
  /** The main file with links resolved. */
  readonly path: string;
  readonly sources: {
    /** Drop-ins in the order in which they were applied. */
    readonly dropIns: readonly string[];
    /** Keys and annotations that are not known here, and have no effect. */
    readonly ignored: readonly string[];
  };
}

/**
 * Loads the configuration.
 *
 * The main file is the first of: the annotation `io.katacontainers.config_path`, `explicit`, KATA_CONF_FILE, the
 * usual places. Of each key the last drop-in that sets it counts, then the main file, then the default; annotations
 * come on top. Relative paths start at the main file's folder.
 *
 * @throws {ConfigError} one sentence with place, key, value and what would be right
 */
// deno-lint-ignore require-await -- callers need not know that files are read at once today
export async function loadConfig(options: LoadOptions = {}): Promise<Loaded> {
  const env = options.env ?? { KATA_CONF_FILE: Deno.env.get("KATA_CONF_FILE"), PATH: Deno.env.get("PATH") };
  const path = findMainFile({
    named: [options.annotations?.[CONFIG_PATH_ANNOTATION], options.explicit, env.KATA_CONF_FILE],
    fallbacks: options.fallbacks ?? fallbackFiles(options.beside ?? dirname(Deno.execPath())),
  });
  const layers = readLayers(path);
  const settings = new Settings(hypervisorName(layers), path);
  const ignored = unknownTables(layers);
  readSection(layers, "hypervisor", [`hypervisor.${settings.name}`], settings, ignored);
  readSection(layers, "runtime", ["runtime"], settings, ignored);
  readSection(layers, "agent", agentTables(layers), settings, ignored);
  readSection(layers, "factory", ["factory"], settings, ignored);
  ignored.push(...applyAnnotations(settings, options.annotations ?? {}));
  resolvePaths(settings, dirname(path));
  const config = finish(settings, env.PATH);
  return { config, path, sources: { dropIns: layers.slice(1).map((layer) => layer.file), ignored } };
}

/** The one `[hypervisor.<name>]` of all files. */
function hypervisorName(layers: readonly Layer[]): HypervisorName {
  const names = new Map<string, string>();
  for (const layer of layers) {
    for (const name of Object.keys(tableAt(layer, "hypervisor"))) names.set(name, layer.file);
  }
  const [first, second] = [...names.keys()];
  if (first === undefined) return "qemu";
  if (second !== undefined) {
    throw new ConfigError(
      `${names.get(second)}: only one hypervisor can be configured: found "${first}" and "${second}"`,
    );
  }
  const known = HYPERVISORS.find((name) => name === first);
  if (known === undefined) {
    throw new ConfigError(
      `${names.get(first)}: hypervisor "${first}" is not supported: must be ${oneOf(HYPERVISORS)}`,
    );
  }
  return known;
}

/** Any name may stand behind `agent.`; the last table counts most. */
function agentTables(layers: readonly Layer[]): string[] {
  const names = new Set(layers.flatMap((layer) => Object.keys(tableAt(layer, "agent"))));
  return [...names].map((name) => `agent.${name}`);
}

/** Reads all keys of a section. @param paths dotted names of the tables that hold them */
function readSection(
  layers: readonly Layer[],
  section: SectionName,
  paths: readonly string[],
  settings: Settings,
  ignored: string[],
): void {
  const rows: Section = SECTIONS[section];
  for (const layer of layers) {
    for (const path of paths) {
      for (const [key, raw] of Object.entries(tableAt(layer, path))) {
        const row = Object.hasOwn(rows, key) ? rows[key] : undefined;
        const origin = () => ({ where: place(layer, path, key), key: `${path}.${key}` });
        if (row === undefined || row.annotationOnly) ignored.push(unknownKey(layer, section, origin));
        else settings.set(section, key, readKey(row, raw, origin), origin);
      }
    }
  }
}

function readKey(row: AnyRow, raw: unknown, origin: () => Origin): unknown {
  try {
    return readValue(row, raw);
  } catch (error) {
    if (error instanceof BadValue) throw badSetting(origin(), raw, error.message);
    throw error;
  }
}

/**
 * Main files of other versions must load, so a key that is not known is left aside there. In a drop-in it can only
 * be a mistake, except in tables that other runtimes share.
 *
 * @returns the key's name
 */
function unknownKey(layer: Layer, section: SectionName, origin: () => Origin): string {
  const { where, key } = origin();
  if (layer.dropIn && (section === "hypervisor" || section === "agent")) {
    throw new ConfigError(`${where}: ${key} is no key that can be set`);
  }
  return key;
}

function unknownTables(layers: readonly Layer[]): string[] {
  const names = layers.flatMap(({ tables }) => Object.keys(tables));
  return [...new Set(names)].filter((name) => !Object.hasOwn(SECTIONS, name));
}

/** The table of a dotted name; empty when it is not there. */
function tableAt(layer: Layer, path: string): Table {
  let at: Table = layer.tables;
  let name = "";
  for (const part of path.split(".")) {
    name = name === "" ? part : `${name}.${part}`;
    const next = Object.hasOwn(at, part) ? at[part] : {};
    if (typeof next !== "object" || next === null || Array.isArray(next) || next instanceof Date) {
      throw badSetting({ where: layer.file, key: name }, next, "must be a table");
    }
    at = next as Table;
  }
  return at;
}

function place(layer: Layer, table: string, key: string): string {
  const line = lineOf(layer.text, table, key);
  return line === undefined ? layer.file : `${layer.file}:${line}`;
}

function resolvePaths(settings: Settings, folder: string): void {
  for (const section of Object.keys(SECTIONS) as SectionName[]) {
    const rows: Section = SECTIONS[section];
    for (const [key, row] of Object.entries(rows)) {
      const value = settings.get(section, key);
      if (row.path && typeof value === "string" && value !== "") {
        settings.amend(section, key, resolve(folder, value));
      }
    }
  }
}

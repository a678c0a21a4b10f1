/** Loads the configuration: files, annotations, defaults, and the rules that hold between keys. */

import { dirname, resolve } from "../sys/path.ts";
import { applyAnnotations, CONFIG_PATH_ANNOTATION } from "./annotations.ts";
import { Report } from "./error.ts";
import type { Section } from "./key.ts";
import { readTables } from "./read.ts";
import { finish } from "./rules.ts";
import { type Config, type SectionName, SECTIONS } from "./schema.ts";
import type { Settings } from "./settings.ts";
import { fallbackFiles, findMainFile, type Layer, readLayers } from "./source.ts";

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
  };
  /** Warnings, a sentence each: unknown keys, and values without an effect. */
  readonly warnings: readonly string[];
}

/** A configuration with all of its mistakes. */
export interface Examined {
  readonly path: string;
  readonly dropIns: readonly string[];
  readonly settings: Settings;
  readonly report: Report;
}

/**
 * Loads the configuration.
 *
 * The main file is the first of: the annotation `io.katacontainers.config_path`, `explicit`, KATA_CONF_FILE, the
 * usual places; the annotation's must stand in the folder of one of the others. Of each key the last drop-in that sets
 * it counts, then the main file, then the default; annotations come on top. Relative paths start at the main file's
 * folder.
 *
 * @throws {ConfigError} the mistakes, each with place, key, value and what would be right; the message has the first
 * few
 */
export async function loadConfig(options: LoadOptions = {}): Promise<Loaded> {
  const { path, dropIns, settings, report } = await examineConfig(options);
  report.throwErrors();
  return {
    config: settings.config(),
    path,
    sources: { dropIns },
    warnings: report.warnings.map(({ text }) => text),
  };
}

/**
 * As {@linkcode loadConfig}, but finds all mistakes.
 *
 * @throws {ConfigError} there is no main file
 */
export async function examineConfig(options: LoadOptions = {}): Promise<Examined> {
  const env = options.env ?? { KATA_CONF_FILE: Deno.env.get("KATA_CONF_FILE"), PATH: Deno.env.get("PATH") };
  const path = findMainFile({
    byPod: options.annotations?.[CONFIG_PATH_ANNOTATION],
    named: [options.explicit, env.KATA_CONF_FILE],
    fallbacks: options.fallbacks ?? fallbackFiles(options.beside ?? dirname(Deno.execPath())),
  });
  const report = new Report();
  return await examineLayers({
    path,
    layers: readLayers(path, report),
    annotations: options.annotations ?? {},
    searchPath: env.PATH,
    report,
  });
}

/** What a configuration is made from. */
export interface Sources {
  /** Of the main file. */
  readonly path: string;
  /** The main file and its drop-ins. */
  readonly layers: readonly Layer[];
  readonly annotations: Readonly<Record<string, string>>;
  /** The value of PATH. */
  readonly searchPath: string | undefined;
  /** Gets the mistakes. */
  readonly report: Report;
}

/** As {@linkcode examineConfig}, of texts that were read already. */
export async function examineLayers(
  { path, layers, annotations, searchPath, report }: Sources,
): Promise<Examined> {
  const settings = readTables(layers, path, report);
  applyAnnotations(settings, annotations, report);
  resolvePaths(settings, dirname(path));
  await finish(settings, report, searchPath);
  return { path, dropIns: layers.filter(({ dropIn }) => dropIn).map(({ file }) => file), settings, report };
}

function resolvePaths(settings: Settings, folder: string): void {
  for (const section of Object.keys(SECTIONS) as SectionName[]) {
    const rows: Section = SECTIONS[section];
    for (const [key, row] of Object.entries(rows)) {
      if (!row.path) continue;
      const value = settings.get(section, key);
      if (typeof value === "string" && value !== "") settings.amend(section, key, resolve(folder, value));
      if (Array.isArray(value) && value.length > 0) {
        settings.amend(section, key, value.map((path) => resolve(folder, String(path))));
      }
    }
  }
}

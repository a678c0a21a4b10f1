/** Where the configuration comes from: the search for the main file, and the drop-ins beside it. */

import { parse, TomlError } from "smol-toml";
import { basename, dirname, resolve } from "../sys/path.ts";
import { ConfigError } from "./error.ts";

/** One file that was read. */
export interface Layer {
  readonly file: string;
  readonly text: string;
  readonly tables: Readonly<Record<string, unknown>>;
  readonly dropIn: boolean;
}

/** Name of the main file in the folders that are searched. */
const FILE_NAME = "configuration.toml";

/** Where administrators and packages put the main file; the first that exists counts. */
export const DEFAULT_FILES: readonly string[] = [
  `/etc/kata-containers/${FILE_NAME}`,
  `/usr/share/defaults/kata-containers/${FILE_NAME}`,
];

/** What decides on the main file. */
export interface Search {
  /** Files that somebody asked for by name; the first that is not empty counts. */
  readonly named: readonly (string | undefined)[];
  /** Used when none is named. */
  readonly fallbacks: readonly string[];
}

/** The usual fallbacks. @param beside folder of the executable, whose own configuration is the last resort */
export function fallbackFiles(beside: string): string[] {
  return [...DEFAULT_FILES, `${beside}/${FILE_NAME}`];
}

/**
 * The main file's path with links resolved, which its relative paths and drop-ins start at.
 *
 * @throws {ConfigError} when the named one does not exist, or none does
 */
export function findMainFile(search: Search): string {
  const named = search.named.find((path) => path !== undefined && path !== "");
  if (named !== undefined) {
    const path = resolve(Deno.cwd(), named);
    try {
      return Deno.realPathSync(path);
    } catch (cause) {
      throw new ConfigError(`cannot read the configuration file "${path}": ${reason(cause)}`, { cause });
    }
  }
  for (const path of search.fallbacks) {
    try {
      return Deno.realPathSync(path);
    } catch (cause) {
      if (cause instanceof Deno.errors.NotFound) continue;
      throw new ConfigError(`cannot read the configuration file "${path}": ${reason(cause)}`, { cause });
    }
  }
  const places = search.fallbacks.map((path) => `"${path}"`).join(", ");
  throw new ConfigError(`no configuration file is there: looked for ${places}`);
}

/** The main file and its drop-ins, in the order in which they count. @throws {ConfigError} */
export function readLayers(main: string): Layer[] {
  const folder = `${dirname(main)}/config.d`;
  return [readLayer(main, false), ...dropIns(folder).map((name) => readLayer(`${folder}/${name}`, true))];
}

/** The line of a key in a file's text, counted from 1; undefined when it is written in an unusual way. */
export function lineOf(text: string, table: string, key: string): number | undefined {
  let current = "";
  for (const [index, line] of text.split("\n").entries()) {
    const header = /^\s*\[\s*([^\[\]]+?)\s*\]/.exec(line)?.[1];
    if (header !== undefined) current = header.replace(/\s*\.\s*/g, ".").replaceAll('"', "");
    const name = /^\s*"?([\w.-]+)"?\s*=/.exec(line)?.[1];
    if (name !== undefined && [current, name].filter(Boolean).join(".") === `${table}.${key}`) {
      return index + 1;
    }
  }
  return undefined;
}

/** File names in byte order. */
function dropIns(folder: string): string[] {
  try {
    const names = [...Deno.readDirSync(folder)].map((entry) => entry.name);
    return names.map((name) => ({ name, key: new TextEncoder().encode(name).toHex() }))
      .sort((a, b) => a.key < b.key ? -1 : 1).map(({ name }) => name);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return [];
    throw new ConfigError(`cannot read the folder "${folder}": ${reason(cause)}`, { cause });
  }
}

function readLayer(file: string, dropIn: boolean): Layer {
  let text: string;
  try {
    text = Deno.readTextFileSync(file);
  } catch (cause) {
    throw new ConfigError(`cannot read the configuration file "${file}": ${reason(cause)}`, { cause });
  }
  try {
    return { file, text, tables: parse(text), dropIn };
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const problem = cause.message.split("\n")[0]?.replace(/^Invalid TOML document: /, "") ?? "";
    throw new ConfigError(`${file}:${cause.line}: ${basename(file)} is no valid TOML: ${problem}`, { cause });
  }
}

function reason(cause: unknown): string {
  if (cause instanceof Deno.errors.NotFound) return "it does not exist";
  if (cause instanceof Deno.errors.IsADirectory) return "it is a folder";
  return cause instanceof Error ? cause.message : String(cause);
}

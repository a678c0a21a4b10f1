/** Where the configuration comes from: the search for the main file, and the drop-ins beside it. */

import { dirname, resolve } from "../sys/path.ts";
import { ConfigError, type Report } from "./error.ts";
import { DEFAULT_FILES, FILE_NAME } from "./files.ts";
import { linesOf, parseLines } from "./toml.ts";

/** One file that was read. */
export interface Layer {
  readonly file: string;
  readonly text: string;
  readonly tables: Readonly<Record<string, unknown>>;
  readonly dropIn: boolean;
  /** Lines of tables and keys by their dotted names, counted from 1; worked out when a message needs them. */
  lines(): ReadonlyMap<string, number>;
}

/** What decides on the main file. */
export interface Search {
  /** The file that a pod asks for by its annotations. It must stand beside one of the others. */
  readonly byPod?: string | undefined;
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
 * @throws {ConfigError} when the named one does not exist, or none does; when a pod may not have the one that it names
 */
export function findMainFile(search: Search): string {
  const { byPod } = search;
  if (byPod !== undefined && byPod !== "") return fileOfPod(byPod, search);
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
  throw new ConfigError(`no configuration file found: looked for ${places}`);
}

/**
 * Users who may create pods can often write files on the host, too, through volumes. A configuration names programs
 * that run as root, so a pod may only choose among files in the administrator's configuration folders.
 */
function fileOfPod(wanted: string, { named, fallbacks }: Search): string {
  const path = findMainFile({ named: [wanted], fallbacks: [] });
  const files = [...named, ...fallbacks].filter((file) => file !== undefined).filter((file) => file !== "")
    .map((file) => resolve(Deno.cwd(), file));
  const folders = new Set(files.flatMap((file) => [file, realPathOf(file)]).map(dirname));
  if (folders.has(dirname(path))) return path;
  throw new ConfigError(
    `a pod may only choose a configuration file in a folder of the configuration, which "${path}" is not: ` +
      `these are ${[...folders].map((folder) => `"${folder}"`).join(", ")}`,
  );
}

/** Where links lead; the path itself if it does not exist. */
function realPathOf(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    return path;
  }
}

/**
 * The main file and its drop-ins, in the order in which they count. A drop-in that cannot be read and lines that are no
 * TOML are reported, and left out.
 *
 * @throws {ConfigError} the main file cannot be read
 */
export function readLayers(main: string, report: Report): Layer[] {
  const folder = `${dirname(main)}/config.d`;
  const layers: Layer[] = [];
  const read = (file: string, dropIn: boolean) => {
    const layer = readLayer(file, dropIn, report);
    if (layer !== undefined) layers.push(layer);
  };
  read(main, false);
  for (const name of dropIns(folder, report)) read(`${folder}/${name}`, true);
  return layers;
}

/** File names in byte order. */
function dropIns(folder: string, report: Report): string[] {
  try {
    const names = [...Deno.readDirSync(folder)].map((entry) => entry.name);
    return names.map((name) => ({ name, key: new TextEncoder().encode(name).toHex() }))
      .sort((a, b) => a.key < b.key ? -1 : 1).map(({ name }) => name);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) {
      const origin = { kind: "drop-in", where: folder, file: folder } as const;
      report.badFile(origin, `cannot read the folder: ${reason(cause)}`);
    }
    return [];
  }
}

/** A file's text as a layer. Lines that are no TOML are reported, and left out. */
export function layerOf(file: string, text: string, dropIn: boolean, report: Report): Layer {
  const { tables, problems } = parseLines(text);
  for (const { line, problem } of problems) {
    const kind = dropIn ? "drop-in" : "file";
    report.badFile({ kind, where: `${file}:${line}`, file, line }, `no valid TOML: ${problem}`);
  }
  let lines: Map<string, number> | undefined;
  return { file, text, tables, dropIn, lines: () => lines ??= linesOf(text) };
}

function readLayer(file: string, dropIn: boolean, report: Report): Layer | undefined {
  const kind = dropIn ? "drop-in" : "file";
  let bytes: Uint8Array;
  try {
    bytes = readBytes(file);
  } catch (cause) {
    if (!dropIn) {
      throw new ConfigError(`cannot read the configuration file "${file}": ${reason(cause)}`, { cause });
    }
    report.badFile({ kind, where: file, file }, `cannot read the file: ${reason(cause)}`);
    return undefined;
  }
  try {
    return layerOf(file, new TextDecoder("utf-8", { fatal: true }).decode(bytes), dropIn, report);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const line = lineThatIsNoText(bytes);
    report.badFile(
      { kind, where: `${file}:${line}`, file, line },
      "must be UTF-8 text, which this line is not",
    );
    return undefined;
  }
}

/** Largest file that is read, in bytes: a hundred times what all keys with their documentation take. */
const MAX_BYTES = 4_194_304;

/** @throws {Error} what the file cannot be: reading a pipe, or a device, might never end */
function readBytes(file: string): Uint8Array {
  const { isDirectory, isFile, size } = Deno.statSync(file);
  if (isDirectory) throw new Deno.errors.IsADirectory();
  if (!isFile) throw new Error("it is no regular file");
  if (size > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES} bytes: it has ${size}`);
  return Deno.readFileSync(file);
}

/** The first line that is no UTF-8, counted from 1: no character has the byte of a line's end in it. */
function lineThatIsNoText(bytes: Uint8Array): number {
  for (let line = 1, start = 0;; line++) {
    const end = bytes.indexOf(0x0a, start);
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(start, end < 0 ? undefined : end));
    } catch {
      return line;
    }
    if (end < 0) return line;
    start = end + 1;
  }
}

function reason(cause: unknown): string {
  if (cause instanceof Deno.errors.NotFound) return "it does not exist";
  if (cause instanceof Deno.errors.IsADirectory) return "it is a folder";
  if (cause instanceof Deno.errors.NotADirectory) return "it, or what its path leads through, is no folder";
  if (cause instanceof Deno.errors.FilesystemLoop) return "its links lead in a circle";
  if (cause instanceof Deno.errors.PermissionDenied) return "this user may not";
  return cause instanceof Error ? cause.message : String(cause);
}

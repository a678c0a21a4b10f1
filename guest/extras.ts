/**
 * Files of this machine that are put into a guest besides what it needs: programs with their libraries, folders.
 *
 * @module
 */

import { librariesOf } from "./libraries.ts";

/** A file that cannot be put into a guest; the message names it. */
export class ExtraError extends Error {
  override readonly name = "ExtraError";
}

/** Something to put into a guest. */
export interface Extra {
  /** A file or folder of this machine; links are followed. */
  readonly source: string;
  /** Where it is in the guest, absolute. */
  readonly target: string;
}

/** A file as it is in the guest: its own, or a link to another that has the same content. */
export type ExtraFile =
  | { readonly data: Uint8Array; readonly mode: number }
  | { readonly link: string };

const EXECUTABLE = 0o755;
const PLAIN = 0o644;

/** First bytes of programs and libraries. */
const ELF_MAGIC = [0x7f, 0x45, 0x4c, 0x46] as const;

/**
 * Reads `FILE` or `FILE:PATH`: a file, and where it is in the guest if that is another path.
 *
 * @throws {ExtraError}
 */
export function parseExtra(text: string): Extra {
  const colon = text.indexOf(":");
  const source = colon < 0 ? text : text.slice(0, colon);
  const target = colon < 0 ? text : text.slice(colon + 1);
  const parts = target.split("/").slice(1);
  if (source === "" || !target.startsWith("/") || parts.some((part) => ["", ".", ".."].includes(part))) {
    throw new ExtraError(
      `"${text}" must be a file's absolute path, or FILE:PATH with its absolute path in the guest`,
    );
  }
  return { source, target };
}

/**
 * Collects files by their paths in the guest, with the libraries that programs among them need.
 *
 * A program that is called by a link has the link's name in the guest, since it may behave by it. What is there under
 * several names is there once: the others are links to the first.
 *
 * @throws {ExtraError} a file cannot be read, or two of them have one path
 * @throws {LibraryError} a library is missing
 */
export async function collectExtras(extras: readonly Extra[]): Promise<Map<string, ExtraFile>> {
  const found: Found = { files: new Map(), programs: [], targets: new Map() };
  for (const { source, target } of extras) await collect(source, target, found);
  for (const program of found.programs) {
    for (const [library, data] of await librariesOf(program)) {
      if (!found.files.has(library)) found.files.set(library, { data, mode: EXECUTABLE });
    }
  }
  return found.files;
}

/** What was collected so far. */
interface Found {
  readonly files: Map<string, ExtraFile>;
  /** Programs and libraries, by their paths on this machine. */
  readonly programs: string[];
  /** Where files of this machine, links followed, are in the guest. */
  readonly targets: Map<string, string>;
}

async function collect(source: string, target: string, found: Found): Promise<void> {
  const info = await statOf(source);
  if (info.isDirectory) {
    for await (const { name } of Deno.readDir(source)) {
      await collect(`${source}/${name}`, `${target}/${name}`, found);
    }
    return;
  }
  if (!info.isFile) {
    throw new ExtraError(`cannot put "${source}" into a guest: it is neither a file nor a folder`);
  }
  if (found.files.has(target)) {
    throw new ExtraError(`two files are to be "${target}" in the guest: one is "${source}"`);
  }
  const real = await Deno.realPath(source);
  const first = found.targets.get(real);
  if (first !== undefined) {
    found.files.set(target, { link: first });
    return;
  }
  found.targets.set(real, target);
  const data = await Deno.readFile(real);
  if (isProgram(data)) found.programs.push(source);
  const mode = ((info.mode ?? 0) & 0o111) !== 0 ? EXECUTABLE : PLAIN;
  found.files.set(target, { data, mode });
}

/** Whether it is linked to libraries, perhaps; relocatable files, such as modules, are not. */
function isProgram(data: Uint8Array): boolean {
  const [CLASS_64, EXEC, DYN] = [2, 2, 3];
  const type = data[16] ?? 0;
  return ELF_MAGIC.every((byte, index) => data[index] === byte) && data[4] === CLASS_64 &&
    (type === EXEC || type === DYN);
}

async function statOf(path: string): Promise<Deno.FileInfo> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound ? "it does not exist" : String(error);
    throw new ExtraError(`cannot put "${path}" into a guest: ${why}`, { cause: error });
  }
}

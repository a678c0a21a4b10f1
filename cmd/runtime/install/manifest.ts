/**
 * What an installation has done, written down before it is done: whatever happens in between, it can be undone.
 *
 * @module
 */

import { why } from "../failure.ts";

/** One thing that was done. Paths are without the staging folder. */
export type Entry =
  | { readonly kind: "folder"; readonly path: string }
  | { readonly kind: "link"; readonly path: string; readonly target: string }
  /** `sha256`: of all contents that came from an installation */
  | { readonly kind: "file"; readonly path: string; readonly sha256: readonly string[] }
  /** `before`: the text without our part; null: there was no file */
  | {
    readonly kind: "edit";
    readonly path: string;
    readonly form: "block" | "json";
    readonly before: string | null;
    readonly sha256: readonly string[];
  };

/** Everything that was done. */
export interface Manifest {
  readonly version: 1;
  readonly prefix: string;
  readonly entries: readonly Entry[];
}

/** Where it is kept, and the folders that are made for it. */
export const MANIFEST = "/var/lib/kata-containers/install.json";

/** Suffix of files that are being written. */
export const UNFINISHED = ".kata-install";

/**
 * Reads the manifest below a staging folder.
 *
 * @throws {Error} a sentence: it cannot be read, or is none
 */
export function readManifest(root: string): Manifest | undefined {
  const path = root + MANIFEST;
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw new Error(`cannot read the manifest "${path}": ${why(error)}`, { cause: error });
  }
  try {
    const manifest = JSON.parse(text) as Manifest;
    if (manifest.version === 1 && Array.isArray(manifest.entries)) return manifest;
  } catch {
    // told below
  }
  throw new Error(`"${path}" is not the manifest of an installation that this version can undo`);
}

/** Replaces the manifest; it is on the disk when this returns. */
export function writeManifest(root: string, manifest: Manifest): void {
  const path = root + MANIFEST;
  writeWhole(path, new TextEncoder().encode(`${JSON.stringify(manifest, undefined, 2)}\n`), { mode: 0o600 });
}

/** The manifest with an entry for a path put in, in the place of the one it had. */
export function withEntry(manifest: Manifest, entry: Entry): Manifest {
  const at = manifest.entries.findIndex(({ path }) => path === entry.path);
  return { ...manifest, entries: at < 0 ? [...manifest.entries, entry] : manifest.entries.with(at, entry) };
}

/** Who a file belongs to and who may use it. */
export interface Access {
  readonly mode: number;
  readonly uid?: number | null;
  readonly gid?: number | null;
}

/**
 * A file appears whole, or not at all.
 *
 * @throws {Error} a sentence: it cannot be written, as on a full disk
 */
export function writeWhole(path: string, data: Uint8Array, access: Access): void {
  const unfinished = path + UNFINISHED;
  try {
    writeUnfinished(unfinished, data, access);
    Deno.renameSync(unfinished, path);
  } catch (error) {
    removeIfThere(unfinished);
    throw new Error(`cannot write "${path}": ${why(error)}`, { cause: error });
  }
}

function writeUnfinished(unfinished: string, data: Uint8Array, access: Access): void {
  {
    using file = Deno.openSync(unfinished, { write: true, create: true, truncate: true });
    for (let at = 0; at < data.length;) at += file.writeSync(data.subarray(at));
    file.syncSync();
  }
  Deno.chmodSync(unfinished, access.mode & 0o7777);
  if (access.uid !== undefined || access.gid !== undefined) {
    Deno.chownSync(unfinished, access.uid ?? null, access.gid ?? null);
  }
}

/** Removes a file if there is one. */
export function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** Whether a failed call did not find what it is about, one of the folders above included. */
export function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
}

/** Hexadecimal. */
export async function sha256(data: Uint8Array | string): Promise<string> {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : new Uint8Array(data);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

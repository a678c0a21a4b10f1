/**
 * The steps of an installation: each is recorded in the manifest, done and printed; in a dry run only printed.
 *
 * @module
 */

import { isEntry } from "../../../sys/exists.ts";
import { dirname } from "../../../sys/path.ts";
import {
  type Entry,
  MANIFEST,
  type Manifest,
  removeIfThere,
  sha256,
  UNFINISHED,
  withEntry,
  writeManifest,
  writeWhole,
} from "./manifest.ts";

/** How to install. */
export interface InstallerOptions {
  /** staging folder in front of every path; empty for this machine itself */
  readonly root: string;
  readonly dryRun: boolean;
  readonly manifest: Manifest;
  /** told what is done, a line each */
  say(line: string): void;
}

/** Content of a file: bytes, or another file's. */
export type Content = Uint8Array | { readonly copyOf: string };

const FOLDER_MODE = 0o755;

/** Does steps. A step that has been done before is done again only if its outcome would differ. */
export class Installer {
  readonly #options: InstallerOptions;
  #manifest: Manifest;

  constructor(options: InstallerOptions) {
    this.#options = options;
    this.#manifest = options.manifest;
  }

  /** Makes the folder for the manifest, and writes it. */
  begin(): void {
    if (this.#options.dryRun) return;
    if (this.#options.root !== "") Deno.mkdirSync(this.#options.root, { recursive: true });
    const made = this.#missingFolders(dirname(MANIFEST));
    for (const path of made) Deno.mkdirSync(this.#at(path), { mode: FOLDER_MODE });
    for (const path of made) this.#manifest = withEntry(this.#manifest, { kind: "folder", path });
    writeManifest(this.#options.root, this.#manifest);
  }

  /** A folder and those above it. */
  folder(path: string): void {
    for (const one of this.#missingFolders(path)) {
      this.#say("make", one);
      if (this.#options.dryRun) continue;
      this.#record({ kind: "folder", path: one });
      Deno.mkdirSync(this.#at(one), { mode: FOLDER_MODE });
    }
  }

  /**
   * A file that is ours.
   *
   * @param content called only when it is needed
   * @param about of content that has yet to be made: a dry run tells it, and does not make it
   */
  async file(path: string, mode: number, content: () => Promise<Content>, about = ""): Promise<void> {
    this.folder(dirname(path));
    const { dryRun } = this.#options;
    if (dryRun && about !== "") return this.#say("write", path, about);
    const data = await contentOf(await content());
    const hash = await sha256(data);
    const known = this.#entry(path, "file");
    if (known !== undefined && await this.#hashOf(path) === hash) {
      if (!dryRun) this.#record({ kind: "file", path, sha256: [hash] });
      return this.#say("unchanged", path);
    }
    this.#say("write", path, about);
    if (dryRun) return;
    this.#record({ kind: "file", path, sha256: [...known?.sha256 ?? [], hash] });
    writeWhole(this.#at(path), data, { mode });
    this.#record({ kind: "file", path, sha256: [hash] });
  }

  /** A file that its owner may have changed: then it is left as it is. */
  async configuration(path: string, text: string): Promise<void> {
    const current = this.#read(path);
    const known = this.#entry(path, "file");
    const isOurs = known !== undefined && current !== undefined &&
      known.sha256.includes(await sha256(current));
    if (current !== undefined && !isOurs) return this.#say("keep", path, "it is there already");
    await this.file(path, 0o644, () => Promise.resolve(new TextEncoder().encode(text)));
  }

  /** A symbolic link. */
  link(path: string, target: string): void {
    this.folder(dirname(path));
    if (this.#linkTarget(path) === target) return this.#say("unchanged", path);
    this.#say("link", path, `to ${target}`);
    if (this.#options.dryRun) return;
    this.#record({ kind: "link", path, target });
    const unfinished = this.#at(path) + UNFINISHED;
    removeIfThere(unfinished);
    Deno.symlinkSync(target, unfinished);
    Deno.renameSync(unfinished, this.#at(path));
  }

  /** A change of somebody else's file, or a file that others may add to. @param without what it is without our part */
  async edit(
    path: string,
    form: "block" | "json",
    text: string,
    without: (text: string) => string | undefined,
  ): Promise<void> {
    this.folder(dirname(path));
    const current = this.#read(path);
    if (current === text) return this.#say("unchanged", path);
    this.#say(current === undefined ? "write" : "change", path);
    if (this.#options.dryRun) return;
    const known = this.#entry(path, "edit");
    const isOurs = known !== undefined && current !== undefined &&
      known.sha256.includes(await sha256(current));
    const before = isOurs ? known.before : current === undefined ? null : without(current) ?? current;
    const entry = { kind: "edit", path, form, before } as const;
    const hash = await sha256(text);
    this.#record({ ...entry, sha256: [...isOurs ? known.sha256 : [], hash] });
    writeEdited(this.#at(path), text);
    this.#record({ ...entry, sha256: [hash] });
  }

  /** What of the paths is there, and did not come from an installation. */
  foreign(paths: readonly string[]): string[] {
    return paths.filter((path) =>
      !this.#manifest.entries.some((entry) => entry.path === path) && isEntry(this.#at(path))
    );
  }

  #missingFolders(path: string): string[] {
    const missing: string[] = [];
    for (let at = path; at !== "/" && !isEntry(this.#at(at)); at = dirname(at)) missing.unshift(at);
    return missing.filter((one) => !this.#told.has(one) && (!this.#options.dryRun || this.#told.add(one)));
  }

  /** folders that a dry run has told */
  readonly #told = new Set<string>();

  #record(entry: Entry): void {
    this.#manifest = withEntry(this.#manifest, entry);
    writeManifest(this.#options.root, this.#manifest);
  }

  #entry<K extends Entry["kind"]>(path: string, kind: K): Extract<Entry, { kind: K }> | undefined {
    return this.#manifest.entries.find((entry): entry is Extract<Entry, { kind: K }> =>
      entry.path === path && entry.kind === kind
    );
  }

  #at(path: string): string {
    return this.#options.root + path;
  }

  #read(path: string): string | undefined {
    try {
      return Deno.readTextFileSync(this.#at(path));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  async #hashOf(path: string): Promise<string | undefined> {
    return isEntry(this.#at(path)) ? await sha256(Deno.readFileSync(this.#at(path))) : undefined;
  }

  #linkTarget(path: string): string | undefined {
    try {
      return Deno.readLinkSync(this.#at(path));
    } catch {
      return undefined;
    }
  }

  #say(what: string, path: string, about = ""): void {
    this.#options.say(`${what.padEnd(9)} ${this.#at(path)}${about === "" ? "" : ` (${about})`}`);
  }
}

async function contentOf(content: Content): Promise<Uint8Array> {
  return content instanceof Uint8Array ? content : await Deno.readFile(content.copyOf);
}

/** Replaces a text; a link, the owner and the permissions of the file stay as they are. */
export function writeEdited(path: string, text: string): void {
  const data = new TextEncoder().encode(text);
  if (!isEntry(path)) return writeWhole(path, data, { mode: 0o644 });
  const real = Deno.realPathSync(path);
  const { mode, uid, gid } = Deno.statSync(real);
  writeWhole(real, data, { mode: mode ?? 0o644, uid, gid });
}

/**
 * `kata-runtime uninstall`: undoes what the manifest lists.
 *
 * @module
 */

import { isEntry } from "../../../sys/exists.ts";
import { dirname, isWithin } from "../../../sys/path.ts";
import { takeBlock } from "./blocks.ts";
import { withoutDockerRuntime } from "./docker.ts";
import { writeEdited } from "./installer.ts";
import { type Entry, MANIFEST, readManifest, removeIfThere, sha256, UNFINISHED } from "./manifest.ts";

/** How to uninstall. */
export interface UninstallOptions {
  /** staging folder in front of every path; empty for this machine itself */
  readonly root: string;
  readonly dryRun: boolean;
  say(line: string): void;
}

/**
 * Undoes an installation, even an interrupted one. Files that were changed since are kept and listed.
 *
 * @returns whether there was anything to undo
 * @throws {Error} a sentence
 */
export async function undo(options: UninstallOptions): Promise<boolean> {
  const { root, dryRun } = options;
  const manifest = readManifest(root);
  if (manifest === undefined) {
    if (!dryRun) removeManifest(root);
    return false;
  }
  const isAround = (entry: Entry) => entry.kind === "folder" && isWithin(MANIFEST, entry.path);
  const last = manifest.entries.filter(isAround);
  for (const entry of manifest.entries.filter((one) => !isAround(one)).reverse()) {
    await undoEntry(entry, options);
  }
  if (dryRun) return true;
  removeManifest(root);
  for (const { path } of last.reverse()) removeFolder(root + path);
  return true;
}

function removeManifest(root: string): void {
  removeIfThere(root + MANIFEST);
  removeIfThere(root + MANIFEST + UNFINISHED);
  removeFolder(dirname(root + MANIFEST));
}

async function undoEntry(entry: Entry, options: UninstallOptions): Promise<void> {
  const path = options.root + entry.path;
  const say = (what: string, about = "") =>
    options.say(`${what.padEnd(9)} ${path}${about === "" ? "" : ` (${about})`}`);
  if (!options.dryRun && entry.kind !== "folder") removeIfThere(path + UNFINISHED);
  if (!isEntry(path)) return;
  switch (entry.kind) {
    case "folder":
      if (options.dryRun || removeFolder(path)) say("remove");
      else say("keep", "it is not empty");
      return;
    case "link":
      if (linkTarget(path) !== entry.target) return say("keep", "it was changed since");
      break;
    case "file":
      if (!entry.sha256.includes(await sha256(Deno.readFileSync(path)))) {
        return say("keep", "it was changed since");
      }
      break;
    case "edit":
      return await undoEdit(entry, path, options, say);
  }
  say("remove");
  if (!options.dryRun) Deno.removeSync(path);
}

/** Puts the text back that was there; if its owner has changed it since, only our part is taken out. */
async function undoEdit(
  entry: Extract<Entry, { kind: "edit" }>,
  path: string,
  { dryRun }: UninstallOptions,
  say: (what: string, about?: string) => void,
): Promise<void> {
  const current = Deno.readTextFileSync(path);
  if (current === entry.before) return;
  const isOurs = entry.sha256.includes(await sha256(current));
  if (isOurs && entry.before === null) {
    say("remove");
    if (!dryRun) Deno.removeSync(path);
    return;
  }
  const restored = isOurs ? entry.before : withoutPart(entry.form, current);
  if (restored === undefined || restored === null) return say("keep", "the part written by install is gone");
  say("restore", isOurs ? "" : "with what was changed since");
  if (!dryRun) writeEdited(path, restored);
}

/** A text without our part of it; undefined: it has none. */
export function withoutPart(form: "block" | "json", text: string): string | undefined {
  return form === "block" ? takeBlock(text)?.rest : withoutDockerRuntime(text);
}

function linkTarget(path: string): string | undefined {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return undefined;
  }
}

/** Removes a folder if it is empty. */
function removeFolder(path: string): boolean {
  try {
    Deno.removeSync(path);
    return true;
  } catch {
    return false;
  }
}

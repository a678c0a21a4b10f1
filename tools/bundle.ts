/**
 * Bundling the product: tree-shaken, minified, stamped with how it was built.
 *
 * @module
 */

import type { BuildRoad } from "../version.ts";
import { ROOT } from "./paths.ts";
import { run } from "./process.ts";
import { assertReleasesKept } from "./using.ts";

/** The text of `version.ts` that a build replaces; see there. */
const STAMP = '{"commit":"","road":"source"}';

/** One file, or several that import each other as `./name`. */
export interface Bundle {
  files: Map<string, string>;
  /** Name of the file to start with. */
  entry: string;
}

/**
 * Bundles a program with `deno bundle`.
 *
 * @param main path of the module to start with
 * @param splitting whether dynamic imports become files of their own; otherwise they stay in the one file and
 * are evaluated when first imported
 */
export async function bundle(main: string, splitting: boolean): Promise<Bundle> {
  const options = splitting ? ["--code-splitting"] : [];
  const [files, plain] = await Promise.all([
    bundledFiles(main, ["--minify", ...options]),
    bundledFiles(main, options),
  ]);
  assertReleasesKept(plain.values(), files.values());
  return { files, entry: main.replace(/^.*\//, "").replace(/\.[a-z]+$/, ".js") };
}

/** Name and text of each file that `deno bundle` makes. */
async function bundledFiles(main: string, options: readonly string[]): Promise<Map<string, string>> {
  const folder = await Deno.makeTempDir({ prefix: "kata-bundle-" });
  try {
    await run([Deno.execPath(), "bundle", "--quiet", "--outdir", folder, ...options, main], { cwd: ROOT });
    const files = new Map<string, string>();
    for await (const { name } of Deno.readDir(folder)) {
      files.set(name, await Deno.readTextFile(`${folder}/${name}`));
    }
    return files;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * Writes what `version.ts` says about the build into a bundle.
 *
 * @throws when the place to write to is not there exactly once
 */
export function stamp(files: Map<string, string>, commit: string, road: BuildRoad): Map<string, string> {
  let places = 0;
  const stamped = new Map<string, string>();
  for (const [name, text] of files) {
    const pieces = text.split(STAMP);
    places += pieces.length - 1;
    stamped.set(name, pieces.join(JSON.stringify({ commit, road })));
  }
  if (places !== 1) throw new Error(`the bundle has ${places} places for the build's stamp instead of 1`);
  return stamped;
}

/** The commit that is checked out, with `-dirty` when tracked files differ from it; empty outside a checkout. */
export async function currentCommit(): Promise<string> {
  try {
    const commit = (await run(["git", "rev-parse", "--verify", "--quiet", "HEAD"], { cwd: ROOT })).trim();
    const changes = await run(["git", "status", "--porcelain", "--untracked-files=no"], { cwd: ROOT });
    return changes.trim() === "" ? commit : `${commit}-dirty`;
  } catch {
    return "";
  }
}

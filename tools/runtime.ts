/**
 * The stock runtime program that an executable is sealed from.
 *
 * @module
 */

import type { Architecture } from "../guest/elf.ts";
import { CACHE, ensureDir } from "./paths.ts";
import { run, RunError } from "./process.ts";

/** A stock runtime program. */
export interface RuntimeProgram {
  path: string;
  /** Its version, such as `2.9.6`. */
  version: string;
}

/** npm's package with the runtime of an architecture. */
const PACKAGES: Record<Architecture, string> = {
  x86_64: "@deno/linux-x64-glibc",
  aarch64: "@deno/linux-arm64-glibc",
};

/**
 * Versions to fall back on, newest first, where a registry lacks the running version for an architecture
 * (mirrors often hold only what someone has asked for).
 */
const FALLBACKS = ["2.9.6", "2.9.5", "2.9.4"];

/**
 * The runtime program for an architecture: the running one for its own, npm's for another.
 *
 * The package goes through the runtime's own npm client, which verifies it, into a folder of its own.
 *
 * @throws when no registry has a version that fits
 */
export async function runtimeFor(arch: Architecture): Promise<RuntimeProgram> {
  if (arch === Deno.build.arch) return { path: Deno.execPath(), version: Deno.version.deno };
  const home = await ensureDir(`${CACHE}/runtime`);
  const refusals: string[] = [];
  for (const version of new Set([Deno.version.deno, ...FALLBACKS])) {
    try {
      const path = await fetchFromNpm(PACKAGES[arch], version, home);
      if (version !== Deno.version.deno) {
        console.log(`runtime for ${arch}: ${version} (the registry has no ${Deno.version.deno})`);
      }
      return { path, version };
    } catch (error) {
      if (!(error instanceof RunError)) throw error;
      refusals.push(error.output.trim().split("\n")[0] ?? error.message);
    }
  }
  throw new Error(`cannot get the runtime for ${arch}: ${refusals.join("; ")}`);
}

async function fetchFromNpm(name: string, version: string, home: string): Promise<string> {
  const specifier = `npm:${name}@${version}`;
  const env = { DENO_DIR: home, DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
  const options = ["--quiet", "--no-config", "--no-lock"];
  const path = await findProgram(`${home}/npm`, name, version);
  if (path !== undefined) return path;
  await run([Deno.execPath(), "cache", ...options, specifier], { env });
  const fetched = await findProgram(`${home}/npm`, name, version);
  if (fetched === undefined) throw new RunError(`"${specifier}" holds no program`, "");
  return fetched;
}

/** The cache keeps packages as `npm/<registry>/<package>/<version>`, one folder per registry. */
async function findProgram(npm: string, name: string, version: string): Promise<string | undefined> {
  try {
    for await (const registry of Deno.readDir(npm)) {
      const path = `${npm}/${registry.name}/${name}/${version}/deno`;
      if (await Deno.stat(path).then((info) => info.isFile, () => false)) return path;
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return undefined;
}

/**
 * `deno task build`: makes `dist/kata`, the one executable.
 *
 * `--target x86_64|aarch64` builds for an architecture (`dist/kata-<arch>` unless it is this machine's),
 * `--road compile|seal` insists on one of the two roads, `--out FILE` writes elsewhere.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { type Architecture, MACHINE } from "../guest/elf.ts";
import { bundle, currentCommit } from "./bundle.ts";
import { compileExecutable, type Executable, RunError, sealExecutable } from "./executable.ts";
import { CACHE, DIST, ensureDir, ROOT } from "./paths.ts";
import { runtimeFor } from "./runtime.ts";

/** What to build; everything has a default. */
export interface BuildOptions {
  arch?: Architecture;
  road?: "compile" | "seal";
  out?: string;
  /** Module to build instead of the product, for tests. */
  main?: string;
}

/** What was built. */
export interface BuildResult {
  out: string;
  road: "compile" | "seal";
  /** Whether the file was there already, made from the same input. */
  unchanged: boolean;
}

/** Days for which a failed download is not tried again. */
const RETRY_AFTER_DAYS = 1;

/** Builds the executable by the road asked for, else by the first that this machine can take. */
export async function build(options: BuildOptions = {}): Promise<BuildResult> {
  const arch = options.arch ?? Deno.build.arch;
  const name = arch === Deno.build.arch ? "kata" : `kata-${arch}`;
  const out = options.out ?? `${await ensureDir(DIST)}/${name}`;
  const main = options.main ?? `${ROOT}/main.ts`;
  const executable: Executable = { out, arch, commit: await currentCommit() };

  if (options.road === "compile" || (options.road === undefined && await compileSeemsPossible())) {
    try {
      const done = await compileExecutable(await bundle(main, false), executable);
      return { out, road: "compile", unchanged: !done };
    } catch (error) {
      if (options.road === "compile" || !(error instanceof RunError)) throw error;
      await ensureDir(CACHE);
      await Deno.writeTextFile(noCompilePath(), error.output);
    }
  }
  const done = await sealExecutable(await bundle(main, true), executable, await runtimeFor(arch));
  return { out, road: "seal", unchanged: !done };
}

/** Note that `deno compile` could not get its base program, so that not every build waits for that. */
function noCompilePath(): string {
  return `${CACHE}/no-compile-${Deno.version.deno}`;
}

async function compileSeemsPossible(): Promise<boolean> {
  if (Deno.env.get("DENORT_BIN")) return true;
  try {
    const { mtime } = await Deno.stat(noCompilePath());
    return mtime === null || Date.now() - mtime.getTime() > RETRY_AFTER_DAYS * 86_400_000;
  } catch {
    return true;
  }
}

function parseOptions(args: string[]): BuildOptions {
  const { values } = parseArgs({
    args,
    options: { target: { type: "string" }, road: { type: "string" }, out: { type: "string" } },
  });
  const arch = (Object.keys(MACHINE) as Architecture[]).find((a) => a === values.target);
  if (values.target !== undefined && !arch) {
    throw new RangeError(
      `--target must be one of ${Object.keys(MACHINE).join(", ")}: it is "${values.target}"`,
    );
  }
  const { road } = values;
  if (road !== undefined && road !== "compile" && road !== "seal") {
    throw new RangeError(`--road must be compile or seal: it is "${road}"`);
  }
  return { arch, road, out: values.out };
}

if (import.meta.main) {
  try {
    const started = performance.now();
    const { out, road, unchanged } = await build(parseOptions(Deno.args));
    const { size } = await Deno.stat(out);
    const how = unchanged ? "up to date" : `built in ${((performance.now() - started) / 1000).toFixed(1)} s`;
    const by = road === "seal" ? "sealed" : "compiled";
    console.log(`${out.replace(`${ROOT}/`, "")}: ${by}, ${(size / 2 ** 20).toFixed(1)} MiB, ${how}`);
  } catch (error) {
    console.error(`build: ${error instanceof Error ? error.message : error}`);
    Deno.exit(1);
  }
}

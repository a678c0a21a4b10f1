/**
 * The two roads from a bundle to one executable file.
 *
 * @module
 */

import type { Architecture } from "../guest/elf.ts";
import denoConfig from "../deno.json" with { type: "json" };
import { type Bundle, stamp } from "./bundle.ts";
import { CACHE, digest, ensureDir, identity, replaceFile } from "./paths.ts";
import { run, RunError } from "./process.ts";
import type { RuntimeProgram } from "./runtime.ts";
import { loaderScript } from "./seal/loader.ts";
import { packModules } from "./seal/modules.ts";
import { seal } from "./seal/seal.ts";

/** An executable to make. */
export interface Executable {
  out: string;
  arch: Architecture;
  commit: string;
}

const UNSTABLE = denoConfig.unstable.map((feature) => `--unstable-${feature}`);

/**
 * How V8 works in an executable. A container's way from nothing to its first process is mostly code that runs a few
 * times; compiling that to machine code and collecting its garbage costs more than it saves. In an emulated guest
 * the first process runs 0.4 s sooner this way (225,000 translated blocks of guest code become 201,000). What goes on
 * for long is compiled as ever, some thousand calls later: 20,000 calls over a connection cost the same in all.
 */
const V8_FLAGS = [
  // instead of 4096, 400, 3000, 30, 500, 100
  "--baseline-batch-compilation-threshold=65536",
  "--invocation-count-for-maglev=4000",
  "--invocation-count-for-turbofan=12000",
  "--invocation-count-for-early-optimization=300",
  "--invocation-count-for-osr=5000",
  "--invocation-count-for-maglev-osr=1000",
  // MiB before the first young objects are collected, instead of 1
  "--min-semi-space-size=8",
];

/**
 * Arguments of the runtime in a sealed executable: everything is allowed, and it looks for nothing outside:
 * no configuration, lock file, package or remote module, no cache of any kind.
 */
const RUN_ARGS = [
  "run",
  "--quiet",
  "--allow-all",
  "--no-config",
  "--no-lock",
  "--no-npm",
  "--no-remote",
  "--cached-only",
  "--no-code-cache",
  "--ext=js",
  `--v8-flags=${V8_FLAGS.join(",")}`,
  ...UNSTABLE,
];

/**
 * Environment of the runtime in a sealed executable, taken back before the product's first line runs. The
 * folders cannot exist and cannot be created, so that it neither reads `~/.npmrc` nor keeps anything.
 */
const RUN_SETTINGS: Record<string, string> = {
  HOME: "/proc/self/kata",
  DENO_DIR: "/proc/self/kata",
  DENO_NO_UPDATE_CHECK: "1",
  DENO_DISABLE_NODE_SHIM: "1",
  // on a terminal it would complain about the missing folder
  DENO_LOG: "error,deno::cache::cache_db=off",
};

/** Variables of the caller that would change how the runtime works; `HOME` is given back by the loader. */
const DROPPED = ["DENO_", "HOME="];

/** Triples that `deno compile` knows the architectures by. */
const TRIPLES: Record<Architecture, string> = {
  x86_64: "x86_64-unknown-linux-gnu",
  aarch64: "aarch64-unknown-linux-gnu",
};

/** How long a download of the compile road's base program may take before sealing is the quicker road. */
const COMPILE_TIMEOUT_MS = 20_000;

/**
 * Makes an executable with `deno compile`, unless it is there already.
 *
 * @throws {RunError} when the base program (`denort`) is neither given by `DENORT_BIN`, nor cached, nor to be
 * downloaded soon
 * @returns whether anything had to be done
 */
export async function compileExecutable(bundle: Bundle, executable: Executable): Promise<boolean> {
  const { out, arch, commit } = executable;
  const text = stamp(bundle.files, commit, "compiled").get(bundle.entry);
  if (text === undefined) throw new Error(`the bundle has no file "${bundle.entry}"`);
  const args = ["--quiet", "--allow-all", "--no-config", "--no-lock", "--no-check", "--no-code-cache"];
  // the text is minified already, and was checked for releases that a minifier drops (`using.ts`): not once more
  args.push(...UNSTABLE, `--v8-flags=${V8_FLAGS.join(",")}`, "--bundle", "--target", TRIPLES[arch]);

  const base = Deno.env.get("DENORT_BIN");
  const key = await digest(
    "compile",
    text,
    Deno.version.deno,
    args.join(" "),
    base ? await identity(base) : "",
  );
  if (await isCurrent(out, key)) return false;

  const folder = await Deno.makeTempDir({ prefix: "kata-compile-" });
  try {
    await Deno.writeTextFile(`${folder}/kata.js`, text);
    const output = `${folder}/kata`;
    await run([Deno.execPath(), "compile", ...args, "--output", output, `${folder}/kata.js`], {
      timeoutMs: COMPILE_TIMEOUT_MS,
    });
    await replaceFile(out, await Deno.readFile(output), 0o755);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  await remember(out, key);
  return true;
}

/**
 * Makes an executable by sealing, unless it is there already.
 *
 * @param bundle split at dynamic imports
 * @returns whether anything had to be done
 */
export async function sealExecutable(
  bundle: Bundle,
  executable: Executable,
  runtime: RuntimeProgram,
): Promise<boolean> {
  const { out, commit } = executable;
  const modules = packModules(stamp(bundle.files, commit, "sealed"), bundle.entry);
  const script = (offset: number): string => {
    const index = Object.fromEntries(
      Object.entries(modules.index).map((
        [name, [at, size]],
      ) => [name, [offset + at, size] as [number, number]]),
    );
    return loaderScript(index, modules.entry, Object.keys(RUN_SETTINGS));
  };
  const settings = Object.entries(RUN_SETTINGS).map(([name, value]) => `${name}=${value}`);

  const words = [...RUN_ARGS, ...settings, ...DROPPED].join(" ");
  const tools = await Promise.all(
    ["seal.ts", "layout.ts", "entry_x86_64.ts", "entry_aarch64.ts"].map((name) =>
      Deno.readTextFile(new URL(`seal/${name}`, import.meta.url))
    ),
  );
  const text = new TextDecoder().decode(modules.bytes);
  const key = await digest("seal", text, script(0), words, await identity(runtime.path), ...tools);
  if (await isCurrent(out, key)) return false;

  const sealed = seal({
    base: await Deno.readFile(runtime.path),
    baseName: runtime.path,
    modules: modules.bytes,
    script,
    args: RUN_ARGS,
    settings,
    dropped: DROPPED,
  });
  await replaceFile(out, sealed, 0o755);
  await remember(out, key);
  return true;
}

function memoryOf(out: string): string {
  return `${CACHE}/build/${out.replace(/^.*\//, "")}.json`;
}

/** Whether `out` is what the last build with this key wrote. */
async function isCurrent(out: string, key: string): Promise<boolean> {
  try {
    const memory: unknown = JSON.parse(await Deno.readTextFile(memoryOf(out)));
    return JSON.stringify(memory) === JSON.stringify({ key, file: await identity(out) });
  } catch {
    return false;
  }
}

async function remember(out: string, key: string): Promise<void> {
  await ensureDir(`${CACHE}/build`);
  await replaceFile(memoryOf(out), JSON.stringify({ key, file: await identity(out) }));
}

export { RunError };

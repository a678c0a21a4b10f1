/**
 * Writes `rpc/gen/*_pb.ts` from `rpc/proto/*.proto` with protoc and protoc-gen-es; with `--check` it only
 * compares, and fails when a generated file is not what its source asks for.
 *
 * The well-known types have own copies in `rpc/proto/google/`, so that protoc alone is enough and no
 * development package is needed; their generated code comes from `@bufbuild/protobuf/wkt`.
 */

import { dirname, join } from "node:path";

/** Must equal the version of `@bufbuild/protobuf` in deno.json: generator and library go together. */
const PLUGIN = "npm:@bufbuild/protoc-gen-es@2.17.0";
const OPTIONS = "target=ts,import_extension=ts";

const root = join(import.meta.dirname ?? ".", "..");
const protoDir = join(root, "rpc", "proto");
const genDir = join(root, "rpc", "gen");

/** Names of the own .proto files, relative to `rpc/proto`; the well-known types need no generated code. */
function sources(): string[] {
  const names = [...Deno.readDirSync(protoDir)].filter((e) => e.isFile).map((e) => e.name);
  return [...names.filter((name) => name.endsWith(".proto")).sort(), "google/rpc/status.proto"];
}

/** Runs protoc into `out`, which must exist. */
async function generate(out: string): Promise<void> {
  const scratch = await Deno.makeTempDir({ prefix: "kata-gen-" });
  try {
    const plugin = join(scratch, "protoc-gen-es");
    await Deno.writeTextFile(plugin, `#!/bin/sh\nexec "${Deno.execPath()}" run --quiet -A ${PLUGIN} "$@"\n`);
    await Deno.chmod(plugin, 0o755);
    const { code } = await new Deno.Command("protoc", {
      args: [`--plugin=${plugin}`, `--proto_path=${protoDir}`, `--es_out=${OPTIONS}:${out}`, ...sources()],
      // away from the project's deno.json, so that the plugin does not enter its lock file
      cwd: scratch,
    }).spawn().status;
    if (code !== 0) throw new Error(`protoc failed with exit code ${code}`);
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

/** All files below `dir` with their text, by relative path. */
function read(dir: string, below = ""): Map<string, string> {
  const files = new Map<string, string>();
  for (const entry of Deno.readDirSync(join(dir, below))) {
    const path = join(below, entry.name);
    if (entry.isDirectory) read(dir, path).forEach((text, name) => files.set(name, text));
    else files.set(path, Deno.readTextFileSync(join(dir, path)));
  }
  return files;
}

/** Calls `use` with a folder that holds a fresh run, and removes the folder. */
async function withFresh<T>(use: (dir: string) => Promise<T> | T): Promise<T> {
  const out = await Deno.makeTempDir({ dir: join(root, "rpc"), prefix: ".gen-" });
  try {
    await generate(out);
    return await use(out);
  } finally {
    await Deno.remove(out, { recursive: true });
  }
}

/** Names of files in `rpc/gen` that differ from those in `dir`. */
function stale(dir: string): string[] {
  const fresh = read(dir);
  const kept = read(genDir);
  const names = new Set([...fresh.keys(), ...kept.keys()]);
  return [...names].filter((name) => fresh.get(name) !== kept.get(name)).sort();
}

/** Puts the files of `dir` in place of `rpc/gen`. */
async function replace(dir: string): Promise<void> {
  await Deno.remove(genDir, { recursive: true }).catch(() => {});
  for (const [name, text] of read(dir)) {
    await Deno.mkdir(dirname(join(genDir, name)), { recursive: true });
    await Deno.writeTextFile(join(genDir, name), text);
  }
}

if (Deno.args.includes("--check")) {
  const names = await withFresh(stale);
  if (names.length > 0) {
    console.error(`rpc/gen is not up to date, run "deno task gen": ${names.join(", ")}`);
    Deno.exit(1);
  }
} else {
  await withFresh(replace);
}

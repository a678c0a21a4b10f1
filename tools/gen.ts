/**
 * Writes `rpc/gen/*_pb.ts` from `rpc/proto/*.proto`; with `--check` it only compares, and fails when a generated
 * file is not what its source asks for.
 *
 * protoc parses the sources into descriptors, protobuf-es reads those and names things, and the printer below
 * writes types and the tables of `rpc/message.ts`. The well-known types have own copies in `rpc/proto/google/`, so
 * that protoc alone is enough and no development package is needed.
 */

import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { type FileDescriptorSet, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { dirname, join } from "node:path";
import { printFile } from "./gen_print.ts";

const root = join(import.meta.dirname ?? ".", "..");
const protoDir = join(root, "rpc", "proto");
const genDir = join(root, "rpc", "gen");

/** Files below `dir` by relative path. */
function read(dir: string, below = ""): Map<string, string> {
  const files = new Map<string, string>();
  for (const entry of Deno.readDirSync(join(dir, below))) {
    const path = join(below, entry.name);
    if (entry.isDirectory) read(dir, path).forEach((text, name) => files.set(name, text));
    else files.set(path, Deno.readTextFileSync(join(dir, path)));
  }
  return files;
}

async function protoc(args: string[]): Promise<Deno.CommandStatus> {
  try {
    return await new Deno.Command("protoc", { args }).spawn().status;
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new Error("protoc is not installed: it is in the package protobuf-compiler", { cause });
  }
}

/** Descriptors of all sources. */
async function compile(): Promise<FileDescriptorSet> {
  const out = await Deno.makeTempFile({ prefix: "kata-gen-" });
  try {
    const sources = [...read(protoDir).keys()].sort();
    const args = [
      `--proto_path=${protoDir}`,
      "--include_source_info",
      `--descriptor_set_out=${out}`,
      ...sources,
    ];
    const { code } = await protoc(args);
    if (code !== 0) throw new Error(`protoc failed with exit code ${code}`);
    return fromBinary(FileDescriptorSetSchema, await Deno.readFile(out));
  } finally {
    await Deno.remove(out);
  }
}

/** Text of every generated file by its path in `rpc/gen`. */
async function generate(): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const file of createFileRegistry(await compile()).files) {
    files.set(`${file.name}_pb.ts`, printFile(file));
  }
  return files;
}

const fresh = await generate();
const kept = await Deno.stat(genDir).then(() => read(genDir), () => new Map<string, string>());
const stale = [...new Set([...fresh.keys(), ...kept.keys()])].filter((name) =>
  fresh.get(name) !== kept.get(name)
);
if (Deno.args.includes("--check")) {
  if (stale.length > 0) {
    console.error(`rpc/gen is not up to date, run "deno task gen": ${stale.sort().join(", ")}`);
    Deno.exit(1);
  }
} else {
  for (const name of stale) {
    const text = fresh.get(name);
    if (text === undefined) await Deno.remove(join(genDir, name));
    else {
      await Deno.mkdir(dirname(join(genDir, name)), { recursive: true });
      await Deno.writeTextFile(join(genDir, name), text);
    }
  }
}

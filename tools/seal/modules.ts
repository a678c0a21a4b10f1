/**
 * Turns bundled modules into functions that {@linkcode boot} of `loader.ts` can evaluate.
 *
 * The bundler writes one file per role and per piece that roles share, each with its imports at the top and
 * its exports at the end; a piece is never imported by what it imports. Hence a module becomes
 * `function (load, import) { const {a: x} = load("piece"); …; return {y: x} }`. An exported binding is read
 * when the importer starts, so it must not change afterwards.
 *
 * @module
 */

import type { ModuleIndex } from "./loader.ts";

/** A bundled file that cannot be a module of a sealed executable. */
export class ModuleError extends Error {
  override readonly name = "ModuleError";
}

/** Modules, ready to be put into an executable. */
export interface PackedModules {
  /** All modules' texts, back to back. */
  bytes: Uint8Array;
  /** Where each is in `bytes`. */
  index: ModuleIndex;
  /** Name of the module to start with. */
  entry: string;
}

const LOAD = "__kata_load";
const IMPORT = "__kata_import";

const STATIC_IMPORT = /^import(?:\{([^}]*)\}from)?"\.\/([^"]+)";/;
const EXPORTS = /export\{([^}]*)\};?\s*((?:\/\*[\s\S]*?\*\/\s*|\/\/[^\n]*\s*)*)$/;
const OUTSIDE_IMPORT = /\bimport\s*(?:[\w$*{][^;"'()]*?\bfrom\s*)?["']([a-z]+:[^"']+)["']/;

/**
 * Packs bundled files.
 *
 * @param files name (as in `import "./name"`) and text of each
 * @param entry name of the one to start with
 * @throws {ModuleError} when a file does what only a module loaded by the runtime can do
 */
export function packModules(files: ReadonlyMap<string, string>, entry: string): PackedModules {
  const names = shortNames(files, entry);
  const index: ModuleIndex = {};
  const parts: Uint8Array[] = [];
  let size = 0;
  for (const [file, name] of names) {
    const part = new TextEncoder().encode(toFunction(file, files.get(file) ?? "", names));
    index[name] = [size, part.length];
    parts.push(part);
    size += part.length;
  }
  const bytes = new Uint8Array(size);
  parts.forEach((part, i) => bytes.set(part, Object.values(index)[i]?.[0]));
  return { bytes, index, entry: names.get(entry) ?? entry };
}

/** Names that do not depend on where the sources lie: numbered in the order of first mention. */
function shortNames(files: ReadonlyMap<string, string>, entry: string): Map<string, string> {
  const names = new Map<string, string>();
  const queue = [entry];
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    if (names.has(file)) continue;
    const text = files.get(file);
    if (text === undefined) throw new ModuleError(`bundled file "${file}" is missing`);
    names.set(file, `${names.size}-${file.replace(/(-[A-Z0-9]{8})?\.js$/, "")}`);
    for (const [, mentioned] of text.matchAll(/(?:from|import\(|import)"\.\/([^"]+)"/g)) {
      if (mentioned !== undefined && files.has(mentioned)) queue.push(mentioned);
    }
  }
  return names;
}

/** One file as the text of a function expression. */
function toFunction(file: string, text: string, names: ReadonlyMap<string, string>): string {
  let body = text;
  let head = "";
  for (let match = STATIC_IMPORT.exec(body); match; match = STATIC_IMPORT.exec(body)) {
    const [statement, bindings = "", from = ""] = match;
    const loaded = `${LOAD}(${JSON.stringify(names.get(from))});`;
    head += bindings === "" ? loaded : `const{${bindings.replaceAll(" as ", ":")}}=${loaded}`;
    body = body.slice(statement.length);
  }
  const exported = EXPORTS.exec(body);
  let tail = "return{}";
  let notices = "";
  if (exported) {
    const pairs = (exported[1] ?? "").split(",").filter((pair) => pair !== "").map((pair) => {
      const [local, name] = pair.split(" as ");
      return name === undefined ? local : `${name}:${local}`;
    });
    tail = `return{${pairs.join(",")}}`;
    notices = exported[2] ?? "";
    body = body.slice(0, exported.index);
  }
  for (const [name, short] of names) {
    body = body.replaceAll(`import("./${name}")`, `${IMPORT}(${JSON.stringify(short)})`);
  }
  const result = `(function(${LOAD},${IMPORT}){"use strict";${head}${body}\n${tail}})\n${notices}` +
    `//# sourceURL=kata:${names.get(file)}\n`;
  assertEvaluates(file, result);
  return result;
}

/** Compiles the text without running it, so that what a function cannot hold is found by the build. */
function assertEvaluates(file: string, text: string): void {
  try {
    new Function(`return ${text}`);
  } catch (error) {
    const outside = OUTSIDE_IMPORT.exec(text)?.[1];
    throw new ModuleError(
      outside === undefined
        ? `bundled file "${file}" holds what only a module of its own can (top-level await, import.meta): ${error}`
        : `bundled file "${file}" imports "${outside}" at its top, which every start would pay for: ` +
          "use a dynamic import where it is needed",
    );
  }
}

/**
 * The two forms in which `kata-runtime env` prints its tree.
 *
 * @module
 */

import type { Tree } from "./tree.ts";

/** JSON, two spaces deep; what would be markup in a web page is escaped. */
export function envJson(tree: Tree): string {
  const escape = (letter: string) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return `${JSON.stringify(tree, undefined, 2).replace(/[<>&\u2028\u2029]/g, escape)}\n`;
}

/** TOML: top tables with an empty line between them, keys before sub-tables, two spaces deeper at each level. */
export function envToml(tree: Tree): string {
  const tables = Object.entries(tree).flatMap(([name, value]) =>
    isTree(value) ? [table(name, value, 0)] : []
  );
  return tables.map((lines) => lines.map((line) => `${line}\n`).join("")).join("\n");
}

function table(name: string, tree: Tree, depth: number): string[] {
  const indent = "  ".repeat(depth);
  const entries = Object.entries(tree);
  const keys = entries.flatMap(([key, value]) => {
    const shown = scalar(value);
    return shown === undefined ? [] : [`${indent}  ${key} = ${shown}`];
  });
  const inner = entries.flatMap(([key, value]) =>
    isTree(value) ? table(`${name}.${key}`, value, depth + 1) : []
  );
  return [`${indent}[${name}]`, ...keys, ...inner];
}

/** A value on one line; undefined for tables, and for what is left out. */
function scalar(value: Tree[string]): string | undefined {
  if (value === null || isTree(value)) return undefined;
  if (isList(value)) return value.length === 0 ? undefined : `[${value.map(quoted).join(", ")}]`;
  return typeof value === "string" ? quoted(value) : String(value);
}

/** JSON's escapes are TOML's, but for the one that JSON lets through. */
function quoted(text: string): string {
  return JSON.stringify(text).replaceAll("\x7f", "\\u007f");
}

function isList(value: Tree[string]): value is readonly string[] {
  return Array.isArray(value);
}

function isTree(value: Tree[string]): value is Tree {
  return typeof value === "object" && value !== null && !isList(value);
}

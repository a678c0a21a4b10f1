/**
 * The layering rule, as functions from what modules import and say to sentences about what is wrong.
 *
 * @module
 */

/** A module of the repository. */
export interface Module {
  /** Path in the repository. */
  readonly path: string;
  readonly imports: readonly Import[];
  readonly text: string;
}

/** An import of another module. */
export interface Import {
  /** Path in the repository, or the specifier of what is not in it, such as `node:path`. */
  readonly of: string;
  /** Whether it is an `import()`, which costs nothing until it is reached. */
  readonly isDynamic: boolean;
}

const BELOW_HOST = ["config", "oci", "rpc", "sys"];

/**
 * The layers, and what each may import besides itself; the agent's command is a layer apart from the other commands.
 * `version.ts` is for everyone.
 */
export const LAYERS: Readonly<Record<string, readonly string[]>> = {
  "main.ts": ["cmd", "cmd/agent"],
  "cmd": ["sandbox", "vm", "net", "fs", "guest", ...BELOW_HOST],
  "cmd/agent": ["agent", "oci", "rpc", "sys"],
  "sandbox": ["vm", "net", "fs", ...BELOW_HOST],
  "vm": BELOW_HOST,
  "net": BELOW_HOST,
  "fs": BELOW_HOST,
  "agent": ["oci", "rpc", "sys"],
  "guest": ["sys"],
  "config": ["oci", "rpc", "sys"],
  "oci": ["rpc", "sys"],
  "rpc": ["sys"],
  "sys": [],
  "version.ts": [],
};

/** Borders that no chain of static imports may cross either: the two sides of the wire. */
const SIDES: readonly { readonly from: string; readonly not: readonly string[] }[] = [
  { from: "cmd/agent", not: ["cmd", "sandbox", "vm", "net", "fs", "config", "guest"] },
  { from: "cmd", not: ["agent"] },
];

/** Command lines name other roles too (`kata-runtime agent`): they load them when asked, never before. */
const LOADED_WHEN_ASKED = new Map([["cmd", "cmd/agent"]]);

/** Programs for developers that stand beside the code they are about. */
const FOR_DEVELOPERS = new Set(["sys/native/regenerate.ts", "sys/native/run_alone.ts"]);

/** Native calls and raw memory: only `sys/` knows how to make them safe. */
const NATIVE = /\bDeno\s*\??\.\s*(dlopen|Unsafe\w*)/;
/** Children are started by `sys/launch.ts` and reaped by pidfd. */
const COMMAND = /\bDeno\s*\??\.\s*Command\b/;
/** `Deno` as a value of its own: what is done with that cannot be read off the text. */
const ALIAS = /\bDeno\b[ \t]*([[\](){},;]|\?\?|\|\||&&|as\b|satisfies\b|$(?!\s*\??\.))/m;
/** Switches off the linter's rule against `any`, or all its rules. */
const ANY_ALLOWED = /deno-lint-ignore(-file)?(?=[^\n]*\bno-explicit-any\b|[ \t]*(--[^\n]*)?(\n|$))/;

/** The layer of a path, or undefined for what is no part of the product. */
export function layerOf(path: string): string | undefined {
  if (/^cmd\/agent(\.ts$|\/)/.test(path)) return "cmd/agent";
  const first = path.split("/")[0] ?? "";
  return first in LAYERS ? first : undefined;
}

/** Whether a module is there for tests or developers, and no part of the product. */
export function isSupport(path: string): boolean {
  return /(^|\/)(testing|testdata)\/|_test\.ts$|(^|\/)test_[^/]*\.ts$/.test(path) || FOR_DEVELOPERS.has(path);
}

/** Everything in which the product's modules break the rule, a sentence each. */
export function violations(modules: readonly Module[]): string[] {
  const product = modules.filter(({ path }) => layerOf(path) !== undefined && !isSupport(path));
  return [
    ...product.flatMap(wrongImports),
    ...product.flatMap(wrongWords),
    ...eagerRoles(product),
    ...crossings(product),
  ];
}

/** Imports that lead up, aside, or out of the product. */
function wrongImports({ path, imports }: Module): string[] {
  const layer = layerOf(path) ?? "";
  const allowed = [layer, "version.ts", ...LAYERS[layer] ?? []];
  return imports.flatMap(({ of, isDynamic }) => {
    if (/^[a-z]+:/.test(of)) {
      return of === "node:child_process" ? [`"${path}" imports "${of}": children are started by sys/`] : [];
    }
    if (isSupport(of)) return [`"${path}" imports "${of}", which is for tests`];
    const target = layerOf(of);
    if (target === undefined) return [`"${path}" imports "${of}", which is no part of the product`];
    if (allowed.includes(target) || isDynamic && LOADED_WHEN_ASKED.get(layer) === target) return [];
    return [`"${path}" imports "${of}": ${layer} may not import ${target}`];
  });
}

/** What only some modules may say. */
function wrongWords({ path, text }: Module): string[] {
  const code = text.split("\n").filter((line) => !/^\s*(\/\/|\/?\*)/.test(line)).join("\n");
  const found: string[] = [];
  if (COMMAND.test(code)) found.push(`"${path}" uses Deno.Command: children are started by sys/`);
  if (ALIAS.test(code)) found.push(`"${path}" uses "Deno" without naming a member of it`);
  if (layerOf(path) === "sys") return found;
  const native = NATIVE.exec(code);
  if (native) found.push(`"${path}" uses Deno.${native[1]}, which only sys/ may`);
  if (ANY_ALLOWED.test(text)) found.push(`"${path}" lets "any" pass the linter, which only sys/ may`);
  return found;
}

/** `main.ts` chooses a role; it may load none of them before it has chosen. */
function eagerRoles(modules: readonly Module[]): string[] {
  return [...reachable("main.ts", modules).keys()]
    .filter((path) => !["main.ts", "cmd/role.ts", "version.ts"].includes(path))
    .map((path) => `"main.ts" loads "${path}" before it has chosen a role`);
}

/** Chains of static imports that lead from one side of the wire to the other. */
function crossings(modules: readonly Module[]): string[] {
  return SIDES.flatMap(({ from, not }) =>
    modules.filter(({ path }) => layerOf(path) === from).flatMap(({ path: start }) => {
      const reached = reachable(start, modules);
      const wrong = [...reached.keys()].find((path) => not.includes(layerOf(path) ?? ""));
      return wrong === undefined ? [] : [`"${start}" leads to "${wrong}": ${chain(wrong, reached)}`];
    })
  );
}

/** Modules that static imports lead to, each with the one through which it was found first. */
function reachable(start: string, modules: readonly Module[]): Map<string, string> {
  const byPath = new Map(modules.map((module) => [module.path, module]));
  const found = new Map([[start, ""]]);
  for (const path of found.keys()) {
    for (const { of, isDynamic } of byPath.get(path)?.imports ?? []) {
      if (!isDynamic && byPath.has(of) && !found.has(of)) found.set(of, path);
    }
  }
  return found;
}

function chain(end: string, found: ReadonlyMap<string, string>): string {
  const steps = [end];
  for (let path = found.get(end); path; path = found.get(path)) steps.unshift(path);
  return steps.join(" → ");
}

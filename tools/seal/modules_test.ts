import assert from "node:assert/strict";
import { ModuleError, packModules } from "./modules.ts";

/** Runs packed modules as the loader of an executable does, and returns what the entry module exports. */
function load(files: Record<string, string>, entry: string): unknown {
  const { bytes, index, entry: name } = packModules(new Map(Object.entries(files)), entry);
  const loaded = new Map<string, unknown>();
  const loadModule = (module: string): unknown => {
    const place = index[module];
    assert.ok(place, `module "${module}" has a place`);
    if (!loaded.has(module)) {
      const text = new TextDecoder().decode(bytes.subarray(place[0], place[0] + place[1]));
      const evaluate: (...args: unknown[]) => unknown = (0, eval)(text);
      loaded.set(module, evaluate(loadModule, (m: string) => Promise.resolve(loadModule(m))));
    }
    return loaded.get(module);
  };
  return loadModule(name);
}

Deno.test("imports, renamed imports and exports are linked", () => {
  const exports = load({
    "main.js": `import{a as x,b}from"./chunk-AAAAAAAA.js";var r=x+b;export{r as sum,x as default};\n`,
    "chunk-AAAAAAAA.js": `var q=1,b=2;export{q as a,b};\n`,
  }, "main.js");
  assert.deepEqual(exports, { sum: 3, default: 1 });
});

Deno.test("a piece that two modules share is evaluated once", async () => {
  const exports = load({
    "main.js": `import"./side-BBBBBBBB.js";import{a}from"./chunk-AAAAAAAA.js";` +
      `async function l(){return(await import("./late-CCCCCCCC.js")).value}export{a as first,l as later};`,
    "chunk-AAAAAAAA.js": `globalThis.__count=(globalThis.__count??0)+1;var a=globalThis.__count;export{a};`,
    "side-BBBBBBBB.js": `import{a}from"./chunk-AAAAAAAA.js";void a;`,
    "late-CCCCCCCC.js": `import{a}from"./chunk-AAAAAAAA.js";var v=a*10;export{v as value};`,
  }, "main.js") as { first: number; later: () => Promise<number> };
  assert.equal(exports.first, 1);
  assert.equal(await exports.later(), 10);
  Reflect.deleteProperty(globalThis, "__count");
});

Deno.test("modules are strict code without a this", () => {
  const exports = load({
    "main.js": `var t=(function(){return this})();export{t as self};`,
  }, "main.js");
  assert.deepEqual(exports, { self: undefined });
});

Deno.test("licence notices behind the exports are kept", () => {
  const { bytes } = packModules(
    new Map([["main.js", `var a=1;export{a};\n/*! some licence */\n// and a line\n`]]),
    "main.js",
  );
  assert.match(new TextDecoder().decode(bytes), /some licence[\s\S]*and a line/);
});

Deno.test("names do not depend on the bundler's hashes", () => {
  const pack = (hash: string): unknown =>
    packModules(
      new Map([
        ["main.js", `import{a}from"./chunk-${hash}.js";console.log(a);`],
        [`chunk-${hash}.js`, `var a=1;export{a};`],
      ]),
      "main.js",
    );
  assert.deepEqual(pack("AAAAAAAA"), pack("BBBBBBBB"));
});

const REFUSED: [what: string, text: string, message: RegExp][] = [
  [
    "a static import of the runtime's own modules",
    `import z from"node:zlib";z();`,
    /imports "node:zlib" at its top/,
  ],
  ["the same for its effects only", `import"node:process";`, /imports "node:process" at its top/],
  ["top-level await", `await 1;`, /top-level await/],
  ["import.meta", `console.log(import.meta.url);`, /import\.meta/],
];

for (const [what, text, message] of REFUSED) {
  Deno.test(`${what} cannot be sealed`, () => {
    assert.throws(() => packModules(new Map([["main.js", text]]), "main.js"), (error: unknown) => {
      assert.ok(error instanceof ModuleError);
      assert.match(error.message, message);
      return true;
    });
  });
}

Deno.test("a mention of an import inside a string is no import", () => {
  assert.deepEqual(load({ "main.js": `var a='x = import "node:zlib"'.length;export{a};` }, "main.js"), {
    a: 22,
  });
});

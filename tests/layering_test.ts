import assert from "node:assert/strict";
import { ROOT } from "../tools/paths.ts";
import { run } from "../tools/process.ts";
import { type Import, isSupport, layerOf, LAYERS, type Module, violations } from "./layering.ts";

/** What `deno info --json` says, as far as it is needed here. */
interface Info {
  modules: {
    specifier: string;
    error?: string;
    dependencies?: { isDynamic?: boolean; code?: Resolved; type?: Resolved }[];
  }[];
}

interface Resolved {
  specifier?: string;
  error?: string;
}

const HERE = `file://${ROOT}/`;

/** The modules that are reached from a module of the repository. */
async function graphOf(entry: string): Promise<Module[]> {
  const config = `--config=${ROOT}/deno.json`;
  const info: Info = JSON.parse(await run([Deno.execPath(), "info", "--json", config, entry], { cwd: ROOT }));
  const local = info.modules.filter(({ specifier }) => specifier.startsWith(HERE));
  return await Promise.all(local.map(async ({ specifier, error, dependencies = [] }) => {
    assert.equal(error, undefined, specifier);
    const path = specifier.slice(HERE.length);
    const imports = dependencies.flatMap(({ code, type, isDynamic = false }): Import[] =>
      [code, type].flatMap((resolved) => {
        assert.equal(resolved?.error, undefined, path);
        const of = resolved?.specifier;
        return of === undefined ? [] : [{ of: of.replace(HERE, ""), isDynamic }];
      })
    );
    return { path, imports, text: await Deno.readTextFile(`${ROOT}/${path}`) };
  }));
}

/** All files of the product, whether anything imports them or not. */
async function productFiles(): Promise<string[]> {
  const found: string[] = [];
  const walk = async (path: string): Promise<void> => {
    for await (const entry of Deno.readDir(`${ROOT}/${path}`)) {
      const inner = `${path}/${entry.name}`;
      if (entry.isDirectory) await walk(inner);
      else if (inner.endsWith(".ts") && !isSupport(inner)) found.push(inner);
    }
  };
  for (const layer of new Set(Object.keys(LAYERS).map((layer) => layer.split("/")[0] ?? ""))) {
    if (layer.endsWith(".ts")) found.push(layer);
    else if (await Deno.stat(`${ROOT}/${layer}`).then(() => true, () => false)) await walk(layer);
  }
  return found.sort();
}

Deno.test("what main.ts reaches keeps to the layers", async () => {
  const modules = await graphOf("main.ts");
  assert.deepEqual(violations(modules), []);
  for (const { path } of modules) {
    assert.ok(layerOf(path) !== undefined && !isSupport(path), `"${path}" is no part of the product`);
  }
  for (const role of ["cmd/agent.ts", "cmd/shim/main.ts", "cmd/runtime/main.ts", "sys/syscall.ts"]) {
    assert.ok(modules.some(({ path }) => path === role), `"${role}" is reached`);
  }
});

Deno.test("what nothing imports keeps to the layers too", async () => {
  const files = await productFiles();
  const entry = await Deno.makeTempFile({ prefix: "kata-layers-", suffix: ".ts" });
  try {
    await Deno.writeTextFile(entry, files.map((path) => `import ${JSON.stringify(HERE + path)};\n`).join(""));
    const modules = await graphOf(entry);
    const known = new Set(modules.map(({ path }) => path));
    assert.deepEqual(files.filter((path) => !known.has(path)), []);
    assert.deepEqual(violations(modules), []);
  } finally {
    await Deno.remove(entry);
  }
});

/** A module that imports others: `!` before a path stands for an `import()`. */
function module(path: string, imports: readonly string[] = [], text = ""): Module {
  return {
    path,
    imports: imports.map((of) => ({ of: of.replace("!", ""), isDynamic: of.startsWith("!") })),
    text,
  };
}

const ALLOWED: readonly (readonly [title: string, modules: readonly Module[]])[] = [
  ["down", [module("sandbox/a.ts", ["vm/b.ts", "fs/c.ts", "rpc/d.ts", "sys/e.ts", "version.ts"])]],
  ["within a layer", [module("vm/qemu/a.ts", ["vm/vmm.ts"]), module("sys/a.ts", ["sys/b.ts"])]],
  ["roles on demand", [module("main.ts", ["cmd/role.ts", "!cmd/shim/main.ts", "!cmd/agent.ts"])]],
  ["another role on demand", [
    module("cmd/runtime/a.ts", ["!cmd/agent.ts"]),
    module("cmd/agent.ts", ["agent/b.ts"]),
  ]],
  ["libraries", [module("config/a.ts", ["npm:smol-toml@1.9.1", "node:path"])]],
  ["tests", [module("sys/a_test.ts", ["sandbox/b.ts"], "new Deno.Command('x')")]],
  ["native calls in sys/", [module("sys/a.ts", [], "Deno.dlopen(x); Deno.UnsafePointer.of(x);")]],
  ["comments", [module("vm/a.ts", [], "/**\n * Not by Deno.Command, as Deno waits.\n */\n// Deno.dlopen\n")]],
  ["the name in a text", [module("cmd/a.ts", [], "`by Deno ${Deno.version.deno}`")]],
  ["another lint rule", [module("vm/a.ts", [], "// deno-lint-ignore no-control-regex\n")]],
];

for (const [title, modules] of ALLOWED) {
  Deno.test(`the rule allows: ${title}`, () => assert.deepEqual(violations(modules), []));
}

const FORBIDDEN: readonly (readonly [modules: readonly Module[], sentence: string])[] = [
  [[module("sys/a.ts", ["rpc/b.ts"])], `"sys/a.ts" imports "rpc/b.ts": sys may not import rpc`],
  [[module("vm/a.ts", ["fs/b.ts"])], `"vm/a.ts" imports "fs/b.ts": vm may not import fs`],
  [[module("net/a.ts", ["vm/b.ts"])], `"net/a.ts" imports "vm/b.ts": net may not import vm`],
  [[module("fs/a.ts", ["!net/b.ts"])], `"fs/a.ts" imports "net/b.ts": fs may not import net`],
  [[module("rpc/a.ts", ["oci/b.ts"])], `"rpc/a.ts" imports "oci/b.ts": rpc may not import oci`],
  [
    [module("sandbox/a.ts", ["cmd/shim/b.ts"])],
    `"sandbox/a.ts" imports "cmd/shim/b.ts": sandbox may not import cmd`,
  ],
  [
    [module("agent/a.ts", ["config/b.ts"])],
    `"agent/a.ts" imports "config/b.ts": agent may not import config`,
  ],
  [
    [module("agent/a.ts", ["sandbox/b.ts"])],
    `"agent/a.ts" imports "sandbox/b.ts": agent may not import sandbox`,
  ],
  [
    [module("sandbox/a.ts", ["agent/b.ts"])],
    `"sandbox/a.ts" imports "agent/b.ts": sandbox may not import agent`,
  ],
  [
    [module("cmd/shim/a.ts", ["agent/b.ts"])],
    `"cmd/shim/a.ts" imports "agent/b.ts": cmd may not import agent`,
  ],
  [[module("cmd/a.ts", ["cmd/agent.ts"])], `"cmd/a.ts" imports "cmd/agent.ts": cmd may not import cmd/agent`],
  [[module("cmd/agent.ts", ["cmd/b.ts"])], `"cmd/agent.ts" imports "cmd/b.ts": cmd/agent may not import cmd`],
  [[module("vm/a.ts", ["tools/b.ts"])], `"vm/a.ts" imports "tools/b.ts", which is no part of the product`],
  [[module("vm/a.ts", ["vm/testing/b.ts"])], `"vm/a.ts" imports "vm/testing/b.ts", which is for tests`],
  [[module("sys/a.ts", ["sys/test_b.ts"])], `"sys/a.ts" imports "sys/test_b.ts", which is for tests`],
  [
    [module("vm/a.ts", ["node:child_process"])],
    `"vm/a.ts" imports "node:child_process": children are started by sys/`,
  ],
  [
    [module("sys/a.ts", [], "new Deno.Command('x')")],
    `"sys/a.ts" uses Deno.Command: children are started by sys/`,
  ],
  [[module("vm/a.ts", [], "x = Deno\n  .dlopen(y)")], `"vm/a.ts" uses Deno.dlopen, which only sys/ may`],
  [
    [module("vm/a.ts", [], "f(a: Deno.UnsafePointer)")],
    `"vm/a.ts" uses Deno.UnsafePointer, which only sys/ may`,
  ],
  [
    [module("vm/a.ts", [], "const { dlopen } = Deno;")],
    `"vm/a.ts" uses "Deno" without naming a member of it`,
  ],
  [[module("vm/a.ts", [], `Deno["dlopen"]`)], `"vm/a.ts" uses "Deno" without naming a member of it`],
  [
    [module("vm/a.ts", [], "// deno-lint-ignore no-explicit-any\n")],
    `"vm/a.ts" lets "any" pass the linter, which only sys/ may`,
  ],
  [
    [module("vm/a.ts", [], "// deno-lint-ignore-file -- generated\n")],
    `"vm/a.ts" lets "any" pass the linter, which only sys/ may`,
  ],
  [
    [module("main.ts", ["cmd/role.ts"]), module("cmd/role.ts", ["sys/b.ts"]), module("sys/b.ts")],
    `"main.ts" loads "sys/b.ts" before it has chosen a role`,
  ],
];

for (const [modules, sentence] of FORBIDDEN) {
  Deno.test(`the rule forbids: ${sentence}`, () => assert.deepEqual(violations(modules), [sentence]));
}

Deno.test("a chain of imports from one side of the wire to the other is shown step by step", () => {
  const modules = [
    module("cmd/agent.ts", ["rpc/a.ts"]),
    module("rpc/a.ts", ["rpc/b.ts"]),
    module("rpc/b.ts", ["sandbox/c.ts"]),
    module("sandbox/c.ts"),
  ];
  assert.deepEqual(violations(modules), [
    `"rpc/b.ts" imports "sandbox/c.ts": rpc may not import sandbox`,
    `"cmd/agent.ts" leads to "sandbox/c.ts": cmd/agent.ts → rpc/a.ts → rpc/b.ts → sandbox/c.ts`,
  ]);
});

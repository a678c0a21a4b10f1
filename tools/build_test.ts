import assert from "node:assert/strict";
import { Elf } from "../guest/elf.ts";
import { VERSION } from "../version.ts";
import { build } from "./build.ts";
import { bundle, stamp } from "./bundle.ts";
import { ROOT } from "./paths.ts";
import { run } from "./process.ts";

const MAIN = "tools/testdata/sealed/main.ts";

Deno.test("deno compile, given a base program, embeds the bundle in a section of it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kata-build-test-" });
  try {
    const out = `${folder}/compiled`;
    const script = `import { build } from "./tools/build.ts";
      console.log(JSON.stringify(await build({ main: ${JSON.stringify(MAIN)}, out: ${
      JSON.stringify(out)
    } })));`;
    await Deno.writeTextFile(`${folder}/build.ts`, script.replace("./tools", `file://${ROOT}/tools`));
    const result = await run([
      Deno.execPath(),
      "run",
      "-A",
      `--config=${ROOT}/deno.json`,
      `${folder}/build.ts`,
    ], {
      env: { DENORT_BIN: Deno.execPath() },
    });
    assert.deepEqual(JSON.parse(result), { out, road: "compile", unchanged: false });

    const base = await Deno.readFile(Deno.execPath());
    const bytes = await Deno.readFile(out);
    const known = new Elf(base, "deno").notes().length;
    const added = new Elf(bytes, out).notes().slice(known);
    assert.equal(added.length, 1, "one note is added");
    const text = new TextDecoder().decode(added[0]?.description);
    assert.match(text, /"road":"compiled"/);
    assert.match(text, /nothing asked/);
    assert.match(text, /vsock/);
    assert.equal(((await Deno.stat(out)).mode ?? 0) & 0o777, 0o755);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the product for arm64, made here, tells its version on arm64 under the names of its roles", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kata-build-test-" });
  try {
    const { out } = await build({ arch: "aarch64", road: "seal", out: `${folder}/kata` });
    const runner = Deno.build.arch === "aarch64"
      ? []
      : ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"];
    const version = await run([...runner, out, "--version", "--verbose"]);
    assert.ok(version.includes(VERSION), version);
    assert.match(version, /sealed/);
    assert.match(version, /aarch64/);
    const shim = `${folder}/containerd-shim-kata-v2`;
    await Deno.symlink(out, shim);
    const answer = await run([...runner, shim, "-v"]);
    assert.ok(answer.includes(`id: "io.containerd.kata.v2", version: ${VERSION}`), answer);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a bundle without splitting is one file, with it a file per dynamic import and shared piece", async () => {
  const whole = await bundle(MAIN, false);
  assert.deepEqual([...whole.files.keys()], ["main.js"]);
  const split = await bundle(MAIN, true);
  const names = [...split.files.keys()].map((name) => name.replace(/-[A-Z0-9]{8}/, "")).sort();
  assert.deepEqual(names, ["chunk.js", "main.js", "report.js"]);
});

Deno.test("the stamp of a build is written once, and its absence is an error", () => {
  const text = `x=JSON.parse('{"commit":"","road":"source"}')`;
  assert.deepEqual(
    [...stamp(new Map([["a.js", text], ["b.js", ""]]), "abc-dirty", "sealed")],
    [["a.js", `x=JSON.parse('{"commit":"abc-dirty","road":"sealed"}')`], ["b.js", ""]],
  );
  assert.throws(() => stamp(new Map([["a.js", ""]]), "abc", "sealed"), /has 0 places/);
  assert.throws(() => stamp(new Map([["a.js", text], ["b.js", text]]), "abc", "sealed"), /has 2 places/);
});

Deno.test("bundling twice gives the same text", async () => {
  assert.deepEqual(await bundle(MAIN, true), await bundle(MAIN, true));
});

const REFUSED: [args: string[], message: RegExp][] = [
  [["--target", "mips"], /--target must be one of x86_64, aarch64: it is "mips"/],
  [["--road", "dirt"], /--road must be compile or seal: it is "dirt"/],
];

for (const [args, message] of REFUSED) {
  Deno.test(`the build refuses ${args.join(" ")}`, async () => {
    await assert.rejects(run([Deno.execPath(), "run", "-A", `${ROOT}/tools/build.ts`, ...args]), message);
  });
}

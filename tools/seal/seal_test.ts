import assert from "node:assert/strict";
import { type Architecture, Elf, ElfError, MACHINE, PF, PT } from "../../guest/elf.ts";
import { build } from "../build.ts";
import { runtimeFor } from "../runtime.ts";
import { ROOT } from "../paths.ts";
import { run } from "../process.ts";
import { assemble } from "./assemble.ts";
import { ENTRY_AARCH64 } from "./entry_aarch64.ts";
import { ENTRY_X86_64 } from "./entry_x86_64.ts";
import { encodeParameters } from "./layout.ts";
import { seal, type Sealing } from "./seal.ts";

const MAIN = new URL("../testdata/sealed/main.ts", import.meta.url).pathname;
const ARM_LIBRARIES = "/usr/aarch64-linux-gnu";

/** What the test program of `tools/testdata/sealed` reports. */
interface Report {
  argv0: string;
  args: string[];
  execPath: string;
  env: Record<string, string>;
  count: number;
  crc32: number;
  build: { VERSION: string; COMMIT: string; BUILD_ROAD: string };
}

/** The test program, sealed once for all tests of an architecture. */
async function sealedProgram(folder: string, arch: Architecture = Deno.build.arch): Promise<string> {
  const { out } = await build({ main: MAIN, out: `${folder}/sealed`, road: "seal", arch });
  return out;
}

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "kata-seal-test-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function tree(folder: string): Promise<string[]> {
  return (await run(["find", folder, "-printf", "%p %y %s %T@\n"])).split("\n").sort();
}

for (const [arch, code] of [["x86_64", ENTRY_X86_64], ["aarch64", ENTRY_AARCH64]] as const) {
  Deno.test(`the entry code for ${arch} is what its source assembles to`, async () => {
    const hex = Array.from(await assemble(arch), (byte) => byte.toString(16).padStart(2, "0")).join("");
    assert.equal(code, hex);
    assert.equal(code.length / 2 % 16, 0, "the parameters behind it must be aligned");
  });
}

Deno.test("parameters are thirteen words, then the strings, then the script", () => {
  const bytes = encodeParameters({
    self: 0x1000,
    entry: 0x2000,
    environ: 0x3000,
    script: "go()",
    args: ["run", "-A"],
    settings: ["A=1"],
    dropped: ["A=", "B_"],
    spent: { address: 0x10000, size: 0x20000 },
  });
  const words = Array.from(new BigUint64Array(bytes.slice(0, 104).buffer), Number);
  assert.deepEqual(words, [0x1000, 0x2000, 0x3000, 121, 4, 104, 2, 111, 1, 115, 2, 0x10000, 0x20000]);
  assert.equal(new TextDecoder().decode(bytes.subarray(104)), "run\0-A\0A=1\0A=\0B_\0go()");
});

Deno.test("a string with a NUL, or none at all, is no parameter", () => {
  const spent = { address: 0, size: 0 };
  const parameters = {
    self: 0,
    entry: 0,
    environ: 0,
    script: "",
    args: [],
    settings: [],
    dropped: [],
    spent,
  };
  assert.throws(() => encodeParameters({ ...parameters, args: ["a\0b"] }), /holds a NUL/);
  assert.throws(() => encodeParameters({ ...parameters, dropped: [""] }), /is empty/);
});

Deno.test("sealing adds one loadable segment and changes nothing else of the program", async () => {
  const base = await Deno.readFile(Deno.execPath());
  const sealing: Sealing = {
    base,
    baseName: "deno",
    modules: new TextEncoder().encode("modules"),
    script: (offset) => `/* modules at ${offset} */`,
    args: ["run"],
    settings: ["X=1"],
    dropped: ["X="],
  };
  const sealed = seal(sealing);
  const before = new Elf(base, "deno");
  const after = new Elf(sealed, "sealed");

  const isLoad = (s: { type: number }): boolean => s.type === PT.LOAD;
  const added = after.segments.filter(isLoad).at(-1);
  assert.ok(added);
  assert.equal(added.flags, PF.R | PF.X);
  assert.equal(added.vaddr % added.align, added.offset % added.align);
  assert.equal(added.offset + added.fileSize, sealed.length);
  assert.equal(after.entry, added.vaddr);
  assert.deepEqual(after.segments.filter(isLoad).slice(0, -1), before.segments.filter(isLoad));
  assert.deepEqual(after.notes(), []);

  const headers = before.programHeaderOffset + before.segments.length * 56;
  const same = Deno.build.arch === "x86_64"
    ? sealed.subarray(headers, base.length)
    : sealed.subarray(headers);
  assert.ok(indexOfDifference(same, base.subarray(headers)) < 0, "the program's own bytes stay");

  const text = new TextDecoder().decode(sealed.subarray(added.offset));
  const offset = Number(/modules at (\d+)/.exec(text)?.[1]);
  assert.equal(new TextDecoder().decode(sealed.subarray(offset, offset + 7)), "modules");
  assert.ok(indexOfDifference(seal(sealing), sealed) < 0, "the same input gives the same file");
});

Deno.test("what cannot be sealed is refused by name", () => {
  const sealing = (base: Uint8Array): Sealing => ({
    base,
    baseName: "x",
    modules: new Uint8Array(),
    script: () => "",
    args: [],
    settings: [],
    dropped: [],
  });
  assert.throws(
    () => seal(sealing(new TextEncoder().encode("#!/bin/sh"))),
    new ElfError(`"x" is not an ELF file`),
  );
  const header = new Uint8Array(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
  header[18] = 40;
  assert.throws(
    () => seal(sealing(header)),
    new ElfError(`"x" is for machine 40, which is not one of x86_64, aarch64`),
  );
  header[18] = MACHINE.x86_64;
  assert.throws(() => seal(sealing(header)), /does not use the C library's "environ"/);
});

Deno.test("a sealed executable sees its name, arguments and environment as the caller gave them", async () => {
  await withFolder(async (folder) => {
    const program = await sealedProgram(folder);
    const link = `${folder}/some-name`;
    await Deno.symlink(program, link);
    const env = {
      HOME: "/home/of/someone",
      PATH: "/usr/bin:/bin",
      EMPTY: "",
      DENOTE: "kept",
      "ODD": "a=b=c",
    };
    const output = await new Deno.Command(link, {
      args: ["report", "--version", "-A", "", "two words"],
      env: { ...env, DENO_V8_FLAGS: "--no-such-flag", DENO_DIR: `${folder}/cache` },
      clearEnv: true,
    }).output();
    assert.equal(new TextDecoder().decode(output.stderr), "");
    const report: Report = JSON.parse(new TextDecoder().decode(output.stdout));
    assert.equal(report.argv0, link);
    assert.deepEqual(report.args, ["report", "--version", "-A", "", "two words"]);
    assert.equal(report.execPath, program);
    assert.deepEqual(report.env, env);
    assert.equal(report.count, 2, "a piece that two modules share is one piece");
    assert.equal(report.crc32, 4119913269, "what the runtime brings is there");
    assert.equal(report.build.BUILD_ROAD, "sealed");
  });
});

Deno.test("a sealed executable without any environment has none inside either", async () => {
  await withFolder(async (folder) => {
    const program = await sealedProgram(folder);
    const output = await run(["env", "-i", program, "report"]);
    assert.deepEqual((JSON.parse(output) as Report).env, {});
  });
});

Deno.test("a sealed executable's exit status is the program's, and an error is printed", async () => {
  await withFolder(async (folder) => {
    const program = await sealedProgram(folder);
    const plain = await new Deno.Command(program).output();
    assert.equal(plain.code, 3);
    assert.equal(new TextDecoder().decode(plain.stdout), "nothing asked\n");
    const failing = await new Deno.Command(program, { args: ["fail"], env: { NO_COLOR: "1" } }).output();
    assert.equal(failing.code, 1);
    assert.match(new TextDecoder().decode(failing.stderr), /Error: failed as asked\n[\s\S]*kata:0-main/);
  });
});

Deno.test("a sealed executable that is replaced while it runs still finds all of itself", async () => {
  await withFolder(async (folder) => {
    const program = await sealedProgram(folder);
    const report: Report = JSON.parse(await run([program, "replaced"]));
    assert.equal(report.count, 2);
    assert.equal(await Deno.readTextFile(program), "another version");
  });
});

Deno.test("a sealed executable reads no configuration and leaves no file behind", async () => {
  await withFolder(async (folder) => {
    const program = await sealedProgram(folder);
    const home = `${folder}/home`;
    await Deno.mkdir(home);
    for (const name of [".npmrc", "deno.json", "package.json", "deno.lock"]) {
      await Deno.writeFile(`${home}/${name}`, new Uint8Array([0xff, 0x7b]));
    }
    const before = await tree(home);
    const homes: Record<string, string>[] = [{}, { XDG_CACHE_HOME: home }, { DENO_DIR: home }];
    for (const variables of homes) {
      const env = { HOME: home, TMPDIR: home, ...variables };
      const output = await new Deno.Command(program, { args: ["report"], env, clearEnv: true, cwd: home })
        .output();
      assert.equal(new TextDecoder().decode(output.stderr), "");
      assert.equal(output.code, 0);
    }
    assert.deepEqual(await tree(home), before);
  });
});

Deno.test("a sealed executable says nothing of its own on a terminal either", async () => {
  await withFolder(async (folder) => {
    const program = await sealedProgram(folder);
    assert.equal(await run(["script", "-qec", `${program} linger`, "/dev/null"]), "");
  });
});

Deno.test("a sealed executable opens no socket and starts no program by itself", async () => {
  await withFolder(async (folder) => {
    const program = await sealedProgram(folder);
    const trace = `${folder}/trace`;
    await run([
      "strace",
      "-f",
      "-qq",
      "-e",
      "trace=socket,connect,execve,openat",
      "-o",
      trace,
      program,
      "report",
    ]);
    const calls = (await Deno.readTextFile(trace)).split("\n").map((line) => line.replace(/^\d+ +/, ""));
    assert.deepEqual(calls.filter((call) => /^(socket|connect)\(/.test(call)), []);
    assert.equal(calls.filter((call) => call.startsWith("execve(")).length, 1);
    const written = calls.filter((call) => /O_(WRONLY|RDWR|CREAT)/.test(call) && !call.includes('"/proc/'));
    assert.deepEqual(written, []);
  });
});

Deno.test("a sealed executable keeps no relocation tables in memory", async () => {
  await withFolder(async (folder) => {
    const program = await sealedProgram(folder);
    const tables = new Elf(await Deno.readFile(program), program).relocations();
    assert.ok(tables && tables.size > 2_000_000, "else there is nothing to gain");
    // the ends share their pages with what is used
    const [address, size] = [Math.ceil(tables.address / 0x10000) * 0x10000, tables.size & ~0x1ffff];
    const residentPages = async (program: string[]): Promise<number> =>
      Number(await run([...program, "resident", String(address), String(size)]));
    // the kernel maps up to 64 KiB around each page that is touched next to the tables
    assert.ok(await residentPages([program]) <= 32);
    const plain = [Deno.execPath(), "run", "-A", "--no-check", `--config=${ROOT}/deno.json`, MAIN];
    assert.equal(await residentPages(plain), size / 4096, "unsealed, they stay");
  });
});

Deno.test("as process 1 a sealed executable mounts /proc when there is none", async () => {
  await withFolder(async (folder) => {
    const program = await sealedProgram(folder);
    const script = `umount -l /proc && exec env -i ${program} report`;
    const output = await run(["unshare", "--fork", "--pid", "--mount", "sh", "-c", script]);
    assert.equal((JSON.parse(output) as Report).execPath, program);
  });
});

Deno.test("an executable for arm64, sealed here, runs on arm64", async () => {
  await withFolder(async (folder) => {
    const program = await sealedProgram(folder, "aarch64");
    const runner = Deno.build.arch === "aarch64" ? [] : ["qemu-aarch64-static", "-L", ARM_LIBRARIES];
    const output = await run(["env", "-i", "HOME=/h", "DENO_DIR=/d", ...runner, program, "report", "x"]);
    const report: Report = JSON.parse(output);
    assert.equal(report.argv0, program);
    assert.deepEqual(report.args, ["report", "x"]);
    assert.equal(report.env["HOME"], "/h");
    assert.equal(report.env["DENO_DIR"], undefined);
  });
});

Deno.test("sealing again with the same input is left out", async () => {
  await withFolder(async (folder) => {
    const out = `${folder}/again`;
    const first = await build({ main: MAIN, out, road: "seal" });
    const second = await build({ main: MAIN, out, road: "seal" });
    assert.deepEqual([first.unchanged, second.unchanged], [false, true]);
    await Deno.truncate(out, 100);
    assert.equal((await build({ main: MAIN, out, road: "seal" })).unchanged, false);
  });
});

Deno.test("the runtime of this architecture is the one that runs", async () => {
  assert.deepEqual(await runtimeFor(Deno.build.arch), { path: Deno.execPath(), version: Deno.version.deno });
});

function indexOfDifference(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i;
  return -1;
}

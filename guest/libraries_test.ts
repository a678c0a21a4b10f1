import assert from "node:assert/strict";
import { run } from "../tools/process.ts";
import { Elf } from "./elf.ts";
import { librariesOf, LibraryError } from "./libraries.ts";
import { sampleKernel, temporaryFolder } from "./testing/samples.ts";

/** What the dynamic linker itself says a program needs, as paths. */
async function linkerSays(program: string): Promise<string[]> {
  const text = await run(["ldd", program]);
  return [...text.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, path]) => path ?? "").sort();
}

for (const program of [Deno.execPath(), "/usr/bin/env", "/usr/bin/gcc"]) {
  const name = program.replace(/.*\//, "");
  Deno.test(`the libraries of ${name} are those that the dynamic linker finds`, async () => {
    const found = await librariesOf(program);
    assert.deepEqual([...found.keys()].sort(), await linkerSays(program));
    for (const [path, data] of found) assert.deepEqual(data, await Deno.readFile(path));
  });
}

Deno.test("a static program needs no libraries", async () => {
  await using folder = await temporaryFolder();
  await Deno.writeFile(`${folder.path}/static`, await sampleKernel("1"));
  assert.deepEqual(await librariesOf(`${folder.path}/static`), new Map());
});

Deno.test("libraries are looked for in the folders given first", async () => {
  await using folder = await temporaryFolder();
  const own = [...(await librariesOf("/usr/bin/env")).keys()].find((path) => /\/libc\.so/.test(path)) ?? "";
  await Deno.copyFile(own, `${folder.path}/libc.so.6`);
  const found = await librariesOf("/usr/bin/env", [folder.path]);
  assert.ok(found.has(`${folder.path}/libc.so.6`));
  assert.ok(!found.has(own));
});

Deno.test("a library that is nowhere is named, with who needs it and where it was looked for", async () => {
  await using folder = await temporaryFolder();
  const { path } = folder;
  await Deno.writeTextFile(`${path}/lib.c`, "int f(void) { return 1; }");
  await Deno.writeTextFile(`${path}/main.c`, "int f(void); int main(void) { return f(); }");
  await run(["gcc", "-shared", "-fPIC", "-o", "libown.so", "lib.c"], { cwd: path });
  await run(["gcc", "-o", "main", "main.c", "-L.", "-lown"], { cwd: path });
  assert.ok((await librariesOf(`${path}/main`, [path])).has(`${path}/libown.so`));

  await Deno.remove(`${path}/libown.so`);
  await assert.rejects(librariesOf(`${path}/main`), (error: unknown) => {
    assert.ok(error instanceof LibraryError);
    assert.ok(
      error.message.startsWith(`"${path}/main" needs the library "libown.so", which is in none of: /lib/`),
    );
    return true;
  });
});

Deno.test("a library for another architecture is passed over", async () => {
  await using folder = await temporaryFolder();
  const libc = [...(await librariesOf("/usr/bin/env")).keys()].find((path) => /\/libc\.so/.test(path)) ?? "";
  const foreign = await Deno.readFile(libc);
  new DataView(foreign.buffer).setUint16(18, 0xf3, true);
  await Deno.writeFile(`${folder.path}/libc.so.6`, foreign);
  const found = await librariesOf("/usr/bin/env", [folder.path]);
  assert.ok(found.has(libc) && !found.has(`${folder.path}/libc.so.6`));
});

Deno.test("interpreter, needed libraries and sections are read as binutils read them", async () => {
  const program = "/usr/bin/gcc";
  const elf = new Elf(await Deno.readFile(program), program);
  const dynamic = await run(["readelf", "-d", program]);
  assert.deepEqual(elf.needed(), [...dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name));
  const headers = await run(["readelf", "-lW", program]);
  assert.equal(elf.interpreter, /interpreter: (\S+)\]/.exec(headers)?.[1]);
  assert.equal(elf.segments.length, Number(/There are (\d+) program headers/.exec(headers)?.[1]));
  const sections = await run(["readelf", "-SW", program]);
  const [, offset = "", size = ""] = /\.rodata +PROGBITS +[0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+)/.exec(sections) ??
    [];
  const at = parseInt(offset, 16);
  const bytes = (await Deno.readFile(program)).subarray(at, at + parseInt(size, 16));
  assert.deepEqual(elf.section(".rodata"), bytes);
  assert.equal(elf.section(".nothing"), undefined);
});

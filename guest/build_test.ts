import assert from "node:assert/strict";
import { run } from "../tools/process.ts";
import { buildGuest } from "./build.ts";
import { extractKernel, KernelError } from "./kernel.ts";
import { GUEST_DRIVERS, ModulesError } from "./modules.ts";
import { bzImage, filter, sampleKernel, sampleModule, temporaryFolder } from "./testing/samples.ts";

const RELEASE = "6.1.0-18-test";
const EXECUTABLE = "/usr/bin/env";

interface Inputs extends AsyncDisposable {
  path: string;
  kernel: string;
  modules: string;
}

/** A kernel and modules that a guest could be made from. */
async function inputs(release = RELEASE): Promise<Inputs> {
  const folder = await temporaryFolder();
  const { path } = folder;
  const kernel = `${path}/vmlinuz`;
  await Deno.writeFile(kernel, bzImage(await filter(["gzip", "-n"], await sampleKernel(RELEASE))));
  const modules = `${path}/modules/${release}`;
  await Deno.mkdir(`${modules}/kernel`, { recursive: true });
  const data = await sampleModule({ release });
  for (const { name } of GUEST_DRIVERS) await Deno.writeFile(`${modules}/kernel/${name}.ko`, data);
  return { path, kernel, modules, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

Deno.test("a guest is made of a kernel, an initrd, and nothing else", async () => {
  await using given = await inputs();
  const out = `${given.path}/new/folder`;
  const made = await buildGuest({ ...given, out, executable: EXECUTABLE });
  assert.deepEqual(made, {
    kernel: `${out}/vmlinux`,
    initrd: `${out}/kata-initrd.img`,
    release: RELEASE,
    modules: GUEST_DRIVERS.map(({ name }) => name),
  });
  assert.deepEqual(Array.from(Deno.readDirSync(out), ({ name }) => name).sort(), [
    "kata-initrd.img",
    "vmlinux",
  ]);
  const kernel = await extractKernel(await sampleKernel(RELEASE), "vmlinux");
  assert.deepEqual(new Uint8Array(await Deno.readFile(made.kernel)), kernel);
});

Deno.test("the initrd holds the program with its libraries, the modules, their list, and mount points", async () => {
  await using given = await inputs();
  const { initrd } = await buildGuest({ ...given, out: given.path, executable: EXECUTABLE });
  const root = `${given.path}/root`;
  await Deno.mkdir(root);
  await run(["sh", "-c", `busybox cpio -i < ${initrd}`], { cwd: root });

  assert.deepEqual(await Deno.readFile(`${root}/init`), await Deno.readFile(EXECUTABLE));
  assert.equal(((await Deno.stat(`${root}/init`)).mode ?? 0) & 0o777, 0o755);
  // nothing but what is in the archive is needed to start it
  assert.equal(await run(["chroot", root, "/init", "-i", "A=1", "/init"]), "A=1\n");
  assert.equal(await Deno.readLink(`${root}/proc/self/exe`), "/init");
  const folder = `/lib/modules/${RELEASE}/kernel`;
  assert.equal(
    await Deno.readTextFile(`${root}/lib/modules/kata.load`),
    GUEST_DRIVERS.map(({ name }) => `${folder}/${name}.ko\n`).join(""),
  );
  assert.deepEqual(
    Array.from(Deno.readDirSync(root + folder), ({ name }) => name).sort(),
    GUEST_DRIVERS.map(({ name }) => `${name}.ko`).sort(),
  );
  for (const name of ["dev", "proc", "sys", "run", "tmp", "etc"]) {
    assert.ok((await Deno.stat(`${root}/${name}`)).isDirectory, name);
  }
  assert.equal((await Deno.stat(`${root}/dev/console`)).rdev, (5 << 8) | 1);
});

Deno.test("the same input makes the same files, byte for byte", async () => {
  await using given = await inputs();
  const [a, b] = [`${given.path}/a`, `${given.path}/b`];
  await buildGuest({ ...given, out: a, executable: EXECUTABLE });
  await run(["touch", "-d", "2001-01-01", given.kernel]);
  await buildGuest({ ...given, out: b, executable: EXECUTABLE });
  for (const name of ["vmlinux", "kata-initrd.img"]) {
    assert.deepEqual(await Deno.readFile(`${a}/${name}`), await Deno.readFile(`${b}/${name}`));
  }
});

Deno.test("modules of another kernel are refused, and nothing is written", async () => {
  await using given = await inputs("6.1.0-19-test");
  const out = `${given.path}/out`;
  await assert.rejects(
    buildGuest({ ...given, out, executable: EXECUTABLE }),
    new ModulesError(
      `"${given.kernel}" is kernel ${RELEASE}, but the modules in "${given.modules}" are for 6.1.0-19-test`,
    ),
  );
  await assert.rejects(Deno.stat(out), Deno.errors.NotFound);
});

Deno.test("a kernel or executable that cannot be read is named", async () => {
  await using given = await inputs();
  const options = { ...given, out: `${given.path}/out`, executable: EXECUTABLE };
  await assert.rejects(buildGuest({ ...options, kernel: "/no/kernel" }), /"?\/no\/kernel/);
  await assert.rejects(buildGuest({ ...options, executable: "/no/program" }), /\/no\/program/);
  await assert.rejects(
    buildGuest({ ...options, kernel: EXECUTABLE }),
    (e: unknown) => e instanceof KernelError,
  );
});

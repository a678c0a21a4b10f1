import assert from "node:assert/strict";
import { run } from "../tools/process.ts";
import { archiveOf, diskIn } from "../vm/initrd_file.ts";
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

Deno.test("the initrd is an archive with a first program, and a disk with the agent, its libraries and modules", async () => {
  await using given = await inputs();
  const { initrd } = await buildGuest({ ...given, out: given.path, executable: EXECUTABLE });
  const disk = diskIn(initrd);
  assert.ok(disk !== undefined);
  const root = `${given.path}/root`;
  await Deno.mkdir(root);
  using archive = archiveOf(initrd, disk);
  await run(["sh", "-c", `busybox cpio -i < /proc/${Deno.pid}/fd/${archive.fd}`], { cwd: root });
  const bytes = await Deno.readFile(initrd);
  await Deno.writeFile(`${given.path}/disk`, bytes.subarray(disk.offset, disk.offset + disk.size));
  await run(["fsck.erofs", "--overwrite", `--extract=${root}/guest`, `${given.path}/disk`]);

  assert.ok(sameBytes(`${root}/guest/init`, EXECUTABLE));
  assert.equal(((await Deno.stat(`${root}/guest/init`)).mode ?? 0) & 0o777, 0o755);
  // nothing but what is in archive and disk is needed to start it
  assert.equal(await run(["chroot", root, "/guest/init", "-i", "A=1", "/guest/init"]), "A=1\n");
  assert.equal(await Deno.readLink(`${root}/proc/self/exe`), "/guest/init");
  // the disk is there when the list is read, and so are its drivers
  const drivers = ["virtio_pci", "virtio_blk", "erofs"];
  const others = GUEST_DRIVERS.map(({ name }) => name).filter((name) => !drivers.includes(name));
  assert.equal(
    await Deno.readTextFile(`${root}/lib/modules/kata.load`),
    others.map((name) => `/guest/${name}.ko\n`).join(""),
  );
  assert.deepEqual(
    Array.from(Deno.readDirSync(`${root}/lib/modules/${RELEASE}/kernel`), ({ name }) => name).sort(),
    drivers.map((name) => `${name}.ko`).sort(),
  );
  for (const name of others) assert.ok((await Deno.stat(`${root}/guest/${name}.ko`)).isFile, name);
  await assertBase(root);
});

Deno.test("an archive that somebody has added to is the guest's archive without its disk", async () => {
  await using given = await inputs();
  const { initrd } = await buildGuest({ ...given, out: given.path, executable: EXECUTABLE });
  const before = diskIn(initrd);
  await Deno.writeTextFile(initrd, "more", { append: true });
  assert.deepEqual(diskIn(initrd), before);
  assert.ok(before !== undefined);
  using archive = archiveOf(initrd, before);
  const bytes = await Deno.readFile(`/proc/self/fd/${archive.fd}`);
  assert.equal(bytes.length, before.offset + 4);
  assert.equal(new TextDecoder().decode(bytes.subarray(before.offset)), "more");
});

Deno.test("an initrd whose disk is cut off is refused", async () => {
  await using given = await inputs();
  const { initrd } = await buildGuest({ ...given, out: given.path, executable: EXECUTABLE });
  const { size } = await Deno.stat(initrd);
  await Deno.truncate(initrd, size - 1);
  assert.throws(
    () => diskIn(initrd),
    /cannot use the initrd ".*": its disk should be \d+ bytes at \d+ of \d+/,
  );
});

for (
  const [how, options, drop] of [["asked for", { whole: true }, []], ["no erofs", {}, ["erofs"]]] as const
) {
  Deno.test(`all of a guest is in its initrd's archive: ${how}`, async () => {
    await using given = await inputs();
    for (const name of drop) await Deno.remove(`${given.modules}/kernel/${name}.ko`);
    const { initrd } = await buildGuest({ ...given, ...options, out: given.path, executable: EXECUTABLE });
    assert.equal(diskIn(initrd), undefined);
    const root = `${given.path}/root`;
    await Deno.mkdir(root);
    await run(["sh", "-c", `busybox cpio -i < ${initrd}`], { cwd: root });
    assert.ok(sameBytes(`${root}/init`, EXECUTABLE));
    assert.equal(await run(["chroot", root, "/init", "-i", "A=1", "/init"]), "A=1\n");
    assert.equal(await Deno.readLink(`${root}/proc/self/exe`), "/init");
    const folder = `/lib/modules/${RELEASE}/kernel`;
    const there = GUEST_DRIVERS.map(({ name }) => name).filter((name) => !drop.some((gone) => gone === name));
    assert.equal(
      await Deno.readTextFile(`${root}/lib/modules/kata.load`),
      there.map((name) => `${folder}/${name}.ko\n`).join(""),
    );
    await assertBase(root);
  });
}

/** Comparing them as arrays would take minutes where they differ. */
function sameBytes(a: string, b: string): boolean {
  const [one, two] = [Deno.readFileSync(a), Deno.readFileSync(b)];
  return one.length === two.length && one.every((byte, i) => byte === two[i]);
}

/** What every guest has. */
async function assertBase(root: string): Promise<void> {
  for (const name of ["dev", "proc", "sys", "run", "tmp", "etc"]) {
    assert.ok((await Deno.stat(`${root}/${name}`)).isDirectory, name);
  }
  assert.equal((await Deno.stat(`${root}/dev/console`)).rdev, (5 << 8) | 1);
}

Deno.test("the same input makes the same files, byte for byte", async () => {
  await using given = await inputs();
  const [a, b] = [`${given.path}/a`, `${given.path}/b`];
  await buildGuest({ ...given, out: a, executable: EXECUTABLE });
  await run(["touch", "-d", "2001-01-01", given.kernel]);
  await buildGuest({ ...given, out: b, executable: EXECUTABLE });
  for (const name of ["vmlinux", "kata-initrd.img"]) {
    assert.ok(sameBytes(`${a}/${name}`, `${b}/${name}`), name);
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

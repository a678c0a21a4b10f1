import assert from "node:assert/strict";
import { collectModules, GUEST_DRIVERS, ModulesError, readModuleInfo } from "./modules.ts";
import { filter, sampleModule, temporaryFolder } from "./testing/samples.ts";

const RELEASE = "6.1.0-18-test";

/** A folder of modules: path to what the module says of itself. */
async function moduleFolder(
  modules: Record<string, { depends?: string; softdep?: string }>,
): Promise<AsyncDisposable & { path: string }> {
  const folder = await temporaryFolder();
  for (const [file, info] of Object.entries(modules)) {
    const path = `${folder.path}/${file}`;
    await Deno.mkdir(path.replace(/\/[^/]*$/, ""), { recursive: true });
    const data = await sampleModule({ ...info, release: RELEASE });
    const argv =
      { gz: ["gzip"], xz: ["xz", "--check=crc32"], zst: ["zstd", "-q"] }[/[^.]*$/.exec(path)?.[0] ?? ""];
    await Deno.writeFile(path, argv ? await filter(argv, data) : data);
  }
  return folder;
}

const drivers = (...names: string[]): { name: string; purpose: string }[] =>
  names.map((name) => ({ name, purpose: `the ${name}` }));

Deno.test("modules stand in the order of loading, each once, behind those it needs", async () => {
  await using folder = await moduleFolder({
    "kernel/a.ko": { depends: "b,c" },
    "kernel/deep/b.ko": { depends: "d" },
    "kernel/c.ko": { depends: "d" },
    "kernel/d.ko": {},
    "kernel/unused.ko": {},
  });
  const { release, modules } = await collectModules(folder.path, drivers("c", "a"));
  assert.equal(release, RELEASE);
  assert.deepEqual(modules.map(({ name, path, needs }) => ({ name, path, needs })), [
    { name: "d", path: "kernel/d.ko", needs: [] },
    { name: "c", path: "kernel/c.ko", needs: ["d"] },
    { name: "b", path: "kernel/deep/b.ko", needs: ["d"] },
    { name: "a", path: "kernel/a.ko", needs: ["b", "c"] },
  ]);
});

Deno.test("dashes and underscores in names mean the same", async () => {
  await using folder = await moduleFolder({
    "virtio-rng.ko": { depends: "virtio-ring" },
    "virtio_ring.ko": {},
  });
  const { modules } = await collectModules(folder.path, drivers("virtio_rng"));
  assert.deepEqual(modules.map(({ name, path }) => [name, path]), [
    ["virtio_ring", "virtio_ring.ko"],
    ["virtio_rng", "virtio-rng.ko"],
  ]);
});

Deno.test("compressed modules are decompressed and lose their suffix", async () => {
  await using folder = await moduleFolder({
    "a.ko.xz": { depends: "b" },
    "b.ko.gz": { depends: "c" },
    "c.ko.zst": {},
  });
  const { modules } = await collectModules(folder.path, drivers("a"));
  assert.deepEqual(modules.map(({ path }) => path), ["c.ko", "b.ko", "a.ko"]);
  assert.deepEqual(modules[0]?.data, await sampleModule({ release: RELEASE }));
});

Deno.test("what a module would like to have is loaded before it, if it is there", async () => {
  await using folder = await moduleFolder({
    "a.ko": { softdep: "pre: wish absent crypto-crc9 post: late" },
    "crc9_generic.ko": {},
    "wish.ko": {},
    "late.ko": {},
  });
  const { modules } = await collectModules(folder.path, drivers("a"));
  assert.deepEqual(modules.map(({ name, needs }) => ({ name, needs })), [
    { name: "wish", needs: [] },
    { name: "crc9_generic", needs: [] },
    { name: "a", needs: ["wish", "crc9_generic"] },
  ]);
});

Deno.test("modules that wish for each other are no endless task", async () => {
  await using folder = await moduleFolder({ "a.ko": { softdep: "pre: b" }, "b.ko": { softdep: "pre: a" } });
  const { modules } = await collectModules(folder.path, drivers("a"));
  assert.deepEqual(modules.map(({ name }) => name), ["b", "a"]);
});

Deno.test("a driver that is built into the kernel needs no module", async () => {
  await using folder = await moduleFolder({ "kernel/a.ko": { depends: "virtio_ring" } });
  await Deno.writeTextFile(
    `${folder.path}/modules.builtin`,
    "kernel/drivers/virtio/virtio-ring.ko\nkernel/fs/fuse/virtiofs.ko\n",
  );
  const { modules } = await collectModules(folder.path, drivers("virtiofs", "a"));
  assert.deepEqual(modules.map(({ name, needs }) => ({ name, needs })), [{ name: "a", needs: [] }]);
});

Deno.test("a kernel with every driver built in needs no modules at all", async () => {
  await using folder = await temporaryFolder();
  const list = GUEST_DRIVERS.map(({ name }) => `kernel/x/${name}.ko\n`).join("");
  await Deno.writeTextFile(`${folder.path}/modules.builtin`, list);
  assert.deepEqual((await collectModules(folder.path)).modules, []);
});

Deno.test("a missing driver is named, with what it is needed for", async () => {
  await using folder = await moduleFolder({ "kernel/a.ko": { depends: "gone" } });
  await assert.rejects(
    collectModules(folder.path, drivers("a")),
    new ModulesError(`"${folder.path}" has no driver "gone" (module or built-in), needed for "a"`),
  );
  await assert.rejects(
    collectModules(folder.path, [{ name: "9p", purpose: "sharing files by 9p" }]),
    new ModulesError(
      `"${folder.path}" has no driver "9p" (module or built-in), needed for sharing files by 9p`,
    ),
  );
});

Deno.test("a folder that does not exist is named", async () => {
  await assert.rejects(collectModules("/no/such/folder"), (error: unknown) => {
    assert.ok(error instanceof ModulesError);
    assert.match(error.message, /^cannot read the modules in "\/no\/such\/folder": .*No such file/);
    return true;
  });
});

Deno.test("a file called .ko that is no module is named", async () => {
  await using folder = await temporaryFolder();
  await Deno.writeTextFile(`${folder.path}/a.ko`, "text");
  await assert.rejects(collectModules(folder.path, drivers("a")), /a\.ko" is not an ELF file$/);
  const program = await Deno.readFile("/usr/bin/env");
  assert.throws(() => readModuleInfo(program, "env"), new ModulesError('"env" is not a kernel module'));
});

Deno.test("the drivers for the agent's disk come first, then those for reaching the agent", () => {
  assert.deepEqual(GUEST_DRIVERS.slice(0, 5).map(({ name }) => name), [
    "virtio_pci",
    "virtio_blk",
    "erofs",
    "virtio_console",
    "vmw_vsock_virtio_transport",
  ]);
});

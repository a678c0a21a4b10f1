import assert from "node:assert/strict";
import { createLogger } from "../log.ts";
import { ModuleLoader, moduleName, parseModuleList } from "./modules.ts";

const LIST = parseModuleList([
  "/lib/modules/virtio_ring.ko",
  "/lib/modules/virtio.ko virtio_ring",
  "/lib/modules/virtio_pci.ko virtio virtio_ring",
  "/lib/modules/virtio-console.ko virtio_ring virtio",
  "/lib/modules/vsock.ko",
  "/lib/modules/vmw_vsock_virtio_transport.ko vsock virtio",
  "/lib/modules/netfs.ko.zst",
  "/lib/modules/9pnet.ko",
  "/lib/modules/9p.ko 9pnet netfs",
  "",
].join("\n"));

/** A loader that writes down what it would load; modules of `broken` are refused. */
function loader(broken: readonly string[] = []) {
  const loaded: string[] = [];
  const warnings: string[] = [];
  const log = createLogger("warn", (line) => warnings.push(line));
  const modules = new ModuleLoader(log, LIST, (path, parameters) => {
    if (broken.includes(moduleName(path))) throw new Error("refused");
    loaded.push([moduleName(path), parameters].join(" ").trim());
  });
  return { modules, loaded, warnings };
}

Deno.test("modules are named as the kernel names them", () => {
  assert.equal(moduleName("/lib/modules/6.1/kernel/x/vmw-vsock_transport.ko.zst"), "vmw_vsock_transport");
  assert.equal(moduleName("9p"), "9p");
});

Deno.test("only what the channel needs is loaded first, each module after those it needs", () => {
  const serial = loader();
  serial.modules.needChannel("virtio-serial");
  assert.deepEqual(serial.loaded, ["virtio_ring", "virtio", "virtio_pci", "virtio_console"]);
  const vsock = loader();
  vsock.modules.needChannel("vsock");
  assert.deepEqual(vsock.loaded, [
    "virtio_ring",
    "virtio",
    "virtio_pci",
    "vsock",
    "vmw_vsock_virtio_transport",
  ]);
  const unix = loader();
  unix.modules.needChannel("unix");
  assert.deepEqual(unix.loaded, []);
});

Deno.test("modules that few guests need are read of and loaded only when they are asked for", async () => {
  const loaded: string[] = [];
  let reads = 0;
  const more = parseModuleList("/m/x_tables.ko\n/m/xt_mark.ko x_tables\n/m/9p_more.ko 9pnet x_tables\n");
  const modules = new ModuleLoader(
    createLogger("critical"),
    LIST,
    (path) => void loaded.push(moduleName(path)),
    () => (reads++, more),
  );
  modules.need("xt_mark", "9p");
  await modules.needAll();
  assert.equal(loaded.length, LIST.size);
  assert.equal(reads, 0);
  modules.needMore("xt_mark", "built-in");
  modules.loadByName("9p-more", []);
  assert.deepEqual(loaded.slice(LIST.size), ["x_tables", "xt_mark", "9p_more"]);
  assert.equal(reads, 1);
  assert.throws(() => modules.loadByName("none", []), /kernel module "none" is not in the guest/);
});

Deno.test("a module is loaded once, whoever needs it, and the rest when there is time", async () => {
  const { modules, loaded } = loader();
  modules.need("9p", "not-in-the-list");
  modules.need("9p");
  assert.deepEqual(loaded, ["9pnet", "netfs", "9p"]);
  await modules.needAll();
  await modules.needAll();
  assert.equal(loaded.length, LIST.size);
  assert.equal(new Set(loaded).size, LIST.size);
});

Deno.test("a module that the kernel refuses is logged, and the others are loaded", () => {
  const { modules, loaded, warnings } = loader(["9pnet"]);
  modules.need("9p", "vsock");
  assert.deepEqual(loaded, ["vsock"]);
  assert.deepEqual(warnings, [
    'kata-agent warn: cannot load a kernel module name="9p" error="Error: refused"',
  ]);
});

Deno.test("a module that the host asks for is loaded with its parameters, or refused by name", () => {
  const { modules, loaded } = loader();
  modules.loadByName("virtio-console", ["a=1", "b=2"]);
  assert.deepEqual(loaded, ["virtio_ring", "virtio", "virtio_console a=1 b=2"]);
  assert.throws(
    () => modules.loadByName("no-such-module", []),
    /kernel module "no-such-module" is not in the guest/,
  );
});

Deno.test("drivers are loaded for the devices that are there", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "kata-virtio-" });
  try {
    for (
      const [name, type] of [["virtio0", "0x0009"], ["virtio1", "0x0003"], ["virtio2", "0x00ff"]] as const
    ) {
      Deno.mkdirSync(`${folder}/${name}`);
      Deno.writeTextFileSync(`${folder}/${name}/device`, `${type}\n`);
    }
    const { modules, loaded } = loader();
    await modules.needPresent(folder);
    assert.deepEqual(loaded, ["9pnet", "netfs", "9p"]);
    await modules.needPresent("/nonexistent");
    assert.equal(loaded.length, 3);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

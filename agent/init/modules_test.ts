import assert from "node:assert/strict";
import { moduleName, splitModules } from "./modules.ts";

const LIST = [
  "/lib/modules/virtio.ko",
  "/lib/modules/virtio_ring.ko.xz",
  "/lib/modules/virtio_pci.ko",
  "/lib/modules/virtio-console.ko",
  "/lib/modules/9pnet.ko",
  "/lib/modules/vsock.ko",
  "/lib/modules/vmw_vsock_virtio_transport.ko",
  "/lib/modules/9p.ko",
];

Deno.test("modules are named as the kernel names them", () => {
  assert.equal(moduleName("/lib/modules/6.1/kernel/x/vmw-vsock_transport.ko.zst"), "vmw_vsock_transport");
  assert.equal(moduleName("9p"), "9p");
});

Deno.test("only what the channel needs, and what stands before it, is loaded first", () => {
  const names = (kind: "vsock" | "virtio-serial" | "unix") => {
    const { first, rest } = splitModules(LIST, kind);
    assert.deepEqual([...first, ...rest], LIST);
    return first.map(moduleName);
  };
  assert.deepEqual(names("virtio-serial"), ["virtio", "virtio_ring", "virtio_pci", "virtio_console"]);
  assert.equal(names("vsock").at(-1), "vmw_vsock_virtio_transport");
  assert.deepEqual(names("unix"), []);
  assert.deepEqual(splitModules([], "vsock"), { first: [], rest: [] });
});

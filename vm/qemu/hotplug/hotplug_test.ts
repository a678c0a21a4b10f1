import assert from "node:assert/strict";
import { delay } from "../../../sys/timer.ts";
import type { VmConfig } from "../../vmm.ts";
import { qemu } from "../qemu.ts";
import { type QmpClient, QmpError } from "../qmp.ts";
import { withTinyVm } from "../testing/config.ts";
import { VmEvents } from "../vm_events.ts";
import { Cpus } from "./cpus.ts";
import { MemoryModules } from "./memory.ts";
import { Disks } from "./disks.ts";
import { removeDevice, UnplugRefused } from "./removal.ts";
import { BridgeSlots } from "./slots.ts";

const GROWABLE: Partial<VmConfig> = { maxVcpus: 3, memoryMiB: 128, maxMemoryMiB: 640, memorySlots: 2 };

Deno.test("QEMU is given processors up to its places", () =>
  withTinyVm(async ({ config }) => {
    await using vm = await qemu.start({ ...config, ...GROWABLE });
    assert.deepEqual([vm.vcpus, vm.memoryMiB], [1, 128]);
    assert.equal(await vm.resizeCpus(2), 2);
    assert.equal(await vm.resizeCpus(9), 3);
    assert.equal(await vm.resizeCpus(1), 3, "emulated processors cannot be taken out");
    assert.equal(vm.vcpus, 3);
    const names = (await vm.vcpuThreads()).map((tid) =>
      Deno.readTextFileSync(`/proc/${vm.pid}/task/${tid}/comm`)
    );
    assert.deepEqual(names, ["CPU 0/TCG\n", "CPU 1/TCG\n", "CPU 2/TCG\n"]);
  }));

Deno.test("QEMU is given memory in whole blocks, up to its limit and its sockets", () =>
  withTinyVm(async ({ config }) => {
    await using vm = await qemu.start({ ...config, ...GROWABLE });
    assert.equal(await vm.resizeMemory(129, 128), 256);
    assert.equal(await vm.resizeMemory(200, 128), 256, "there is enough");
    assert.equal(await vm.resizeMemory(300, 128), 384);
    await assert.rejects(vm.resizeMemory(512, 128), {
      message: "cannot plug in 128 MiB of memory: all 2 memory slots of the VM are taken",
    });
  }));

Deno.test("memory stays below the limit", () =>
  withTinyVm(async ({ config }) => {
    await using vm = await qemu.start({ ...config, ...GROWABLE, maxMemoryMiB: 500 });
    assert.equal(await vm.resizeMemory(5000, 128), 384);
    assert.equal(await vm.resizeMemory(5000, 128), 384);
  }));

Deno.test("memory that QEMU refuses leaves nothing behind", () =>
  withTinyVm(async ({ config }) => {
    await using vm = await qemu.start({ ...config, ...GROWABLE });
    // not a multiple of a page
    await assert.rejects(
      vm.resizeMemory(128 + 0.0001, 0.0001),
      /^QmpError: QEMU cannot do "(object-add|device_add)"/,
    );
    assert.equal(await vm.resizeMemory(256, 128), 256);
  }));

Deno.test("a machine without sockets keeps its memory", () =>
  withTinyVm(async ({ config }) => {
    await using vm = await qemu.start(config);
    assert.equal(await vm.resizeMemory(512, 128), config.memoryMiB);
  }));

Deno.test("a virtio-mem device that the guest does not know gives no memory", () =>
  withTinyVm(async ({ config }) => {
    const sizes = { memoryMiB: 128, maxMemoryMiB: 640, virtioMem: true };
    await using vm = await qemu.start({ ...config, ...sizes });
    assert.equal(await vm.resizeMemory(128, 128), 128);
  }));

const DISKS: Partial<VmConfig> = { bridges: 1 };

Deno.test("QEMU is given disks, of files and read-only ones, at the lowest free places", () =>
  withTinyVm(async ({ config, folder }) => {
    const path = `${folder}/disk`;
    Deno.writeFileSync(path, new Uint8Array(1_048_576));
    const settings = { driver: "virtio-blk", aio: "io_uring", ioThread: false } as const;
    await using vm = await qemu.start({ ...config, ...DISKS, disks: settings });
    const first = await vm.addDisk({ path, isDevice: false, readonly: true });
    const second = await vm.addDisk({ path, isDevice: false, readonly: true });
    assert.deepEqual(first.address, { kind: "pci", path: "02/01" });
    assert.deepEqual(second.address, { kind: "pci", path: "02/02" });
    await assert.rejects(
      vm.addDisk({ path: `${folder}/none`, isDevice: false, readonly: true }),
      /QEMU cannot do "blockdev-add": Could not open .*none.*: No such file/,
    );
    const third = await vm.addDisk({ path, isDevice: false, readonly: true });
    assert.deepEqual(third.address, { kind: "pci", path: "02/03" });
  }));

Deno.test("the first SCSI disk brings its controller", () =>
  withTinyVm(async ({ config, folder }) => {
    const path = `${folder}/disk`;
    Deno.writeFileSync(path, new Uint8Array(1_048_576));
    const cache = { direct: false, noFlush: true };
    const settings = { driver: "virtio-scsi", aio: "threads", ioThread: true, cache } as const;
    await using vm = await qemu.start({ ...config, ...DISKS, disks: settings });
    const disks = [1, 2].map(() => vm.addDisk({ path, isDevice: false, readonly: true }));
    const addresses = (await Promise.all(disks)).map(({ address }) => address);
    assert.deepEqual(addresses, [{ kind: "scsi", address: "0:0" }, { kind: "scsi", address: "0:1" }]);
  }));

Deno.test("QEMU is given a disk that another process serves", () =>
  withTinyVm(async ({ config, folder }) => {
    const [image, socket] = [`${folder}/disk`, `${folder}/served.sock`];
    Deno.writeFileSync(image, new Uint8Array(1_048_576));
    const daemon = new Deno.Command("qemu-storage-daemon", {
      args: [
        ...["--blockdev", `driver=file,node-name=disk,filename=${image}`],
        ...[
          "--export",
          `type=vhost-user-blk,id=served,node-name=disk,writable=on,addr.type=unix,addr.path=${socket}`,
        ],
      ],
      stdin: "null",
    }).spawn();
    try {
      while (!Array.from(Deno.readDirSync(folder), ({ name }) => name).includes("served.sock")) {
        await delay(5);
      }
      await using vm = await qemu.start({ ...config, ...DISKS, shareMemory: true });
      const disk = { path: socket, isDevice: false, readonly: false, served: { reconnectS: 0 } };
      assert.deepEqual((await vm.addDisk(disk)).address, { kind: "pci", path: "02/01" });
      const gone = { ...disk, path: `${folder}/none.sock` };
      await assert.rejects(vm.addDisk(gone), /QEMU cannot do "chardev-add": .*none\.sock.*No such file/);
    } finally {
      daemon.kill();
      await daemon.status;
    }
  }));

Deno.test("a machine without bridges has no place for a disk", () =>
  withTinyVm(async ({ config, folder }) => {
    await using vm = await qemu.start(config);
    await assert.rejects(
      vm.addDisk({ path: folder, isDevice: false, readonly: true }),
      /QEMU cannot do "blockdev-add"/,
    );
    const path = `${folder}/disk`;
    Deno.writeFileSync(path, new Uint8Array(1_048_576));
    await assert.rejects(vm.addDisk({ path, isDevice: false, readonly: true }), {
      message: "the VM has no place for another device: it has no bridge",
    });
  }));

/** QEMU as it answers where the guest decides, which a real guest cannot be made to on purpose. */
class Scripted {
  readonly events = new VmEvents();
  readonly commands: string[] = [];
  readonly #answer: (device: string, events: VmEvents) => void;

  constructor(answer: (device: string, events: VmEvents) => void) {
    this.#answer = answer;
  }

  get plugs() {
    return { qmp: this as unknown as QmpClient, events: this.events };
  }

  execute(command: string, args: { id?: string; "node-name"?: string } = {}): Promise<unknown> {
    this.commands.push(`${command} ${args.id ?? args["node-name"] ?? ""}`.trim());
    if (command === "device_del") this.#answer(args.id ?? "", this.events);
    const free = { type: "cpu", props: { "socket-id": 1 } };
    return Promise.resolve(command === "query-hotpluggable-cpus" ? [free, free] : {});
  }
}

const gone = (device: string, events: VmEvents) => events.take({ name: "DEVICE_DELETED", data: { device } });
const refused = (device: string, events: VmEvents) =>
  events.take({ name: "DEVICE_UNPLUG_GUEST_ERROR", data: { device } });

Deno.test("a device is removed when QEMU says that it is gone, not when it was asked", async () => {
  const qemu = new Scripted((device, events) => {
    gone("other", events);
    gone(device, events);
  });
  await removeDevice(qemu.plugs, "disk");
  const silent = new Scripted((_, events) => gone("other", events));
  await assert.rejects(removeDevice(silent.plugs, "disk", 5), {
    name: "UnplugRefused",
    message: 'cannot unplug device "disk": the guest has not let go of it within 5 ms',
  });
  await assert.rejects(removeDevice(new Scripted(refused).plugs, "disk"), UnplugRefused);
});

Deno.test("a device that went late is gone, and one that QEMU keeps is kept", async () => {
  const says = (errorClass: string) =>
    new Scripted(() => {
      throw new QmpError("device_del", errorClass, "it says so");
    });
  await removeDevice(says("DeviceNotFound").plugs, "disk");
  await assert.rejects(removeDevice(says("GenericError").plugs, "disk"), {
    name: "UnplugRefused",
    message: 'QEMU cannot do "device_del": it says so',
  });
});

Deno.test("memory goes newest first, as long as what is left is enough", async () => {
  const qemu = new Scripted(gone);
  const backend = { type: "memory-backend-ram", properties: {} } as const;
  const memory = new MemoryModules(qemu.plugs, { atBootMiB: 256, mostMiB: 4096 }, 3, backend);
  for (const wanted of [384, 768, 1024]) await memory.resize(wanted, 128);
  qemu.commands.length = 0;
  assert.equal(await memory.resize(500, 128), 768);
  assert.equal(await memory.resize(100, 128), 256);
  assert.deepEqual(qemu.commands, [
    ...["device_del dimm-2", "object-del mem-2"],
    ...["device_del dimm-1", "object-del mem-1"],
    ...["device_del dimm-0", "object-del mem-0"],
  ]);
});

Deno.test("memory and processors that the guest keeps are kept in the books", async () => {
  const qemu = new Scripted(refused);
  const backend = { type: "memory-backend-ram", properties: {} } as const;
  const memory = new MemoryModules(qemu.plugs, { atBootMiB: 256, mostMiB: 4096 }, 3, backend);
  await memory.resize(512, 128);
  assert.equal(await memory.resize(256, 128), 512);
  const cpus = new Cpus(qemu.plugs, { atBoot: 1, most: 3, canRemove: true });
  assert.equal(await cpus.resize(3), 3);
  assert.equal(await cpus.resize(1), 3);
});

Deno.test("processors go newest first, down to those at boot", async () => {
  const qemu = new Scripted(gone);
  const cpus = new Cpus(qemu.plugs, { atBoot: 1, most: 3, canRemove: true });
  await cpus.resize(3);
  qemu.commands.length = 0;
  assert.equal(await cpus.resize(0), 1);
  assert.deepEqual(qemu.commands, ["device_del cpu-1", "device_del cpu-0"]);
});

Deno.test("a disk goes before what is behind it, and its place is free again", async () => {
  const qemu = new Scripted(gone);
  const settings = { driver: "virtio-blk", aio: "threads", ioThread: false } as const;
  const disks = new Disks({
    plugs: qemu.plugs,
    slots: new BridgeSlots(1),
    hasScsi: false,
    queues: 1,
    settings,
  });
  const disk = { path: "/dev/x", isDevice: true, readonly: false };
  const first = await disks.add(disk);
  qemu.commands.length = 0;
  await first[Symbol.asyncDispose]();
  assert.deepEqual(qemu.commands, ["device_del disk-0", "blockdev-del drive-0"]);
  assert.deepEqual((await disks.add(disk)).address, { kind: "pci", path: "02/01" });
});

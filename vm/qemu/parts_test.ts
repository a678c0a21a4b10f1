import assert from "node:assert/strict";
import type { VmConfig } from "../vmm.ts";
import { qemu } from "./qemu.ts";
import { withTinyVm } from "./testing/config.ts";

const MIB = 1_048_576;

const image = { path: "DIR/disk", sizeBytes: 4 * MIB, fsType: "ext4" } as const;
const growing = { memoryMiB: 128, memorySlots: 10, maxMemoryMiB: 1024 };

/** Parts that a machine without any special hardware can have, by a name. */
const PARTS: Readonly<Record<string, Partial<VmConfig>>> = {
  "memory that can grow": growing,
  "memory that can grow further than emulated processors address": { ...growing, maxMemoryMiB: 16 * MIB },
  "processors that can be plugged in": { vcpus: 1, maxVcpus: 8 },
  "bridges": { bridges: 5 },
  "a SCSI controller": { scsi: { ioThread: false } },
  "a SCSI controller with a thread": { scsi: { ioThread: true } },
  "an image as memory": { ...growing, initrd: undefined, image: { ...image, asMemory: true } },
  "an image as disk": { initrd: undefined, image: { ...image, asMemory: false } },
  "memory in small pieces": { ...growing, virtioMem: true },
  "a balloon": { balloon: true },
  "memory that is taken at once": { preallocate: true },
  "shared memory": { shareMemory: true },
  "memory in files": { fileMemBackend: "DIR" },
  "an IOMMU": { iommu: true, iommuPlatform: true },
  "ports": { ports: { kind: "root", count: 16 } },
  "ports behind a switch": { ports: { kind: "switch", count: 4 } },
  "a panic device": { memoryDump: { folder: "DIR/dumps", paging: false } },
  "one more monitor for people": { extraMonitor: "hmp" },
  "one more monitor for programs": { extraMonitor: "qmp" },
  "one more monitor for both": { extraMonitor: "qmp-pretty" },
  "all together": {
    ...growing,
    maxVcpus: 4,
    bridges: 1,
    scsi: { ioThread: true },
    virtioMem: true,
    balloon: true,
    ports: { kind: "root", count: 2 },
    iommu: true,
    image: { ...image, asMemory: true },
  },
  "a small machine": { machineType: "microvm", scsi: { ioThread: false }, bridges: 1 },
};

function inFolder<T>(value: T, folder: string): T {
  return JSON.parse(JSON.stringify(value).replaceAll("DIR", folder));
}

Deno.test("QEMU takes the arguments of every part of a machine", async (t) => {
  for (const [name, parts] of Object.entries(PARTS)) {
    await t.step(name, () =>
      withTinyVm(async ({ folder, config, line }) => {
        Deno.writeFileSync(`${folder}/disk`, new Uint8Array(4 * MIB));
        await using vm = await qemu.start({ ...config, ...inFolder(parts, folder) });
        await line(/^tiny kernel$/);
        if (parts.extraMonitor) assert.ok(Deno.statSync(`${config.dir}/extra-monitor.sock`).isSocket);
        await vm.stop();
        assert.equal((await vm.exited).cause, "stopped");
      }));
  }
});

import assert from "node:assert/strict";
import { vmSize, workloadOf } from "./sizing.ts";
import { testSpec } from "./testing/fake_host.ts";

const MIB = 1_048_576;
const most = { vcpus: 8, memoryMiB: 16_384 };
const defaults = { vcpus: 1, memoryMiB: 2048 };

function workload(cpu: object | undefined, memory: object | undefined) {
  return workloadOf(testSpec({ linux: { resources: { cpu, memory } } }));
}

Deno.test("a workload is quota by period, and whole mebibytes", () => {
  assert.deepEqual(workloadOf(testSpec({ linux: undefined })), { cpus: 0, memoryMiB: 0 });
  assert.deepEqual(workload({ quota: 150_000, period: 100_000 }, { limit: 3 * MIB + 1 }), {
    cpus: 1.5,
    memoryMiB: 3,
  });
  assert.deepEqual(workload({ quota: -1, period: 100_000 }, { limit: -1 }), { cpus: 0, memoryMiB: 0 });
  assert.deepEqual(workload({ quota: 100_000 }, { limit: 0n }), { cpus: 0, memoryMiB: 0 });
});

Deno.test("a machine has its defaults and the workload, and not more than there is", () => {
  assert.deepEqual(vmSize(defaults, { cpus: 0, memoryMiB: 0 }, most), { vcpus: 1, memoryMiB: 2048 });
  assert.deepEqual(vmSize(defaults, { cpus: 0.5, memoryMiB: 100 }, most), { vcpus: 2, memoryMiB: 2148 });
  assert.deepEqual(vmSize({ vcpus: 0.5, memoryMiB: 256 }, { cpus: 0.5, memoryMiB: 0 }, most), {
    vcpus: 1,
    memoryMiB: 256,
  });
  assert.deepEqual(vmSize(defaults, { cpus: 64, memoryMiB: 99_999 }, most), { vcpus: 8, memoryMiB: 16_384 });
});

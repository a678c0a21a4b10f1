import assert from "node:assert/strict";
import { testSpec } from "../testing/fake_host.ts";
import { announcedWorkload, merged, NO_WORKLOAD, totalOf, vmSize, workloadOf } from "./sizing.ts";

const MIB = 1_048_576;
const most = { vcpus: 8, memoryMiB: 16_384 };
const defaults = { vcpus: 1, memoryMiB: 2048 };

Deno.test("a workload is quota by period, and whole mebibytes", () => {
  assert.deepEqual(workloadOf(undefined), NO_WORKLOAD);
  const cpu = { quota: 150_000, period: 100_000 };
  assert.deepEqual(workloadOf({ cpu, memory: { limit: 3 * MIB + 1 } }), {
    ...NO_WORKLOAD,
    cpus: 1.5,
    memoryMiB: 3,
  });
  assert.deepEqual(workloadOf({ cpu: { ...cpu, quota: -1 }, memory: { limit: -1 } }), NO_WORKLOAD);
  assert.deepEqual(workloadOf({ cpu: { quota: 100_000 }, memory: { limit: 0n } }), NO_WORKLOAD);
});

Deno.test("huge pages are memory, too", () => {
  const hugepageLimits = [{ pageSize: "2MB", limit: BigInt(6 * MIB) }, { pageSize: "1GB", limit: 0n }];
  assert.equal(workloadOf({ hugepageLimits, memory: { limit: MIB } }).memoryMiB, 7);
});

const LISTS: readonly (readonly [list: string, count: number])[] = [
  ["", 0],
  ["0", 1],
  ["0-3,7", 5],
  [" 1 , 2-2", 2],
  ["3-1", 0],
  ["x", 0],
];
for (const [list, count] of LISTS) {
  Deno.test(`a workload bound to CPUs "${list}" is bound to ${count}`, () => {
    assert.equal(workloadOf({ cpu: { cpus: list } }).boundTo, count);
  });
}

Deno.test("a machine has its defaults and the workload, and not more than there is", () => {
  const sized = (cpus: number, memoryMiB: number, of = defaults) =>
    vmSize(of, { cpus, memoryMiB, boundTo: 0 }, most);
  assert.deepEqual(sized(0, 0), { vcpus: 1, memoryMiB: 2048 });
  assert.deepEqual(sized(0.5, 100), { vcpus: 2, memoryMiB: 2148 });
  assert.deepEqual(sized(0.5, 0, { vcpus: 0.5, memoryMiB: 256 }), { vcpus: 1, memoryMiB: 256 });
  assert.deepEqual(sized(64, 99_999), { vcpus: 8, memoryMiB: 16_384 });
});

Deno.test("fractions that add up to a whole number need no further CPU", () => {
  // 0.8 + 1.6 + 0.6 is 3.0000000000000004 for a computer
  const parts = [0.8, 1.6, 0.6].map((cpus) => ({ ...NO_WORKLOAD, cpus }));
  assert.equal(vmSize(defaults, totalOf(parts), most).vcpus, 4);
  assert.equal(vmSize(defaults, { ...NO_WORKLOAD, cpus: 0.001 }, most).vcpus, 2);
});

Deno.test("values without sense ask for nothing, and huge ones for all that there is", () => {
  for (const quota of [0, -1, -(2 ** 53)]) {
    assert.equal(workloadOf({ cpu: { quota, period: 100_000 }, memory: { limit: -5 } }).cpus, 0);
  }
  assert.equal(workloadOf({ cpu: { quota: 50_000, period: 0 } }).cpus, 0);
  const huge = { cpu: { quota: 2n ** 62n, period: 1_000 }, memory: { limit: 2n ** 63n - 1n } };
  assert.deepEqual(vmSize(defaults, workloadOf(huge), most), most);
});

Deno.test("an update that says 0 changes nothing, and one that says -1 takes the limit away", () => {
  const before = { cpu: { quota: 100_000, period: 100_000 }, memory: { limit: 64 * MIB } };
  assert.deepEqual(
    workloadOf(merged(before, { cpu: { quota: 0 }, memory: { limit: 0 } })),
    workloadOf(before),
  );
  assert.deepEqual(workloadOf(merged(before, { cpu: { quota: -1 }, memory: { limit: -1n } })), NO_WORKLOAD);
});

Deno.test("CPUs that containers are bound to count where none has a quota", () => {
  const bound = { ...NO_WORKLOAD, boundTo: 2 };
  assert.equal(vmSize(defaults, totalOf([bound, bound]), most).vcpus, 5);
  assert.equal(vmSize(defaults, totalOf([bound, { ...bound, cpus: 0.5 }]), most).vcpus, 2);
});

Deno.test("parts of CPUs are rounded up once, not once for each container", () => {
  const half = { ...NO_WORKLOAD, cpus: 0.25, memoryMiB: 10 };
  assert.deepEqual(vmSize(defaults, totalOf([half, half, half]), most), { vcpus: 2, memoryMiB: 2078 });
});

Deno.test("a pod announces by annotations, another container by its limits", () => {
  const annotations = {
    "io.kubernetes.cri.sandbox-cpu-quota": "250000",
    "io.kubernetes.cri.sandbox-cpu-period": "100000",
    "io.kubernetes.cri.sandbox-memory": String(64 * MIB + 5),
  };
  assert.deepEqual(announcedWorkload(testSpec({ annotations })), { cpus: 2.5, boundTo: 0, memoryMiB: 64 });
  const linux = { resources: { memory: { limit: 8 * MIB } } };
  assert.deepEqual(announcedWorkload(testSpec({ linux })), { ...NO_WORKLOAD, memoryMiB: 8 });
});

Deno.test("an update changes what it names", () => {
  const before = { cpu: { quota: 50_000, period: 100_000, shares: 2 }, memory: { limit: MIB } };
  assert.deepEqual(merged(before, { cpu: { quota: 200_000, period: 0 } }), {
    cpu: { quota: 200_000, period: 100_000, shares: 2 },
    memory: { limit: MIB },
  });
  assert.equal(workloadOf(merged(before, { cpu: { quota: -1 }, memory: { limit: -1 } })).cpus, 0);
  assert.deepEqual(merged(undefined, { memory: { limit: 5 } }).memory, { limit: 5 });
});

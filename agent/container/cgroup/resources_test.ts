import assert from "node:assert/strict";
import type { Resources } from "../../../oci/spec.ts";
import { resourceWrites, weightOfShares } from "./resources.ts";

/**
 * The writes as lines such as `memory.max=4096`; what stands in for a missing file after `or`, `?` for
 * optional ones, `!` for those that may be too early.
 */
function lines(resources: Resources): string[] {
  return resourceWrites(resources).map(({ file, value, instead, optional, attempt }) =>
    `${file}=${value}${instead ? ` or ${instead.file}=${instead.value}` : ""}${optional ? "?" : ""}${
      attempt ? "!" : ""
    }`
  );
}

Deno.test("limits become writes to version 2 files, in the order of the controllers, files by name last", () => {
  assert.deepEqual(
    lines({
      unified: { "memory.high": "1\n2", "pids.max": "max" },
      hugepageLimits: [{ pageSize: "2MB", limit: 4194304 }],
      cpu: { shares: 1024, quota: 50000, period: 100000, burst: 5, idle: 0, cpus: "0-1", mems: "0" },
      memory: { limit: 4096, reservation: 1024, swap: 8192 },
      pids: { limit: 10 },
      rdma: { mlx5_1: { hcaHandles: 3 } },
    }),
    [
      "pids.max=10",
      "memory.max=4096",
      "memory.low=1024",
      "memory.swap.max=4096",
      "cpu.idle=0",
      "cpu.weight=100",
      "cpu.max.burst=5!",
      "cpu.max=50000 100000",
      "cpu.max.burst=5",
      "cpuset.cpus=0-1",
      "cpuset.mems=0",
      "hugetlb.2MB.max=4194304",
      "hugetlb.2MB.rsvd.max=4194304?",
      "rdma.max=mlx5_1 hca_handle=3 hca_object=max",
      "memory.high=1",
      "memory.high=2",
      "pids.max=max",
    ],
  );
});

Deno.test("what is not set is not written", () => {
  assert.deepEqual(lines({}), []);
  assert.deepEqual(
    lines({
      memory: { limit: 0, swap: 0, kernel: 5, useHierarchy: true },
      cpu: { shares: 0, quota: 0 },
      pids: {},
    }),
    [],
  );
  assert.deepEqual(lines({ devices: [], network: {}, memory: { disableOOMKiller: false } }), []);
});

Deno.test("huge pages that are forbidden need not be there", () => {
  assert.deepEqual(lines({ hugepageLimits: [{ pageSize: "1GB", limit: 0 }] }), [
    "hugetlb.1GB.max=0?",
    "hugetlb.1GB.rsvd.max=0?",
  ]);
});

Deno.test("an idle group has no weight of its own", () => {
  assert.deepEqual(lines({ cpu: { idle: 1, shares: 1024 } }), ["cpu.idle=1"]);
  assert.deepEqual(lines({ cpu: { burst: 7 } }), ["cpu.max.burst=7"]);
});

Deno.test("negative limits are none", () => {
  assert.deepEqual(lines({ pids: { limit: -1 }, memory: { limit: -1 } }), [
    "pids.max=max",
    "memory.max=max",
    "memory.swap.max=max?",
  ]);
  assert.deepEqual(lines({ cpu: { quota: -1 } }), ["cpu.max=max 100000"]);
  assert.deepEqual(lines({ cpu: { period: 50000 } }), ["cpu.max=max 50000"]);
  assert.deepEqual(lines({ pids: { limit: 0 } }), ["pids.max=1"]);
});

Deno.test("swap is counted without memory", () => {
  const swap = (limit: number | bigint | undefined, value: number | bigint) =>
    lines({ memory: { swap: value, ...(limit !== undefined && { limit }) } }).at(-1);
  assert.equal(swap(100, 100), "memory.swap.max=0?");
  assert.equal(swap(100, 300), "memory.swap.max=200");
  assert.equal(swap(100, -1), "memory.swap.max=max?");
  assert.equal(swap(-1, 300), "memory.swap.max=300");
  assert.equal(swap(1n << 60n, (1n << 60n) + 1n), "memory.swap.max=1");
  assert.throws(() => swap(undefined, 300), {
    message: "linux.resources.memory.swap needs a limit of memory, too: it is 300",
  });
  assert.throws(() => swap(400, 300), {
    message: "linux.resources.memory.swap must not be below the memory limit 400: it is 300",
  });
});

Deno.test("shares become weights on the curve through (2, 1), (1024, 100), (262144, 10000)", () => {
  const pairs = [[0, 1], [2, 1], [1024, 100], [262_144, 10_000], [1e9, 10_000]];
  for (const [shares = 0, weight] of pairs) assert.equal(weightOfShares(shares), weight, `${shares}`);
  const weights = Array.from({ length: 18 }, (_, index) => weightOfShares(2 ** (index + 1)));
  assert.deepEqual(weights, weights.toSorted((a, b) => a - b));
});

Deno.test("block I/O has weights of either scheduler, and throttles", () => {
  assert.deepEqual(
    lines({
      blockIO: {
        weight: 500,
        weightDevice: [{ major: 8, minor: 0, weight: 10 }],
        throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1000 }],
        throttleWriteIOPSDevice: [{ major: 8, minor: 16, rate: 0 }],
      },
    }),
    [
      "io.bfq.weight=500 or io.weight=4950",
      "io.bfq.weight=8:0 10 or io.weight=8:0 1",
      "io.max=8:0 rbps=1000",
      "io.max=8:16 wiops=max",
    ],
  );
});

Deno.test("what version 2 does not have, or nobody could mean, is refused by name", () => {
  const cases: [Resources, string][] = [
    [
      { memory: { swappiness: 0 } },
      "memory.swappiness is not supported: version 2 of cgroups has nothing like it",
    ],
    [{ memory: { disableOOMKiller: true } }, "memory.disableOOMKiller is not supported"],
    [{ cpu: { realtimeRuntime: 5 } }, "cpu.realtimeRuntime is not supported"],
    [{ network: { classID: 5 } }, "network.classID is not supported"],
    [{ blockIO: { leafWeight: 5 } }, "blockIO.leafWeight is not supported"],
    [
      { blockIO: { weightDevice: [{ major: 8, minor: 0, weight: 5, leafWeight: 5 }] } },
      "blockIO.weightDevice[0].leafWeight is not supported",
    ],
    [{ rdma: { mlx: {} } }, 'rdma["mlx"] must have hcaHandles or hcaObjects, or both: it has neither'],
    [
      { hugepageLimits: [{ pageSize: "../x", limit: 1 }] },
      `hugepageLimits[0].pageSize must be a size such as "2MB": it is "../x"`,
    ],
    [{ unified: { "../cgroup.procs": "1" } }, `unified["../cgroup.procs"] is not the name of a cgroup file`],
    [{ unified: { "cgroup.procs": "1" } }, `unified["cgroup.procs"] is not supported: it is no limit`],
    [{ unified: { "memory/high": "1" } }, `unified["memory/high"] is not the name of a cgroup file`],
  ];
  for (const [resources, problem] of cases) {
    assert.throws(
      () => resourceWrites(resources),
      (error: Error) => error.message.startsWith(`linux.resources.${problem}`),
    );
  }
  assert.throws(
    () => resourceWrites({ memory: { swap: 1 } }, "resources"),
    /^SpecError: resources\.memory\.swap needs/,
  );
});

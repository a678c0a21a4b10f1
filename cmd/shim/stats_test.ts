import assert from "node:assert/strict";
import { CgroupStatsSchema } from "../../rpc/gen/agent_pb.ts";
import { type BlkIOEntry, MetricsSchema } from "../../rpc/gen/cgroups_v1_pb.ts";
import { create, fromBinary } from "../../rpc/message.ts";
import { packMetrics, toMetrics } from "./stats.ts";

Deno.test("counters become cgroup version 2 metrics, times in microseconds", () => {
  const stats = create(CgroupStatsSchema, {
    cpuStats: {
      cpuUsage: { totalUsage: 5_000_999n, usageInKernelmode: 2_000_000n, usageInUsermode: 3_000_000n },
      throttlingData: { periods: 10n, throttledPeriods: 2n, throttledTime: 4_000n },
    },
    memoryStats: {
      usage: { usage: 100n, limit: 2n ** 64n - 1n, maxUsage: 200n },
      swapUsage: { usage: 7n, limit: 8n },
      stats: { anon: 1n, inactive_file: 2n, workingset_refault_anon: 3n, something_new: 4n },
    },
    pidsStats: { current: 3n, limit: 0n },
    blkioStats: {
      ioServiceBytesRecursive: [
        { major: 8n, minor: 0n, op: "read", value: 1n },
        { major: 8n, minor: 0n, op: "Write", value: 2n },
        { major: 8n, minor: 0n, op: "rios", value: 3n },
        { major: 8n, minor: 0n, op: "dios", value: 9n },
        { major: 8n, minor: 16n, op: "wios", value: 4n },
      ],
    },
    hugetlbStats: { "2MB": { usage: 5n, maxUsage: 6n, failcnt: 1n } },
  });
  assert.deepEqual(toMetrics(stats), {
    pids: { current: 3n, limit: 0n },
    cpu: {
      usageUsec: 5_000n,
      userUsec: 3_000n,
      systemUsec: 2_000n,
      nrPeriods: 10n,
      nrThrottled: 2n,
      throttledUsec: 4n,
    },
    memory: {
      anon: 1n,
      inactiveFile: 2n,
      workingsetRefaultAnon: 3n,
      usage: 100n,
      usageLimit: 2n ** 64n - 1n,
      maxUsage: 200n,
      swapUsage: 7n,
      swapLimit: 8n,
      swapMaxUsage: 0n,
    },
    io: {
      usage: [
        { major: 8n, minor: 0n, rbytes: 1n, wbytes: 2n, rios: 3n, wios: 0n },
        { major: 8n, minor: 16n, rbytes: 0n, wbytes: 0n, rios: 0n, wios: 4n },
      ],
    },
    hugetlb: [{ pagesize: "2MB", current: 5n, max: 6n, failcnt: 1n }],
  });
});

Deno.test("counters that are not there stay away", () => {
  assert.deepEqual(toMetrics(create(CgroupStatsSchema)), {
    pids: undefined,
    cpu: undefined,
    memory: undefined,
    io: undefined,
    hugetlb: [],
  });
});

Deno.test("hosts with cgroup version 1 get the same counters under other names, times in nanoseconds", async () => {
  const memory = {
    usage: 100n,
    usageLimit: 200n,
    maxUsage: 150n,
    anon: 1n,
    file: 2n,
    inactiveFile: 3n,
    pgmajfault: 4n,
  };
  const metrics = {
    pids: { current: 3n, limit: 5n },
    cpu: { usageUsec: 5n, userUsec: 3n, systemUsec: 2n, nrPeriods: 9n, nrThrottled: 8n, throttledUsec: 7n },
    memory: { ...memory, swapUsage: 6n, kernelStack: 10n, slab: 20n },
    io: { usage: [{ major: 8n, minor: 1n, rbytes: 1n, wbytes: 2n, rios: 3n, wios: 4n }] },
    hugetlb: [{ pagesize: "2MB", current: 5n, max: 6n, failcnt: 1n }],
  };
  const any = await packMetrics(metrics, 1);
  assert.equal(any.typeUrl, "io.containerd.cgroups.v1.Metrics");
  const v1 = fromBinary(MetricsSchema, any.value);
  assert.deepEqual(v1.cpu?.usage, { total: 5_000n, user: 3_000n, kernel: 2_000n, perCpu: [] });
  assert.deepEqual(v1.cpu?.throttling, { periods: 9n, throttledPeriods: 8n, throttledTime: 7_000n });
  assert.deepEqual([v1.pids?.current, v1.pids?.limit], [3n, 5n]);
  const { usage, kernel, swap, totalRss, rss, totalCache, totalInactiveFile, totalPgMajFault } = v1.memory ??
    {};
  assert.deepEqual(usage, { usage: 100n, limit: 200n, max: 150n, failcnt: 0n });
  assert.deepEqual([kernel?.usage, swap?.usage], [30n, 6n]);
  assert.deepEqual([totalRss, rss, totalCache, totalInactiveFile, totalPgMajFault], [1n, 1n, 2n, 3n, 4n]);
  const io = (list: readonly BlkIOEntry[] | undefined) =>
    list?.map(({ op, major, minor, value }) => [op, major, minor, value]);
  assert.deepEqual(io(v1.blkio?.ioServiceBytesRecursive), [["Read", 8n, 1n, 1n], ["Write", 8n, 1n, 2n]]);
  assert.deepEqual(io(v1.blkio?.ioServicedRecursive), [["Read", 8n, 1n, 3n], ["Write", 8n, 1n, 4n]]);
  assert.deepEqual(v1.hugetlb, [{ pagesize: "2MB", usage: 5n, max: 6n, failcnt: 1n }]);
  assert.equal((await packMetrics(metrics, 2)).typeUrl, "io.containerd.cgroups.v2.Metrics");
  const nothing = fromBinary(MetricsSchema, (await packMetrics({}, 1)).value);
  assert.deepEqual([nothing.cpu, nothing.memory, nothing.blkio], [undefined, undefined, undefined]);
});

Deno.test("operations that nobody knows are left out, whatever they are called", () => {
  const entry = (op: string) => ({ major: 8n, minor: 0n, op, value: 1n });
  const ioServiceBytesRecursive = ["__proto__", "constructor", "toString", "Read", "discard"].map(entry);
  const { io } = toMetrics(create(CgroupStatsSchema, { blkioStats: { ioServiceBytesRecursive } }));
  assert.deepEqual(io?.usage, [{ major: 8n, minor: 0n, rbytes: 1n, wbytes: 0n, rios: 0n, wios: 0n }]);
});

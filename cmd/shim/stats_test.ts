import assert from "node:assert/strict";
import { CgroupStatsSchema } from "../../rpc/gen/agent_pb.ts";
import { create } from "../../rpc/message.ts";
import { toMetrics } from "./stats.ts";

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

/**
 * A container's counters, from the agent's form to containerd's.
 *
 * @module
 */

import type { BlkioStatsEntry, CgroupStats, CpuStats, MemoryStats } from "../../rpc/gen/agent_pb.ts";
import {
  type CPUStat,
  type HugeTlbStat,
  type IOEntry,
  type MemoryStat,
  MemoryStatSchema,
  type Metrics,
  MetricsSchema,
} from "../../rpc/gen/cgroups_v2_pb.ts";
import { packAny } from "../../rpc/any.ts";
import type { Any } from "../../rpc/gen/google/protobuf/any_pb.ts";
import type { Init } from "../../rpc/message.ts";
import { FS_MAGIC, statfs } from "../../sys/statfs.ts";

/** How counters say that there is no limit. */
const UNLIMITED = 2n ** 64n - 1n;

const NANOSECONDS_PER_MICROSECOND = 1000n;

/** Which version of cgroups a host counts by, as clients decide it; one without cgroups by the newer. */
export function hostCgroupVersion(): 1 | 2 {
  try {
    return statfs("/sys/fs/cgroup").type === FS_MAGIC.tmpfs ? 1 : 2;
  } catch {
    return 2;
  }
}

/** In the message that clients expect on a host with this version of cgroups. */
export async function packMetrics(metrics: Init<Metrics>, version = hostCgroupVersion()): Promise<Any> {
  if (version === 2) return packAny(MetricsSchema, metrics);
  const [v1, { toVersion1 }] = await Promise.all([
    import("../../rpc/gen/cgroups_v1_pb.ts"),
    import("./stats_v1.ts"),
  ]);
  return packAny(v1.MetricsSchema, toVersion1(metrics));
}

/** As cgroup version 2 counts: the guest has no other. */
export function toMetrics(stats: CgroupStats): Init<Metrics> {
  const { cpuStats, memoryStats, pidsStats, blkioStats, hugetlbStats } = stats;
  return {
    pids: pidsStats && { current: pidsStats.current, limit: pidsStats.limit },
    cpu: cpuStats && cpuStat(cpuStats),
    memory: memoryStats && memoryStat(memoryStats),
    io: blkioStats && { usage: ioEntries(blkioStats.ioServiceBytesRecursive) },
    hugetlb: Object.entries(hugetlbStats).map(([pagesize, stat]): Init<HugeTlbStat> => (
      { pagesize, current: stat.usage, max: stat.maxUsage, failcnt: stat.failcnt }
    )),
  };
}

/** Sums of counters that several containers have; limits, which do not add up, are left out. */
export function sumOfMetrics(list: readonly Init<Metrics>[]): Init<Metrics> {
  return {
    pids: { current: list.reduce((sum, { pids }) => sum + (pids?.current ?? 0n), 0n) },
    cpu: sumOf(list.map(({ cpu }) => cpu ?? {})),
    memory: { ...sumOf(list.map(({ memory }) => memory ?? {})), usageLimit: UNLIMITED, swapLimit: UNLIMITED },
  };
}

function sumOf(list: readonly object[]): Record<string, bigint> {
  const sums: Record<string, bigint> = {};
  for (const [name, value] of list.flatMap(Object.entries)) {
    if (typeof value === "bigint") sums[name] = (sums[name] ?? 0n) + value;
  }
  return sums;
}

function cpuStat({ cpuUsage, throttlingData }: CpuStats): Init<CPUStat> {
  return {
    usageUsec: microseconds(cpuUsage?.totalUsage),
    userUsec: microseconds(cpuUsage?.usageInUsermode),
    systemUsec: microseconds(cpuUsage?.usageInKernelmode),
    nrPeriods: throttlingData?.periods ?? 0n,
    nrThrottled: throttlingData?.throttledPeriods ?? 0n,
    throttledUsec: microseconds(throttlingData?.throttledTime),
  };
}

function microseconds(nanoseconds: bigint | undefined): bigint {
  return (nanoseconds ?? 0n) / NANOSECONDS_PER_MICROSECOND;
}

function memoryStat({ stats, usage, swapUsage }: MemoryStats): Init<MemoryStat> {
  return {
    ...memoryLines(stats),
    usage: usage?.usage ?? 0n,
    usageLimit: usage?.limit ?? 0n,
    maxUsage: usage?.maxUsage ?? 0n,
    swapUsage: swapUsage?.usage ?? 0n,
    swapLimit: swapUsage?.limit ?? 0n,
    swapMaxUsage: swapUsage?.maxUsage ?? 0n,
  };
}

/** The kernel's names in `memory.stat` are those of the message's fields. */
function memoryLines(stats: Readonly<Record<string, bigint>>): Record<string, bigint> {
  const lines: Record<string, bigint> = {};
  for (const [, name] of MemoryStatSchema.fields) {
    const value = stats[name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)];
    if (value !== undefined) lines[name] = value;
  }
  return lines;
}

const IO_FIELDS: Readonly<Record<string, "rbytes" | "wbytes" | "rios" | "wios">> = {
  read: "rbytes",
  write: "wbytes",
  rios: "rios",
  wios: "wios",
};

/** One entry per device instead of one per device and operation. */
function ioEntries(entries: readonly BlkioStatsEntry[]): Init<IOEntry>[] {
  const devices = new Map<string, IOEntry>();
  for (const { major, minor, op, value } of entries) {
    const name = op.toLowerCase();
    const field = Object.hasOwn(IO_FIELDS, name) ? IO_FIELDS[name] : undefined;
    if (field === undefined) continue;
    const key = `${major}:${minor}`;
    const device = devices.get(key) ?? { major, minor, rbytes: 0n, wbytes: 0n, rios: 0n, wios: 0n };
    device[field] += value;
    devices.set(key, device);
  }
  return [...devices.values()];
}

/**
 * Counters as hosts with cgroups of version 1 have them: the guest counts by version 2, under other names.
 *
 * @module
 */

import type { BlkIOEntry, MemoryStat, Metrics } from "../../rpc/gen/cgroups_v1_pb.ts";
import type { IOEntry, MemoryStat as MemoryStat2, Metrics as Metrics2 } from "../../rpc/gen/cgroups_v2_pb.ts";
import type { Init } from "../../rpc/message.ts";

const NANOSECONDS_PER_MICROSECOND = 1000n;

/** The same counters. */
export function toVersion1({ pids, cpu, memory, io, hugetlb, memoryEvents }: Init<Metrics2>): Init<Metrics> {
  return {
    pids,
    cpu: cpu && {
      usage: {
        total: nanoseconds(cpu.usageUsec),
        user: nanoseconds(cpu.userUsec),
        kernel: nanoseconds(cpu.systemUsec),
      },
      throttling: {
        periods: cpu.nrPeriods,
        throttledPeriods: cpu.nrThrottled,
        throttledTime: nanoseconds(cpu.throttledUsec),
      },
    },
    memory: memory && memoryStat(memory),
    blkio: io && {
      ioServiceBytesRecursive: entries(io.usage, { Read: "rbytes", Write: "wbytes" }),
      ioServicedRecursive: entries(io.usage, { Read: "rios", Write: "wios" }),
    },
    hugetlb: hugetlb?.map(({ pagesize, current, max, failcnt }) => ({
      pagesize,
      usage: current,
      max,
      failcnt,
    })),
    memoryOomControl: memoryEvents && { oomKill: memoryEvents.oomKill },
  };
}

function nanoseconds(microseconds: bigint | undefined): bigint {
  return (microseconds ?? 0n) * NANOSECONDS_PER_MICROSECOND;
}

/** What stands once for a cgroup and once for it with all below it is the latter in version 2. */
function memoryStat(memory: Init<MemoryStat2>): Init<MemoryStat> {
  const { usage, usageLimit, maxUsage, swapUsage, swapLimit, swapMaxUsage } = memory;
  const { anon, file, anonThp, fileMapped, fileDirty, fileWriteback, pgfault, pgmajfault } = memory;
  const { inactiveAnon, activeAnon, inactiveFile, activeFile, unevictable } = memory;
  return {
    cache: file,
    totalCache: file,
    rss: anon,
    totalRss: anon,
    rssHuge: anonThp,
    totalRssHuge: anonThp,
    mappedFile: fileMapped,
    totalMappedFile: fileMapped,
    dirty: fileDirty,
    totalDirty: fileDirty,
    writeback: fileWriteback,
    totalWriteback: fileWriteback,
    pgFault: pgfault,
    totalPgFault: pgfault,
    pgMajFault: pgmajfault,
    totalPgMajFault: pgmajfault,
    inactiveAnon,
    totalInactiveAnon: inactiveAnon,
    activeAnon,
    totalActiveAnon: activeAnon,
    inactiveFile,
    totalInactiveFile: inactiveFile,
    activeFile,
    totalActiveFile: activeFile,
    unevictable,
    totalUnevictable: unevictable,
    hierarchicalMemoryLimit: usageLimit,
    usage: { usage, limit: usageLimit, max: maxUsage },
    swap: { usage: swapUsage, limit: swapLimit, max: swapMaxUsage },
    kernel: { usage: sum(memory.kernelStack, memory.slab, memory.sock) },
  };
}

function sum(...values: readonly (bigint | undefined)[]): bigint {
  return values.reduce<bigint>((total, value) => total + (value ?? 0n), 0n);
}

type Counter = "rbytes" | "wbytes" | "rios" | "wios";

/** One entry per device and operation. */
function entries(
  list: readonly Init<IOEntry>[] | undefined,
  operations: Readonly<Record<string, Counter>>,
): Init<BlkIOEntry>[] {
  return (list ?? []).flatMap((entry) =>
    Object.entries(operations).map(([op, counter]) => (
      { op, major: entry.major, minor: entry.minor, value: entry[counter] ?? 0n }
    ))
  );
}

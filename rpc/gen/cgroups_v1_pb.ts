// Generated from cgroups_v1.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Schema, message } from "../message.ts";

export interface Metrics {
  hugetlb: HugetlbStat[];
  pids?: PidsStat;
  cpu?: CPUStat;
  memory?: MemoryStat;
  blkio?: BlkIOStat;
  network: NetworkStat[];
  memoryOomControl?: MemoryOomControl;
}

export const MetricsSchema: Schema<Metrics> = message("io.containerd.cgroups.v1.Metrics", () => [
  [1, "hugetlb", HugetlbStatSchema, "repeated"],
  [2, "pids", PidsStatSchema],
  [3, "cpu", CPUStatSchema],
  [4, "memory", MemoryStatSchema],
  [5, "blkio", BlkIOStatSchema],
  [7, "network", NetworkStatSchema, "repeated"],
  [9, "memoryOomControl", MemoryOomControlSchema],
]);

export interface HugetlbStat {
  usage: bigint;
  max: bigint;
  failcnt: bigint;
  /** 2MB ... */
  pagesize: string;
}

export const HugetlbStatSchema: Schema<HugetlbStat> = message("io.containerd.cgroups.v1.HugetlbStat", () => [
  [1, "usage", "uint64"],
  [2, "max", "uint64"],
  [3, "failcnt", "uint64"],
  [4, "pagesize", "string"],
]);

export interface PidsStat {
  current: bigint;
  /** 0 = none */
  limit: bigint;
}

export const PidsStatSchema: Schema<PidsStat> = message("io.containerd.cgroups.v1.PidsStat", () => [
  [1, "current", "uint64"],
  [2, "limit", "uint64"],
]);

export interface CPUStat {
  usage?: CPUUsage;
  throttling?: Throttle;
}

export const CPUStatSchema: Schema<CPUStat> = message("io.containerd.cgroups.v1.CPUStat", () => [
  [1, "usage", CPUUsageSchema],
  [2, "throttling", ThrottleSchema],
]);

export interface CPUUsage {
  /** nanoseconds */
  total: bigint;
  /** ns */
  kernel: bigint;
  /** ns */
  user: bigint;
  /** ns, packed */
  perCpu: bigint[];
}

export const CPUUsageSchema: Schema<CPUUsage> = message("io.containerd.cgroups.v1.CPUUsage", () => [
  [1, "total", "uint64"],
  [2, "kernel", "uint64"],
  [3, "user", "uint64"],
  [4, "perCpu", "uint64", "repeated"],
]);

export interface Throttle {
  periods: bigint;
  throttledPeriods: bigint;
  /** ns */
  throttledTime: bigint;
}

export const ThrottleSchema: Schema<Throttle> = message("io.containerd.cgroups.v1.Throttle", () => [
  [1, "periods", "uint64"],
  [2, "throttledPeriods", "uint64"],
  [3, "throttledTime", "uint64"],
]);

export interface MemoryStat {
  cache: bigint;
  rss: bigint;
  rssHuge: bigint;
  mappedFile: bigint;
  dirty: bigint;
  writeback: bigint;
  pgPgIn: bigint;
  pgPgOut: bigint;
  pgFault: bigint;
  pgMajFault: bigint;
  inactiveAnon: bigint;
  activeAnon: bigint;
  inactiveFile: bigint;
  activeFile: bigint;
  unevictable: bigint;
  hierarchicalMemoryLimit: bigint;
  hierarchicalSwapLimit: bigint;
  totalCache: bigint;
  totalRss: bigint;
  totalRssHuge: bigint;
  totalMappedFile: bigint;
  totalDirty: bigint;
  totalWriteback: bigint;
  totalPgPgIn: bigint;
  totalPgPgOut: bigint;
  totalPgFault: bigint;
  totalPgMajFault: bigint;
  totalInactiveAnon: bigint;
  totalActiveAnon: bigint;
  /** working set = usage - this */
  totalInactiveFile: bigint;
  totalActiveFile: bigint;
  totalUnevictable: bigint;
  usage?: MemoryEntry;
  swap?: MemoryEntry;
  kernel?: MemoryEntry;
  kernelTcp?: MemoryEntry;
}

export const MemoryStatSchema: Schema<MemoryStat> = message("io.containerd.cgroups.v1.MemoryStat", () => [
  [1, "cache", "uint64"],
  [2, "rss", "uint64"],
  [3, "rssHuge", "uint64"],
  [4, "mappedFile", "uint64"],
  [5, "dirty", "uint64"],
  [6, "writeback", "uint64"],
  [7, "pgPgIn", "uint64"],
  [8, "pgPgOut", "uint64"],
  [9, "pgFault", "uint64"],
  [10, "pgMajFault", "uint64"],
  [11, "inactiveAnon", "uint64"],
  [12, "activeAnon", "uint64"],
  [13, "inactiveFile", "uint64"],
  [14, "activeFile", "uint64"],
  [15, "unevictable", "uint64"],
  [16, "hierarchicalMemoryLimit", "uint64"],
  [17, "hierarchicalSwapLimit", "uint64"],
  [18, "totalCache", "uint64"],
  [19, "totalRss", "uint64"],
  [20, "totalRssHuge", "uint64"],
  [21, "totalMappedFile", "uint64"],
  [22, "totalDirty", "uint64"],
  [23, "totalWriteback", "uint64"],
  [24, "totalPgPgIn", "uint64"],
  [25, "totalPgPgOut", "uint64"],
  [26, "totalPgFault", "uint64"],
  [27, "totalPgMajFault", "uint64"],
  [28, "totalInactiveAnon", "uint64"],
  [29, "totalActiveAnon", "uint64"],
  [30, "totalInactiveFile", "uint64"],
  [31, "totalActiveFile", "uint64"],
  [32, "totalUnevictable", "uint64"],
  [33, "usage", MemoryEntrySchema],
  [34, "swap", MemoryEntrySchema],
  [35, "kernel", MemoryEntrySchema],
  [36, "kernelTcp", MemoryEntrySchema],
]);

export interface MemoryEntry {
  /** bytes; > 2^62 = unlimited */
  limit: bigint;
  /** bytes */
  usage: bigint;
  /** bytes */
  max: bigint;
  /** count */
  failcnt: bigint;
}

export const MemoryEntrySchema: Schema<MemoryEntry> = message("io.containerd.cgroups.v1.MemoryEntry", () => [
  [1, "limit", "uint64"],
  [2, "usage", "uint64"],
  [3, "max", "uint64"],
  [4, "failcnt", "uint64"],
]);

export interface MemoryOomControl {
  oomKillDisable: bigint;
  underOom: bigint;
  /** > 0 with exit code 137 to OOMKilled */
  oomKill: bigint;
}

export const MemoryOomControlSchema: Schema<MemoryOomControl> = message("io.containerd.cgroups.v1.MemoryOomControl", () => [
  [1, "oomKillDisable", "uint64"],
  [2, "underOom", "uint64"],
  [3, "oomKill", "uint64"],
]);

export interface BlkIOStat {
  ioServiceBytesRecursive: BlkIOEntry[];
  ioServicedRecursive: BlkIOEntry[];
  ioQueuedRecursive: BlkIOEntry[];
  ioServiceTimeRecursive: BlkIOEntry[];
  ioWaitTimeRecursive: BlkIOEntry[];
  ioMergedRecursive: BlkIOEntry[];
  ioTimeRecursive: BlkIOEntry[];
  sectorsRecursive: BlkIOEntry[];
}

export const BlkIOStatSchema: Schema<BlkIOStat> = message("io.containerd.cgroups.v1.BlkIOStat", () => [
  [1, "ioServiceBytesRecursive", BlkIOEntrySchema, "repeated"],
  [2, "ioServicedRecursive", BlkIOEntrySchema, "repeated"],
  [3, "ioQueuedRecursive", BlkIOEntrySchema, "repeated"],
  [4, "ioServiceTimeRecursive", BlkIOEntrySchema, "repeated"],
  [5, "ioWaitTimeRecursive", BlkIOEntrySchema, "repeated"],
  [6, "ioMergedRecursive", BlkIOEntrySchema, "repeated"],
  [7, "ioTimeRecursive", BlkIOEntrySchema, "repeated"],
  [8, "sectorsRecursive", BlkIOEntrySchema, "repeated"],
]);

export interface BlkIOEntry {
  /** Read/Write (any case) */
  op: string;
  device: string;
  major: bigint;
  minor: bigint;
  value: bigint;
}

export const BlkIOEntrySchema: Schema<BlkIOEntry> = message("io.containerd.cgroups.v1.BlkIOEntry", () => [
  [1, "op", "string"],
  [2, "device", "string"],
  [3, "major", "uint64"],
  [4, "minor", "uint64"],
  [5, "value", "uint64"],
]);

export interface NetworkStat {
  name: string;
  rxBytes: bigint;
  rxPackets: bigint;
  rxErrors: bigint;
  rxDropped: bigint;
  txBytes: bigint;
  txPackets: bigint;
  txErrors: bigint;
  txDropped: bigint;
}

export const NetworkStatSchema: Schema<NetworkStat> = message("io.containerd.cgroups.v1.NetworkStat", () => [
  [1, "name", "string"],
  [2, "rxBytes", "uint64"],
  [3, "rxPackets", "uint64"],
  [4, "rxErrors", "uint64"],
  [5, "rxDropped", "uint64"],
  [6, "txBytes", "uint64"],
  [7, "txPackets", "uint64"],
  [8, "txErrors", "uint64"],
  [9, "txDropped", "uint64"],
]);

// Generated from cgroups_v2.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Schema, message } from "../message.ts";

export interface Metrics {
  pids?: PidsStat;
  cpu?: CPUStat;
  memory?: MemoryStat;
  io?: IOStat;
  hugetlb: HugeTlbStat[];
  memoryEvents?: MemoryEvents;
  network: NetworkStat[];
}

export const MetricsSchema: Schema<Metrics> = message("io.containerd.cgroups.v2.Metrics", () => [
  [1, "pids", PidsStatSchema],
  [2, "cpu", CPUStatSchema],
  [4, "memory", MemoryStatSchema],
  [6, "io", IOStatSchema],
  [7, "hugetlb", HugeTlbStatSchema, "repeated"],
  [8, "memoryEvents", MemoryEventsSchema],
  [9, "network", NetworkStatSchema, "repeated"],
]);

export interface PSIData {
  /** percent */
  avg10: number;
  avg60: number;
  avg300: number;
  /** microseconds */
  total: bigint;
}

export const PSIDataSchema: Schema<PSIData> = message("io.containerd.cgroups.v2.PSIData", () => [
  [1, "avg10", "double"],
  [2, "avg60", "double"],
  [3, "avg300", "double"],
  [4, "total", "uint64"],
]);

export interface PSIStats {
  some?: PSIData;
  full?: PSIData;
}

export const PSIStatsSchema: Schema<PSIStats> = message("io.containerd.cgroups.v2.PSIStats", () => [
  [1, "some", PSIDataSchema],
  [2, "full", PSIDataSchema],
]);

export interface PidsStat {
  current: bigint;
  /** 0 = none */
  limit: bigint;
}

export const PidsStatSchema: Schema<PidsStat> = message("io.containerd.cgroups.v2.PidsStat", () => [
  [1, "current", "uint64"],
  [2, "limit", "uint64"],
]);

export interface CPUStat {
  /** microseconds */
  usageUsec: bigint;
  /** µs */
  userUsec: bigint;
  /** µs */
  systemUsec: bigint;
  nrPeriods: bigint;
  nrThrottled: bigint;
  /** µs */
  throttledUsec: bigint;
  /** optional */
  psi?: PSIStats;
  nrBursts: bigint;
  burstUsec: bigint;
}

export const CPUStatSchema: Schema<CPUStat> = message("io.containerd.cgroups.v2.CPUStat", () => [
  [1, "usageUsec", "uint64"],
  [2, "userUsec", "uint64"],
  [3, "systemUsec", "uint64"],
  [4, "nrPeriods", "uint64"],
  [5, "nrThrottled", "uint64"],
  [6, "throttledUsec", "uint64"],
  [7, "psi", PSIStatsSchema],
  [8, "nrBursts", "uint64"],
  [9, "burstUsec", "uint64"],
]);

export interface MemoryStat {
  anon: bigint;
  file: bigint;
  kernelStack: bigint;
  slab: bigint;
  sock: bigint;
  shmem: bigint;
  fileMapped: bigint;
  fileDirty: bigint;
  fileWriteback: bigint;
  anonThp: bigint;
  inactiveAnon: bigint;
  activeAnon: bigint;
  /** working set = usage - this */
  inactiveFile: bigint;
  activeFile: bigint;
  unevictable: bigint;
  slabReclaimable: bigint;
  slabUnreclaimable: bigint;
  pgfault: bigint;
  pgmajfault: bigint;
  workingsetRefault: bigint;
  workingsetActivate: bigint;
  workingsetNodereclaim: bigint;
  pgrefill: bigint;
  pgscan: bigint;
  pgsteal: bigint;
  pgactivate: bigint;
  pgdeactivate: bigint;
  pglazyfree: bigint;
  pglazyfreed: bigint;
  thpFaultAlloc: bigint;
  thpCollapseAlloc: bigint;
  /** bytes */
  usage: bigint;
  /** bytes, > 2^62 = unlimited */
  usageLimit: bigint;
  /** bytes */
  swapUsage: bigint;
  /** bytes */
  swapLimit: bigint;
  maxUsage: bigint;
  swapMaxUsage: bigint;
  /** optional */
  psi?: PSIStats;
  workingsetRefaultAnon: bigint;
  workingsetRefaultFile: bigint;
  workingsetActivateAnon: bigint;
  workingsetActivateFile: bigint;
}

export const MemoryStatSchema: Schema<MemoryStat> = message("io.containerd.cgroups.v2.MemoryStat", () => [
  [1, "anon", "uint64"],
  [2, "file", "uint64"],
  [3, "kernelStack", "uint64"],
  [4, "slab", "uint64"],
  [5, "sock", "uint64"],
  [6, "shmem", "uint64"],
  [7, "fileMapped", "uint64"],
  [8, "fileDirty", "uint64"],
  [9, "fileWriteback", "uint64"],
  [10, "anonThp", "uint64"],
  [11, "inactiveAnon", "uint64"],
  [12, "activeAnon", "uint64"],
  [13, "inactiveFile", "uint64"],
  [14, "activeFile", "uint64"],
  [15, "unevictable", "uint64"],
  [16, "slabReclaimable", "uint64"],
  [17, "slabUnreclaimable", "uint64"],
  [18, "pgfault", "uint64"],
  [19, "pgmajfault", "uint64"],
  [20, "workingsetRefault", "uint64"],
  [21, "workingsetActivate", "uint64"],
  [22, "workingsetNodereclaim", "uint64"],
  [23, "pgrefill", "uint64"],
  [24, "pgscan", "uint64"],
  [25, "pgsteal", "uint64"],
  [26, "pgactivate", "uint64"],
  [27, "pgdeactivate", "uint64"],
  [28, "pglazyfree", "uint64"],
  [29, "pglazyfreed", "uint64"],
  [30, "thpFaultAlloc", "uint64"],
  [31, "thpCollapseAlloc", "uint64"],
  [32, "usage", "uint64"],
  [33, "usageLimit", "uint64"],
  [34, "swapUsage", "uint64"],
  [35, "swapLimit", "uint64"],
  [36, "maxUsage", "uint64"],
  [37, "swapMaxUsage", "uint64"],
  [38, "psi", PSIStatsSchema],
  [39, "workingsetRefaultAnon", "uint64"],
  [40, "workingsetRefaultFile", "uint64"],
  [41, "workingsetActivateAnon", "uint64"],
  [42, "workingsetActivateFile", "uint64"],
]);

export interface MemoryEvents {
  low: bigint;
  high: bigint;
  max: bigint;
  oom: bigint;
  /** > 0 with exit code 137 to OOMKilled */
  oomKill: bigint;
  oomGroupKill: bigint;
}

export const MemoryEventsSchema: Schema<MemoryEvents> = message("io.containerd.cgroups.v2.MemoryEvents", () => [
  [1, "low", "uint64"],
  [2, "high", "uint64"],
  [3, "max", "uint64"],
  [4, "oom", "uint64"],
  [5, "oomKill", "uint64"],
  [6, "oomGroupKill", "uint64"],
]);

export interface IOStat {
  usage: IOEntry[];
  /** optional */
  psi?: PSIStats;
}

export const IOStatSchema: Schema<IOStat> = message("io.containerd.cgroups.v2.IOStat", () => [
  [1, "usage", IOEntrySchema, "repeated"],
  [2, "psi", PSIStatsSchema],
]);

export interface IOEntry {
  major: bigint;
  minor: bigint;
  /** bytes */
  rbytes: bigint;
  /** bytes */
  wbytes: bigint;
  /** operations */
  rios: bigint;
  /** operations */
  wios: bigint;
}

export const IOEntrySchema: Schema<IOEntry> = message("io.containerd.cgroups.v2.IOEntry", () => [
  [1, "major", "uint64"],
  [2, "minor", "uint64"],
  [3, "rbytes", "uint64"],
  [4, "wbytes", "uint64"],
  [5, "rios", "uint64"],
  [6, "wios", "uint64"],
]);

export interface HugeTlbStat {
  /** bytes */
  current: bigint;
  /** bytes */
  max: bigint;
  /** 2MB ... */
  pagesize: string;
  failcnt: bigint;
}

export const HugeTlbStatSchema: Schema<HugeTlbStat> = message("io.containerd.cgroups.v2.HugeTlbStat", () => [
  [1, "current", "uint64"],
  [2, "max", "uint64"],
  [3, "pagesize", "string"],
  [4, "failcnt", "uint64"],
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

export const NetworkStatSchema: Schema<NetworkStat> = message("io.containerd.cgroups.v2.NetworkStat", () => [
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

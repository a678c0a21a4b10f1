/** Counters of a version 2 cgroup, in the shape of the agent API's `CgroupStats`. */

import type { CgroupStats as WireStats } from "../../../rpc/gen/agent_pb.ts";
import type { Init } from "../../../rpc/message.ts";
import { tryReadText } from "./files.ts";
import { valueOf } from "./watch.ts";

/** A part of the message: what this kernel does not count is left out. */
export type CgroupStats = Init<WireStats>;

const NS_PER_US = 1000n;
/** How "max" is reported. */
const NO_LIMIT = 0xffff_ffff_ffff_ffffn;

/** Reads all counters that the cgroup has. */
export function readStats(folder: string): CgroupStats {
  const read = (file: string) => tryReadText(`${folder}/${file}`);
  return {
    cpuStats: cpuStats(read("cpu.stat") ?? ""),
    memoryStats: memoryStats(read),
    pidsStats: { current: number(read("pids.current")), limit: pidsLimit(read("pids.max")) },
    blkioStats: { ioServiceBytesRecursive: ioEntries(read("io.stat") ?? "") },
    hugetlbStats: hugetlbStats(folder, read),
  };
}

function cpuStats(text: string): CgroupStats["cpuStats"] {
  const value = (key: string) => valueOf(text, key) ?? 0n;
  return {
    cpuUsage: {
      totalUsage: value("usage_usec") * NS_PER_US,
      usageInKernelmode: value("system_usec") * NS_PER_US,
      usageInUsermode: value("user_usec") * NS_PER_US,
    },
    throttlingData: {
      periods: value("nr_periods"),
      throttledPeriods: value("nr_throttled"),
      throttledTime: value("throttled_usec") * NS_PER_US,
    },
  };
}

type Read = (file: string) => string | undefined;

function memoryStats(read: Read): CgroupStats["memoryStats"] {
  const stats = keyedNumbers(read("memory.stat") ?? "");
  const events = read("memory.events") ?? "";
  const swapEvents = read("memory.swap.events") ?? "";
  return {
    cache: stats["file"] ?? 0n,
    usage: {
      usage: number(read("memory.current")),
      maxUsage: number(read("memory.peak")),
      failcnt: valueOf(events, "max") ?? 0n,
      limit: limit(read("memory.max")),
    },
    swapUsage: {
      usage: number(read("memory.swap.current")),
      maxUsage: number(read("memory.swap.peak")),
      failcnt: valueOf(swapEvents, "fail") ?? 0n,
      limit: limit(read("memory.swap.max")),
    },
    kernelUsage: { usage: stats["kernel"] ?? 0n },
    useHierarchy: true,
    stats,
  };
}

/** 0 means no limit here. */
function pidsLimit(text: string | undefined): bigint {
  const value = limit(text);
  return value === NO_LIMIT ? 0n : value;
}

/** Lines such as `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0`. */
function ioEntries(text: string) {
  const names: Readonly<Record<string, string>> = { rbytes: "read", wbytes: "write" };
  return text.split("\n").flatMap((line) => {
    const [device = "", ...fields] = line.split(" ");
    const [major, minor] = device.split(":");
    if (!/^[0-9]+:[0-9]+$/.test(device) || major === undefined || minor === undefined) return [];
    return fields.flatMap((field) => {
      const [key = "", value = ""] = field.split("=");
      if (!/^[0-9]+$/.test(value)) return [];
      return [{ major: BigInt(major), minor: BigInt(minor), op: names[key] ?? key, value: BigInt(value) }];
    });
  });
}

function hugetlbStats(folder: string, read: Read): CgroupStats["hugetlbStats"] {
  const sizes = [...Deno.readDirSync(folder)]
    .map((entry) => /^hugetlb\.([0-9]+[KMGT]B)\.current$/.exec(entry.name)?.[1])
    .filter((size) => size !== undefined);
  return Object.fromEntries(sizes.map((size) => [size, {
    usage: number(read(`hugetlb.${size}.current`)),
    failcnt: valueOf(read(`hugetlb.${size}.events`) ?? "", "max") ?? 0n,
  }]));
}

function keyedNumbers(text: string): Record<string, bigint> {
  const numbers: Record<string, bigint> = {};
  for (const line of text.split("\n")) {
    const [key, value] = line.split(" ");
    if (key && value !== undefined && /^[0-9]+$/.test(value)) numbers[key] = BigInt(value);
  }
  return numbers;
}

function number(text: string | undefined): bigint {
  const trimmed = text?.trim() ?? "";
  return /^[0-9]+$/.test(trimmed) ? BigInt(trimmed) : 0n;
}

function limit(text: string | undefined): bigint {
  return text?.trim() === "max" ? NO_LIMIT : number(text);
}

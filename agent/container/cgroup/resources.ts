/**
 * `linux.resources` as writes to the files of a version 2 cgroup. The specification speaks in terms of
 * version 1, so some values are converted. A pure function; `Cgroup.apply` does the writing.
 */

import { SpecError } from "../../../oci/check.ts";
import type {
  BlockIoResources,
  CpuResources,
  HugepageLimit,
  Integer,
  MemoryResources,
  Resources,
  ThrottleDevice,
} from "../../../oci/spec.ts";

/** One line to be written to one file. */
export interface CgroupWrite {
  /** JSON path of what asks for it */
  readonly path: string;
  readonly file: string;
  readonly value: string;
  /** Written instead where there is no such file. */
  readonly instead?: { readonly file: string; readonly value: string };
  /** Has no effect on kernels without this file. */
  readonly optional?: boolean;
  /** May fail the first time: it is written again after the value that it depends on. */
  readonly attempt?: boolean;
}

const DEFAULT_PERIOD_US = 100_000;
const MAX_WEIGHT = 10_000;

/**
 * The writes, in the order in which they are to be done.
 *
 * @param at JSON path of the resources in messages
 * @throws {SpecError} for what makes no sense or has no counterpart in version 2
 */
export function resourceWrites(resources: Resources, at = "linux.resources"): CgroupWrite[] {
  refuseForeign(resources, at);
  return [
    ...pidsWrites(resources.pids?.limit, `${at}.pids.limit`),
    ...memoryWrites(resources.memory ?? {}, `${at}.memory`),
    ...blockIoWrites(resources.blockIO ?? {}, `${at}.blockIO`),
    ...cpuWrites(resources.cpu ?? {}, `${at}.cpu`),
    ...hugepageWrites(resources.hugepageLimits ?? [], `${at}.hugepageLimits`),
    ...rdmaWrites(resources.rdma ?? {}, `${at}.rdma`),
    ...unifiedWrites(resources.unified ?? {}, `${at}.unified`),
  ];
}

function refuseForeign({ memory, cpu, network }: Resources, at: string): void {
  const refuse = (given: unknown, path: string, why: string) => {
    if (given) throw new SpecError(`${at}.${path}`, `is not supported: ${why}`);
  };
  const onlyOne = "version 2 of cgroups has nothing like it";
  refuse(memory?.swappiness !== undefined, "memory.swappiness", onlyOne);
  refuse(memory?.disableOOMKiller, "memory.disableOOMKiller", onlyOne);
  refuse(cpu?.realtimeRuntime, "cpu.realtimeRuntime", onlyOne);
  refuse(cpu?.realtimePeriod, "cpu.realtimePeriod", onlyOne);
  refuse(network?.classID, "network.classID", onlyOne);
  refuse(network?.priorities?.length, "network.priorities", onlyOne);
}

function isSet(value: Integer | undefined): value is Integer {
  return value !== undefined && value !== 0 && value !== 0n;
}

/** A limit in the file's words: anything negative is no limit. */
function limitText(value: Integer): string {
  return value < 0 ? "max" : String(value);
}

function pidsWrites(limit: Integer | undefined, path: string): CgroupWrite[] {
  if (limit === undefined) return [];
  // A limit of 0 would forbid the process itself, so it becomes the smallest working limit.
  return [{ path, file: "pids.max", value: limit === 0 || limit === 0n ? "1" : limitText(limit) }];
}

function memoryWrites(memory: MemoryResources, path: string): CgroupWrite[] {
  const writes: CgroupWrite[] = [];
  const { limit, swap, reservation } = memory;
  if (isSet(limit)) writes.push({ path: `${path}.limit`, file: "memory.max", value: limitText(limit) });
  if (isSet(reservation)) {
    writes.push({ path: `${path}.reservation`, file: "memory.low", value: limitText(reservation) });
  }
  const swapText = swapMax(limit, swap, `${path}.swap`);
  if (swapText !== undefined) {
    const optional = swapText === "max" || swapText === "0";
    writes.push({ path: `${path}.swap`, file: "memory.swap.max", value: swapText, optional });
  }
  return writes;
}

/** The specification counts memory and swap together, the file swap alone. */
function swapMax(limit: Integer | undefined, swap: Integer | undefined, path: string): string | undefined {
  if (!isSet(swap)) return isSet(limit) && limit < 0 ? "max" : undefined;
  if (swap < 0) return "max";
  if (!isSet(limit)) throw new SpecError(path, `needs a limit of memory, too: it is ${swap}`);
  if (limit < 0) return String(swap);
  if (swap < limit) throw new SpecError(path, `must not be below the memory limit ${limit}: it is ${swap}`);
  return String(BigInt(swap) - BigInt(limit));
}

function cpuWrites(cpu: CpuResources, path: string): CgroupWrite[] {
  const writes: CgroupWrite[] = [];
  const { shares, quota, period, burst, idle } = cpu;
  if (idle !== undefined) writes.push({ path: `${path}.idle`, file: "cpu.idle", value: String(idle) });
  // An idle group has the weight of idle processes, and the kernel takes no other.
  if (isSet(shares) && !isSet(idle)) {
    writes.push({
      path: `${path}.shares`,
      file: "cpu.weight",
      value: String(weightOfShares(Number(shares))),
    });
  }
  // Never longer than the quota, a burst has to shrink before it, and can grow only after it.
  const bursts = burst === undefined
    ? []
    : [{ path: `${path}.burst`, file: "cpu.max.burst", value: String(burst) }];
  if (isSet(quota) || isSet(period)) {
    writes.push(...bursts.map((write) => ({ ...write, attempt: true })));
    const part = quota !== undefined && quota > 0 ? String(quota) : "max";
    const value = `${part} ${isSet(period) ? period : DEFAULT_PERIOD_US}`;
    writes.push({ path: `${path}.${isSet(quota) ? "quota" : "period"}`, file: "cpu.max", value });
  }
  writes.push(...bursts);
  if (cpu.cpus) writes.push({ path: `${path}.cpus`, file: "cpuset.cpus", value: cpu.cpus });
  if (cpu.mems) writes.push({ path: `${path}.mems`, file: "cpuset.mems", value: cpu.mems });
  return writes;
}

/**
 * CPU shares (2 … 262144, normally 1024) as a weight (1 … 10000, normally 100). The curve goes through all
 * three pairs, as a straight line would not: it is the one that OCI runtimes agreed on.
 */
export function weightOfShares(shares: number): number {
  if (shares <= 2) return 1;
  if (shares >= 262_144) return MAX_WEIGHT;
  const log = Math.log2(shares);
  return Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34));
}

function blockIoWrites(io: BlockIoResources, path: string): CgroupWrite[] {
  const writes: CgroupWrite[] = [];
  refuseLeafWeight(io, path);
  if (io.weight) {
    const instead = { file: "io.weight", value: String(ioWeight(io.weight)) };
    writes.push({ path: `${path}.weight`, file: "io.bfq.weight", value: String(io.weight), instead });
  }
  for (const [index, device] of (io.weightDevice ?? []).entries()) {
    const { major, minor, weight } = device;
    refuseLeafWeight(device, `${path}.weightDevice[${index}]`);
    if (!weight) continue;
    const instead = { file: "io.weight", value: `${major}:${minor} ${ioWeight(weight)}` };
    const value = `${major}:${minor} ${weight}`;
    writes.push({ path: `${path}.weightDevice[${index}]`, file: "io.bfq.weight", value, instead });
  }
  const throttles: [keyof BlockIoResources, string][] = [
    ["throttleReadBpsDevice", "rbps"],
    ["throttleWriteBpsDevice", "wbps"],
    ["throttleReadIOPSDevice", "riops"],
    ["throttleWriteIOPSDevice", "wiops"],
  ];
  for (const [field, key] of throttles) {
    for (const [index, device] of ((io[field] ?? []) as ThrottleDevice[]).entries()) {
      const value = `${device.major}:${device.minor} ${key}=${isSet(device.rate) ? device.rate : "max"}`;
      writes.push({ path: `${path}.${field}[${index}]`, file: "io.max", value });
    }
  }
  return writes;
}

function refuseLeafWeight({ leafWeight }: { readonly leafWeight?: number }, path: string): void {
  if (!leafWeight) return;
  throw new SpecError(`${path}.leafWeight`, "is not supported: version 2 of cgroups has nothing like it");
}

/** A weight of 10 … 1000 as one of 1 … 10000. */
function ioWeight(weight: number): number {
  return Math.min(MAX_WEIGHT, Math.max(1, Math.floor(1 + (weight - 10) * 9999 / 990)));
}

function hugepageWrites(limits: readonly HugepageLimit[], path: string): CgroupWrite[] {
  return limits.flatMap(({ pageSize, limit }, index) => {
    if (!/^[0-9]+[KMGT]B$/.test(pageSize)) {
      throw new SpecError(`${path}[${index}].pageSize`, `must be a size such as "2MB": it is "${pageSize}"`);
    }
    const value = String(limit);
    const at = `${path}[${index}]`;
    // Hosts forbid the sizes that they have; what a guest does not have need not be forbidden.
    const optional = !isSet(limit);
    return [
      { path: at, file: `hugetlb.${pageSize}.max`, value, ...(optional && { optional }) },
      { path: at, file: `hugetlb.${pageSize}.rsvd.max`, value, optional: true },
    ];
  });
}

function rdmaWrites(rdma: NonNullable<Resources["rdma"]>, path: string): CgroupWrite[] {
  return Object.entries(rdma).map(([device, { hcaHandles, hcaObjects }]) => {
    const at = `${path}[${JSON.stringify(device)}]`;
    if (hcaHandles === undefined && hcaObjects === undefined) {
      throw new SpecError(at, "must have hcaHandles or hcaObjects, or both: it has neither");
    }
    const handles = `hca_handle=${hcaHandles ?? "max"}`;
    const value = `${device} ${handles} hca_object=${hcaObjects ?? "max"}`;
    return { path: at, file: "rdma.max", value };
  });
}

/** Files that move, kill or freeze processes, or hand controllers on: they limit nothing. */
const NO_LIMITS = /^cgroup\.(procs|threads|kill|freeze|type|subtree_control)$/;

/** Files by name; written last, so they take precedence. */
function unifiedWrites(unified: Readonly<Record<string, string>>, path: string): CgroupWrite[] {
  return Object.entries(unified).flatMap(([file, text]) => {
    const at = `${path}[${JSON.stringify(file)}]`;
    if (!/^[a-z0-9_]+\.[A-Za-z0-9_.]+$/.test(file)) {
      throw new SpecError(at, "is not the name of a cgroup file");
    }
    if (NO_LIMITS.test(file)) throw new SpecError(at, "is not supported: it is no limit");
    return text.split("\n").filter((line) => line !== "").map((value) => ({ path: at, file, value }));
  });
}

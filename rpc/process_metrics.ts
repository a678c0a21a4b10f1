/** Metrics of one process, from its files in `/proc`: the same families for the host's processes and for the agent. */

import {
  bootTime,
  countDescriptors,
  NETWORK_COUNTERS,
  parseColonLines,
  parseNetworkDevices,
  parseProcessStat,
  TICKS_PER_SECOND,
} from "../sys/proc.ts";
import { type Family, labelled, single } from "./metrics_text.ts";

const KIB = 1024;

/** Lines of `/proc/<pid>/status` that are sizes in KiB; an item has the line's name in lower case. */
const SIZES = [
  ..."VmPeak VmSize VmLck VmPin VmHWM VmRSS RssAnon RssFile RssShmem VmData VmStk VmExe VmLib".split(" "),
  ..."VmPTE VmPMD VmSwap HugetlbPages".split(" "),
];

/** Lines that are counts. */
const COUNTS = ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"];

/** How the families of a process are told apart, and spelled. */
export interface ProcessMetricsOptions {
  /** Beginning of the names: `kata_hypervisor_`. */
  readonly prefix: string;
  /** What the process is called in the help: "hypervisor". */
  readonly what: string;
  /** Sizes in bytes, or in KiB as the kernel has them. */
  readonly unit: "bytes" | "KiB";
  /** Whether `read_bytes` and the like keep their underscores. */
  readonly underscores: boolean;
}

/**
 * Threads, descriptors, memory, processor time and input and output. A source that cannot be read is left out.
 *
 * @param pid of the process
 */
export function processMetrics(pid: number, options: ProcessMetricsOptions): Family[] {
  const { prefix, what, unit, underscores } = options;
  const folder = `/proc/${pid}`;
  return gathered([
    () => {
      const { threads, utime, stime, cutime, cstime } = parseProcessStat(read(`${folder}/stat`));
      return [
        single(`${prefix}threads`, `Threads of the ${what}.`, threads),
        labelled(`${prefix}proc_stat`, "Processor time in ticks of the clock.", {
          utime,
          stime,
          cutime,
          cstime,
        }),
      ];
    },
    () => [single(`${prefix}fds`, `Open FDs for ${what}.`, countDescriptors(pid))],
    () => [
      labelled(
        `${prefix}proc_status`,
        `Memory (${unit}) and context switches of the ${what}.`,
        statusItems(read(`${folder}/status`), unit === "bytes" ? KIB : 1),
      ),
    ],
    () => {
      const values = parseColonLines(read(`${folder}/io`));
      const items = [...values].map((
        [name, value],
      ) => [underscores ? name : name.replaceAll("_", ""), value]);
      return [labelled(`${prefix}io_stat`, "Process IO statistics.", Object.fromEntries(items))];
    },
  ]);
}

/** Counters of the network interfaces in the namespace of a process. */
export function networkMetrics(pid: number, name: string, help: string): Family {
  return networkFamily(read(`/proc/${pid}/net/dev`), name, help);
}

/** Counters of network interfaces. @param text of `/proc/net/dev` */
export function networkFamily(text: string, name: string, help: string): Family {
  const samples = [...parseNetworkDevices(text)].flatMap(([device, values]) =>
    NETWORK_COUNTERS.map((item, index) => ({
      labels: { interface: device, item },
      value: values[index] ?? 0,
    }))
  );
  return { name, help, kind: "gauge", samples };
}

/** What libraries of Prometheus tell of the process they are in: `<prefix>process_cpu_seconds_total` and so on. */
export function standardProcessMetrics(prefix: string): Family[] {
  const name = (rest: string) => `${prefix}process_${rest}`;
  return gathered([
    () => {
      const { utime, stime, startTime, vsize } = parseProcessStat(read("/proc/self/stat"));
      const cpu = (utime + stime) / TICKS_PER_SECOND;
      const start = bootTime() + startTime / TICKS_PER_SECOND;
      return [
        single(name("cpu_seconds_total"), "User and system time in seconds.", cpu, "counter"),
        single(name("start_time_seconds"), "Start in seconds since 1970.", start),
        single(name("virtual_memory_bytes"), "Size of the address space in bytes.", vsize),
      ];
    },
    () => [single(name("open_fds"), "Open file descriptors.", countDescriptors("self"))],
    () => {
      const limits = read("/proc/self/limits");
      return [
        single(
          name("max_fds"),
          "Most file descriptors that may be open.",
          softLimit(limits, "Max open files"),
        ),
        single(
          name("virtual_memory_max_bytes"),
          "Most bytes that the address space may have.",
          softLimit(limits, "Max address space"),
        ),
      ];
    },
    () => {
      const resident = (parseColonLines(read("/proc/self/status")).get("VmRSS") ?? 0) * KIB;
      return [single(name("resident_memory_bytes"), "Resident memory in bytes.", resident)];
    },
  ]);
}

/** What several sources give; those that fail give nothing. */
export function gathered(
  sources: readonly (() => readonly Family[])[],
  onError: (error: unknown) => void = () => {},
): Family[] {
  return sources.flatMap((source) => {
    try {
      return source();
    } catch (error) {
      onError(error);
      return [];
    }
  });
}

function statusItems(text: string, factor: number): Record<string, number> {
  const values = parseColonLines(text);
  const sizes = SIZES.map((name) => [name.toLowerCase(), (values.get(name) ?? 0) * factor]);
  const counts = COUNTS.map((name) => [name, values.get(name) ?? 0]);
  return Object.fromEntries([...sizes, ...counts]);
}

const UNLIMITED = 2 ** 64;

function softLimit(text: string, name: string): number {
  const line = text.split("\n").find((line) => line.startsWith(name)) ?? "";
  const value = line.slice(name.length).trim().split(/\s+/)[0] ?? "";
  return value === "unlimited" ? UNLIMITED : Number(value || NaN);
}

function read(path: string): string {
  return Deno.readTextFileSync(path);
}

/**
 * What the guest tells of itself: the agent's process, and the machine as its kernel sees it.
 *
 * Everything is read at the moment of the question. A source that cannot be read is left out, and logged.
 */

import { type Family, formatFamilies, labelled, type Sample, single } from "../rpc/metrics_text.ts";
import { gathered, networkFamily, processMetrics, standardProcessMetrics } from "../rpc/process_metrics.ts";
import { parseColonLines, parseProcessStat, TICKS_PER_SECOND } from "../sys/proc.ts";
import type { Logger } from "./log.ts";

const KIB = 1024;

/** Reads a file of `/proc`, by its name there. */
type ReadProc = (name: string) => string;

/** The guest's metrics, and how often they were asked for. */
export class GuestMetrics {
  readonly #log: Logger;
  readonly #read: ReadProc;
  #scrapes = 0;

  constructor(log: Logger, read: ReadProc = (name) => Deno.readTextFileSync(`/proc/${name}`)) {
    this.#log = log;
    this.#read = read;
  }

  /** All families, as text. */
  text(): string {
    this.#scrapes++;
    const onError = (error: unknown) =>
      this.#log.warn("a source of metrics cannot be read", { error: String(error) });
    return formatFamilies([...gathered(this.#sources(), onError)]);
  }

  #sources(): (() => readonly Family[])[] {
    const read = this.#read;
    return [
      () => [single("kata_agent_scrape_count", "Requests for metrics.", this.#scrapes, "counter")],
      () => agentFamilies(read),
      () => standardProcessMetrics("kata_agent_").filter(({ name }) => !name.endsWith("_max_bytes")),
      () => loadFamilies(read("loadavg")),
      () => [cpuFamily(read("stat"))],
      () => [labelled("kata_guest_vm_stat", "Virtual memory statistics.", keyedNumbers(read("vmstat")))],
      () => [networkFamily(read("net/dev"), "kata_guest_netdev_stat", "Counters of network interfaces.")],
      () => [diskFamily(read("diskstats"))],
      () => [
        labelled(
          "kata_guest_meminfo",
          "Memory in bytes; huge pages as counts.",
          memoryItems(read("meminfo")),
        ),
      ],
    ];
  }
}

function agentFamilies(read: ReadProc): Family[] {
  const { utime, stime, vsize } = parseProcessStat(read("self/stat"));
  const resident = (parseColonLines(read("self/status")).get("VmRSS") ?? 0) * KIB;
  const families = processMetrics(Deno.pid, {
    prefix: "kata_agent_",
    what: "agent",
    unit: "KiB",
    underscores: true,
  });
  return [
    // the API has no descriptors of the agent here, and no page middle directories
    ...families.filter(({ name }) => name !== "kata_agent_fds").map(withoutMiddleDirectories),
    single("kata_agent_total_time", "Processor time in seconds.", (utime + stime) / TICKS_PER_SECOND),
    single("kata_agent_total_vm", "Size of the address space in bytes.", vsize),
    single("kata_agent_total_rss", "Resident memory in bytes.", resident),
  ];
}

function withoutMiddleDirectories(family: Family): Family {
  return { ...family, samples: family.samples.filter(({ labels }) => labels?.item !== "vmpmd") };
}

/** Of a text like `0.20 0.18 0.12 1/80 11206`. */
function loadFamilies(text: string): Family[] {
  const [load1 = "", load5 = "", load15 = "", tasks = ""] = text.trim().split(" ");
  const [current = "", most = ""] = tasks.split("/");
  return [
    labelled("kata_guest_load", "Load averages.", {
      load1: Number(load1),
      load5: Number(load5),
      load15: Number(load15),
    }),
    labelled("kata_guest_tasks", "Tasks: runnable, and all.", { cur: Number(current), max: Number(most) }),
  ];
}

const CPU_ITEMS = "user nice system idle iowait irq softirq steal guest guest_nice".split(" ");

/** Of lines like `cpu0 1 2 3 …`; the first, without a number, is the sum. */
function cpuFamily(text: string): Family {
  const samples: Sample[] = [];
  for (const line of text.split("\n")) {
    if (!line.startsWith("cpu")) continue;
    const [name = "", ...ticks] = line.trim().split(/\s+/);
    const cpu = name.slice(3) || "total";
    CPU_ITEMS.forEach((item, index) => {
      samples.push({ labels: { cpu, item }, value: Number(ticks[index] ?? 0) * 1000 / TICKS_PER_SECOND });
    });
  }
  return { name: "kata_guest_cpu_time", help: "Processor time in milliseconds.", kind: "gauge", samples };
}

/** Of lines like `name 12`. */
function keyedNumbers(text: string): Map<string, number> {
  const values = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [name = "", value] = line.split(" ");
    if (value !== undefined) values.set(name, Number(value));
  }
  return values;
}

const DISK_ITEMS = [
  ..."reads merged sectors_read time_reading writes writes_merged sectors_written time_writing".split(" "),
  ..."in_progress time_in_progress weighted_time_in_progress discards discards_merged".split(" "),
  ..."sectors_discarded time_discarding flushes time_flushing".split(" "),
];

/** Of lines like `254 0 vda 1 2 3 …`; older kernels have fewer columns. */
function diskFamily(text: string): Family {
  const samples: Sample[] = [];
  for (const line of text.split("\n")) {
    const [, , disk, ...values] = line.trim().split(/\s+/);
    if (disk === undefined) continue;
    DISK_ITEMS.forEach((item, index) => {
      samples.push({ labels: { disk, item }, value: Number(values[index] ?? 0) });
    });
  }
  return { name: "kata_guest_diskstat", help: "Counters of block devices.", kind: "gauge", samples };
}

/** Items that are not the key in lower case with underscores between words. */
const MEMORY_KEYS: Readonly<Record<string, string>> = {
  mem_total: "MemTotal",
  mem_free: "MemFree",
  mem_available: "MemAvailable",
  swap_cached: "SwapCached",
  swap_total: "SwapTotal",
  swap_free: "SwapFree",
  active_anon: "Active(anon)",
  inactive_anon: "Inactive(anon)",
  active_file: "Active(file)",
  inactive_file: "Inactive(file)",
  high_total: "HighTotal",
  high_free: "HighFree",
  low_total: "LowTotal",
  low_free: "LowFree",
  mmap_copy: "MmapCopy",
  writeback_tmp: "WritebackTmp",
  nfs_unstable: "NFS_Unstable",
  anon_pages: "AnonPages",
  s_reclaimable: "SReclaimable",
  s_unreclaim: "SUnreclaim",
  k_reclaimable: "KReclaimable",
  kernel_stack: "KernelStack",
  page_tables: "PageTables",
  per_cpu: "Percpu",
  commit_limit: "CommitLimit",
  committed_as: "Committed_AS",
  vmalloc_total: "VmallocTotal",
  vmalloc_used: "VmallocUsed",
  vmalloc_chunk: "VmallocChunk",
  anon_hugepages: "AnonHugePages",
  shmem_hugepages: "ShmemHugePages",
  shmem_pmd_mapped: "ShmemPmdMapped",
  hugepagesize: "Hugepagesize",
  hugetlb: "Hugetlb",
  hardware_corrupted: "HardwareCorrupted",
  cma_total: "CmaTotal",
  cma_free: "CmaFree",
  direct_map_4k: "DirectMap4k",
  direct_map_4M: "DirectMap4M",
  direct_map_2M: "DirectMap2M",
  direct_map_1G: "DirectMap1G",
};

/** Items whose name is the key with a small first letter. */
const MEMORY_WORDS =
  "buffers cached active inactive unevictable mlocked dirty writeback bounce mapped shmem slab quicklists"
    .split(" ");

/** Items that are counts of pages. */
const HUGE_PAGES: Readonly<Record<string, string>> = {
  hugepages_total: "HugePages_Total",
  hugepages_free: "HugePages_Free",
  hugepages_rsvd: "HugePages_Rsvd",
  hugepages_surp: "HugePages_Surp",
};

function memoryItems(text: string): Map<string, number> {
  const values = parseColonLines(text);
  const items = new Map<string, number>();
  for (const word of MEMORY_WORDS) {
    items.set(word, (values.get(word.charAt(0).toUpperCase() + word.slice(1)) ?? 0) * KIB);
  }
  for (const [item, key] of Object.entries(MEMORY_KEYS)) items.set(item, (values.get(key) ?? 0) * KIB);
  for (const [item, key] of Object.entries(HUGE_PAGES)) items.set(item, values.get(key) ?? 0);
  return items;
}

/**
 * Metrics of a sandbox: of its owner and helpers from `/proc`, of the guest from the agent.
 *
 * Nothing is computed without a request, and nothing is kept between two but the last measured overhead.
 *
 * @module
 */

import { Code, RpcError } from "../../rpc/errors.ts";
import { type Family, formatFamilies, single } from "../../rpc/metrics_text.ts";
import {
  gathered,
  networkMetrics,
  processMetrics,
  standardProcessMetrics,
} from "../../rpc/process_metrics.ts";
import { parseColonLines, parseProcessStat, TICKS_PER_SECOND } from "../../sys/proc.ts";
import { delay } from "../../sys/timer.ts";
import { reason } from "../log/log.ts";
import type { ManagedSandbox } from "./managed.ts";

/** How long the guest may take to tell its metrics; a scraper waits for 3 s in all. */
const GUEST_MS = 2_000;

/** Over which time the overhead is measured, in milliseconds. */
const OVERHEAD_MS = 1_000;

const KIB = 1024;
const NANOSECONDS = 1e9;

/** What the pod costs beyond what its containers use. */
interface Overhead {
  /** In percent of one processor. */
  readonly cpuPercent: number;
  readonly memoryBytes: number;
}

/** One look at what the host's processes, and the containers, have used. */
interface Usage {
  readonly atMs: number;
  /** Processor time in seconds. */
  readonly hostCpu: number;
  readonly guestCpu: number;
  readonly hostMemory: number;
  readonly guestMemory: number;
}

/** The metrics of one sandbox. */
export class SandboxMetrics {
  readonly #sandbox: ManagedSandbox;
  #guestHasNone = false;
  #overhead: Overhead = { cpuPercent: 0, memoryBytes: 0 };
  #measuring = false;

  constructor(sandbox: ManagedSandbox) {
    this.#sandbox = sandbox;
  }

  /** All of them as text. A guest that does not answer is left out. */
  async text(): Promise<string> {
    const guest = this.#guest();
    const own = formatFamilies(this.#own());
    return own + await guest;
  }

  /** Measures the overhead, for the next request. */
  async measureOverhead(): Promise<void> {
    if (this.#measuring) return;
    this.#measuring = true;
    try {
      const before = await this.#usage();
      await delay(OVERHEAD_MS);
      const after = await this.#usage();
      const seconds = (after.atMs - before.atMs) / 1000;
      const host = after.hostCpu - before.hostCpu;
      const guest = after.guestCpu - before.guestCpu;
      this.#overhead = {
        cpuPercent: (host - guest) / seconds * 100,
        memoryBytes: after.hostMemory - after.guestMemory,
      };
    } catch (error) {
      this.#sandbox.log.write("debug", `cannot measure the pod's overhead: ${reason(error)}`);
    } finally {
      this.#measuring = false;
    }
  }

  #own(): Family[] {
    const { client, taskDurations } = this.#sandbox;
    const families = [
      ...this.#helper("vmm", "kata_hypervisor_", "hypervisor"),
      ...this.#helper("virtiofsd", "kata_virtiofsd_", "virtiofsd"),
      ...processMetrics(Deno.pid, { prefix: "kata_shim_", what: "shim", unit: "bytes", underscores: false }),
      ...standardProcessMetrics(""),
      single("kata_shim_pod_overhead_cpu", "CPU overhead of the pod in percent.", this.#overhead.cpuPercent),
      single(
        "kata_shim_pod_overhead_memory_in_bytes",
        "Memory overhead of the pod in bytes.",
        this.#overhead.memoryBytes,
      ),
      client.durations.family(
        "kata_shim_agent_rpc_durations_histogram_milliseconds",
        "Durations of calls of the agent.",
      ),
    ];
    if (taskDurations !== undefined) {
      families.push(
        taskDurations.family("kata_shim_rpc_durations_histogram_milliseconds", "Durations of task calls."),
      );
    }
    return families;
  }

  /** A helper that is not there has no threads and no descriptors, and nothing else. */
  #helper(role: "vmm" | "virtiofsd", prefix: string, what: string): Family[] {
    const pid = this.#sandbox.processes.find((process) => process.role === role)?.pid;
    const families = pid === undefined
      ? []
      : processMetrics(pid, { prefix, what, unit: "bytes", underscores: false });
    const missing = ["threads", "fds"]
      .filter((name) => !families.some((family) => family.name === `${prefix}${name}`))
      .map((name) => single(`${prefix}${name}`, `None: there is no ${what}.`, 0));
    if (role !== "vmm" || pid === undefined) return [...families, ...missing];
    const network = () => [networkMetrics(pid, `${prefix}netdev`, "Network interfaces of the hypervisor.")];
    return [...families, ...missing, ...gathered([network])];
  }

  async #guest(): Promise<string> {
    if (this.#guestHasNone) return "";
    try {
      const { metrics } = await this.#sandbox.client.agent.getMetrics({}, { timeoutMs: GUEST_MS });
      return prefixedFamilies(metrics);
    } catch (error) {
      const code = error instanceof RpcError ? error.code : undefined;
      // an agent that has none will not have any later
      if (code === Code.NotFound || code === Code.Unimplemented) this.#guestHasNone = true;
      this.#sandbox.log.write("info", `the guest's metrics are left out: ${reason(error)}`);
      return "";
    }
  }

  async #usage(): Promise<Usage> {
    const { client, processes } = this.#sandbox;
    const pids = [Deno.pid, ...processes.map(({ pid }) => pid)];
    const host = pids.map(hostUsage);
    const atMs = performance.now();
    const stats = await Promise.all(
      this.#sandbox.containerIds().map((containerId) =>
        client.agent.statsContainer({ containerId }, { timeoutMs: GUEST_MS })
      ),
    );
    const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
    return {
      atMs,
      hostCpu: sum(host.map(({ cpu }) => cpu)),
      hostMemory: sum(host.map(({ memory }) => memory)),
      guestCpu: sum(
        stats.map(({ cgroupStats }) =>
          Number(cgroupStats?.cpuStats?.cpuUsage?.totalUsage ?? 0n) / NANOSECONDS
        ),
      ),
      guestMemory: sum(stats.map(({ cgroupStats }) => Number(cgroupStats?.memoryStats?.usage?.usage ?? 0n))),
    };
  }
}

/** Processor time in seconds, and resident memory in bytes; nothing of one that has ended. */
function hostUsage(pid: number): { cpu: number; memory: number } {
  try {
    const { utime, stime } = parseProcessStat(Deno.readTextFileSync(`/proc/${pid}/stat`));
    const status = parseColonLines(Deno.readTextFileSync(`/proc/${pid}/status`));
    return { cpu: (utime + stime) / TICKS_PER_SECOND, memory: (status.get("VmRSS") ?? 0) * KIB };
  } catch {
    return { cpu: 0, memory: 0 };
  }
}

/** A name that is a guest's to use: not one of the shim's, of a helper's, or of what scrapers make up themselves. */
const GUEST_NAME = /^kata_(?!(?:shim|hypervisor|virtiofsd|monitor)_)/;

/** A title or a value, cut at the name; control characters, and escapes that the format does not have, are neither. */
// deno-lint-ignore no-control-regex
const HELP = /^(# HELP )([a-zA-Z_:][a-zA-Z0-9_:]*)( (?:[^\\\x00-\x1f\x7f-\x9f]|\\[\\n])*)$/;
const TYPE = /^(# TYPE )([a-zA-Z_:][a-zA-Z0-9_:]*)( (?:counter|gauge|histogram|summary|untyped))$/;
const VALUE =
  // deno-lint-ignore no-control-regex
  /^()([a-zA-Z_:][a-zA-Z0-9_:]*)((?:\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\x00-\x1f\x7f-\x9f]|\\[\\"n])*"(?:,|(?=\})))*\})? (?:[-+]?[0-9][0-9.eE+-]*|[-+]?Inf|NaN))$/;

/**
 * The metrics of a guest, for a text that has the host's as well. A guest may say anything: what is named as if it were
 * the host's gets another name, and lines that would make the whole text invalid are left out.
 */
export function prefixedFamilies(text: string): string {
  const titles = new Set<string>();
  const lines = text.split("\n").flatMap((line) => {
    const [, begin = "", name = "", rest = ""] = HELP.exec(line) ?? TYPE.exec(line) ?? VALUE.exec(line) ?? [];
    if (name === "") return [];
    const own = GUEST_NAME.test(name) ? name : `kata_agent_${name}`;
    const title = `${begin}${own}`;
    if (begin !== "" && titles.has(title)) return [];
    titles.add(title);
    return [`${title}${rest}\n`];
  });
  return lines.join("");
}

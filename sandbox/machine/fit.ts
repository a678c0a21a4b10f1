/**
 * Keeps a machine as large as its containers need: processors and memory are plugged in before a container starts, and
 * unplugged when it has been removed.
 *
 * @module
 */

import type { Vm } from "../../vm/vmm.ts";
import { type AgentClient, CALL_TIMEOUT_MS } from "../guest/agent_client.ts";
import { type Log, reason } from "../log/log.ts";
import { totalOf, type VmSize, vmSize, type Workload } from "./sizing.ts";

/** The machine, as far as it can grow. */
export type Machine = Pick<Vm, "vcpus" | "memoryMiB" | "resizeCpus" | "resizeMemory">;

/** What a machine is fitted by. */
export interface FitOptions {
  readonly machine: Machine;
  readonly agent: AgentClient["agent"];
  /** the size without any workload; processors may be a fraction */
  readonly defaults: VmSize;
  readonly most: VmSize;
  readonly log: Log;
}

/**
 * Memory is managed by structures that have to fit the memory already there, a 64th of what is added: at most this many
 * times as much is added at once, as a small guest has only half of its memory free.
 */
const MOST_TIMES = 16;

/** Where the guest does not say in which blocks it takes memory, in MiB. */
const DEFAULT_BLOCK_MIB = 128;
const MIB = 1_048_576n;

/** The size of one machine, by what its containers ask for. */
export class MachineFit {
  readonly #options: FitOptions;
  readonly #workloads = new Map<string, Workload>();
  #cpusInUse: number | undefined;
  #blockMiB: number | undefined;
  /** one change at a time; never rejects */
  #turn: Promise<void> = Promise.resolve();

  constructor(options: FitOptions) {
    this.#options = options;
  }

  /**
   * Makes room for what a container asks for, in place of what it asked for before. Less than that is no error where
   * the host or the configuration has no more; the log says so.
   *
   * @throws {Error} the monitor or the guest refuses; what the container asks for is forgotten then
   */
  async want(id: string, workload: Workload): Promise<void> {
    const before = this.#workloads.get(id);
    this.#workloads.set(id, workload);
    try {
      await this.#fit();
    } catch (error) {
      // it may have ended meanwhile, or asked for something else
      if (this.#workloads.get(id) !== workload) throw error;
      if (before === undefined) this.#workloads.delete(id);
      else this.#workloads.set(id, before);
      throw error;
    }
  }

  /** A container needs nothing any more: what was its share goes back to the host, as far as the guest gives it. */
  async forget(id: string): Promise<void> {
    if (!this.#workloads.delete(id)) return;
    try {
      await this.#fit();
    } catch (error) {
      this.#options.log.write("warning", `the machine stays as large as it is: ${reason(error)}`);
    }
  }

  #fit(): Promise<void> {
    const done = this.#turn.then(async () => {
      const wanted = this.#wanted();
      await this.#fitCpus(wanted.vcpus);
      await this.#fitMemory(wanted.memoryMiB);
    });
    this.#turn = done.catch(() => {});
    return done;
  }

  #wanted(): VmSize {
    const { defaults, most, log } = this.#options;
    const total = totalOf(this.#workloads.values());
    const asked = vmSize(defaults, total, { vcpus: Infinity, memoryMiB: Infinity });
    const wanted = vmSize(defaults, total, most);
    if (asked.vcpus > wanted.vcpus || asked.memoryMiB > wanted.memoryMiB) {
      const have = `${most.vcpus} and ${most.memoryMiB}`;
      const ask = `${asked.vcpus} CPUs and ${asked.memoryMiB} MiB`;
      log.write("warning", `the containers ask for ${ask}: the machine can have ${have}`);
    }
    return wanted;
  }

  async #fitCpus(wanted: number): Promise<void> {
    const { machine, agent, log } = this.#options;
    const before = this.#cpusInUse ??= machine.vcpus;
    if (wanted === before) return;
    const count = await machine.resizeCpus(wanted);
    // those that cannot be taken out are switched off
    const inUse = Math.min(wanted, count);
    if (inUse > before || count > inUse) {
      const request = { wait: false, nbCpus: inUse, cpuOnly: true };
      await agent.onlineCPUMem(request, { timeoutMs: CALL_TIMEOUT_MS });
    }
    this.#cpusInUse = inUse;
    if (inUse < wanted) log.write("warning", `the machine has ${inUse} CPUs of ${wanted} that are asked for`);
    if (inUse !== before) log.write("info", `the machine has ${inUse} CPUs now`);
  }

  async #fitMemory(wanted: number): Promise<void> {
    const { machine, agent, log } = this.#options;
    const before = machine.memoryMiB;
    if (wanted === before) return;
    const blockMiB = this.#blockMiB ??= await this.#askBlock();
    do {
      const last = machine.memoryMiB;
      const now = await machine.resizeMemory(Math.min(wanted, last * (MOST_TIMES + 1)), blockMiB);
      if (now <= last) break;
      await agent.onlineCPUMem({ wait: false, nbCpus: 0, cpuOnly: false }, { timeoutMs: CALL_TIMEOUT_MS });
    } while (machine.memoryMiB < wanted);
    const { memoryMiB } = machine;
    if (memoryMiB < wanted) {
      log.write("warning", `the machine has ${memoryMiB} MiB of ${wanted} that are asked for`);
    }
    if (memoryMiB !== before) log.write("info", `the machine has ${memoryMiB} MiB now`);
  }

  async #askBlock(): Promise<number> {
    const request = { memBlockSize: true, memHotplugProbe: false };
    const { memBlockSizeBytes } = await this.#options.agent.getGuestDetails(request, {
      timeoutMs: CALL_TIMEOUT_MS,
    });
    return Number(memBlockSizeBytes / MIB) || DEFAULT_BLOCK_MIB;
  }
}

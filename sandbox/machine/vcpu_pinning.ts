/**
 * Binding the threads of virtual CPUs to the CPUs of the host that a pod's containers are bound to.
 *
 * @module
 */

import { getAffinity, setAffinity } from "../../sys/affinity.ts";
import { isErrno } from "../../sys/errors.ts";
import { type Log, reason } from "../log/log.ts";
import { cpuNumbers } from "./sizing.ts";

/** What threads are bound by. */
export interface ThreadBinding {
  /** CPUs that a thread may have at all */
  allowed(): readonly number[];
  bind(tid: number, cpus: readonly number[]): void;
}

/** This host. */
const THREAD_BINDING: ThreadBinding = { allowed: () => getAffinity(0), bind: setAffinity };

/**
 * The virtual CPUs of one machine. Where there are as many as CPUs that its containers are bound to, each has one of
 * them; otherwise all may run anywhere (host.md G).
 */
export class VcpuPinning {
  readonly #threads: () => Promise<readonly number[]>;
  readonly #log: Log;
  readonly #binding: ThreadBinding;
  /** `cpuset.cpus` by container */
  readonly #lists = new Map<string, string>();
  #bound = false;

  /** @param threads of the virtual CPUs, in their order */
  constructor(threads: () => Promise<readonly number[]>, log: Log, binding: ThreadBinding = THREAD_BINDING) {
    this.#threads = threads;
    this.#log = log;
    this.#binding = binding;
  }

  /** A container is bound to CPUs such as "0-3,7"; "" = to none in particular. */
  async set(id: string, cpus: string): Promise<void> {
    this.#lists.set(id, cpus);
    await this.apply();
  }

  /** A container has gone. */
  async forget(id: string): Promise<void> {
    if (this.#lists.delete(id)) await this.apply();
  }

  /** Binds anew, as when the machine has got or lost CPUs. That it cannot be done is no reason to fail a container. */
  async apply(): Promise<void> {
    const wanted = [...new Set([...this.#lists.values()].flatMap(cpuNumbers))].sort((a, b) => a - b);
    if (wanted.length === 0 && !this.#bound) return;
    try {
      const threads = await this.#threads();
      const allowed = this.#binding.allowed();
      this.#bound = wanted.length === threads.length;
      for (const [index, tid] of threads.entries()) {
        this.#bind(tid, this.#bound ? wanted.slice(index, index + 1) : allowed);
      }
      this.#log.write(
        "info",
        this.#bound ? `virtual CPUs run on ${wanted.join(", ")}` : "virtual CPUs run anywhere",
      );
    } catch (error) {
      this.#log.write("warning", `cannot bind virtual CPUs to CPUs ${wanted.join(", ")}: ${reason(error)}`);
    }
  }

  /** One that was plugged out meanwhile is not missed. */
  #bind(tid: number, cpus: readonly number[]): void {
    try {
      this.#binding.bind(tid, cpus);
    } catch (error) {
      if (!isErrno(error, "ESRCH")) throw error;
    }
  }
}

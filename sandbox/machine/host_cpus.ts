/**
 * Where a machine's virtual CPUs run on the host: their cgroup, and the CPUs of the host that its containers are bound
 * to.
 *
 * @module
 */

import type { Resources } from "../../oci/spec.ts";
import type { Vm } from "../../vm/vmm.ts";
import type { SandboxCgroups } from "../cgroups/cgroups.ts";
import { type Log, reason } from "../log/log.ts";
import type { VcpuPinning } from "./vcpu_pinning.ts";

/** What it is about. */
export interface HostCpusParts {
  readonly vm: Pick<Vm, "vcpus" | "vcpuThreads">;
  readonly cgroups: Pick<SandboxCgroups, "bind" | "hasThreads" | "placeThreads">;
  /** one virtual CPU on one of the host; absent where that is not asked for */
  readonly pinning: VcpuPinning | undefined;
  readonly log: Log;
}

/** The virtual CPUs of one machine on the host. */
export class HostCpus {
  readonly #parts: HostCpusParts;
  /** how many there were when they were placed */
  #placed = 0;

  constructor(parts: HostCpusParts) {
    this.#parts = parts;
  }

  /** A container has these limits now. */
  async set(id: string, resources: Resources | undefined): Promise<void> {
    const { cgroups, pinning } = this.#parts;
    const { cpus, mems } = resources?.cpu ?? {};
    cgroups.bind(id, { cpus, mems });
    await this.place();
    await pinning?.set(id, cpus ?? "");
  }

  /** A container has gone. */
  async forget(id: string): Promise<void> {
    const { cgroups, pinning } = this.#parts;
    cgroups.bind(id, undefined);
    await this.place();
    await pinning?.forget(id);
  }

  /** Puts threads that are new into their cgroup. That it cannot be done is no reason to fail anything. */
  async place(): Promise<void> {
    const { vm, cgroups, log } = this.#parts;
    const count = vm.vcpus;
    if (!cgroups.hasThreads || count === this.#placed) return;
    try {
      cgroups.placeThreads(await vm.vcpuThreads());
      this.#placed = count;
    } catch (error) {
      log.write("warning", `the threads of virtual CPUs stay in the machine's cgroup: ${reason(error)}`);
    }
  }
}

/**
 * A pod's machine grows and shrinks with what its containers ask for, as seen by the guest's kernel.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Resources } from "../../oci/spec.ts";
import { writeConfiguration } from "./configuration.ts";
import { until } from "./containerd.ts";
import { type DirectShim, execProcess, limits, memberOf, POD, startShim } from "./direct_shim.ts";
import { nameOf } from "./host_cgroups.ts";
import { leaksSince, ownId, traces } from "./leaks.ts";
import { temporaryRootfs } from "./rootfs.ts";

const MIB = 1_048_576;
const TWO_CPUS = { quota: 100_000, period: 100_000 };

/** What a machine has, as its kernel counts. */
interface Seen {
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly swapMiB: number;
}

/** The container that looks at the machine. */
const WATCHER = "watcher";

/** A pod with a container that looks at the machine. */
class Pod {
  readonly #shim: DirectShim;
  readonly #rootfs: string;
  #looks = 0;

  constructor(shim: DirectShim, rootfs: string) {
    this.#shim = shim;
    this.#rootfs = rootfs;
  }

  async add(id: string, annotations: Record<string, string>, resources?: Resources): Promise<void> {
    const { task } = this.#shim;
    const bundle = this.#shim.writeBundle(id, {
      args: ["sleep", "1000"],
      rootfs: this.#rootfs,
      annotations,
      resources,
    });
    await task.create({ id, bundle });
    await task.start({ id });
  }

  async remove(id: string): Promise<void> {
    const { task } = this.#shim;
    const ended = task.wait({ id });
    await task.kill({ id, signal: 9, all: true });
    await ended;
    await task.delete({ id });
  }

  async look(): Promise<Seen> {
    const { task } = this.#shim;
    const id = WATCHER;
    const execId = `look${this.#looks++}`;
    const stdout = this.#shim.outputFifo(execId);
    const script = "grep -c ^processor /proc/cpuinfo; grep -E '(Mem|Swap)Total' /proc/meminfo";
    await task.exec({ id, execId, spec: execProcess(["sh", "-c", script]), stdout: stdout.path });
    await task.start({ id, execId });
    const [cpus, memory = "", swap = ""] = (await stdout.text).split("\n");
    await task.delete({ id, execId });
    const mib = (line: string) => Number(/\d+/.exec(line)?.[0]) / 1024;
    return { cpus: Number(cpus), memoryMiB: mib(memory), swapMiB: mib(swap) };
  }

  /** Waits until the guest counts so many processors, and at least or at most so much more memory than before. */
  async sees(what: string, isSo: (seen: Seen) => boolean): Promise<void> {
    await until(what, async () => isSo(await this.look()));
  }
}

/** A pod of one processor, and its whole life in one test. */
async function withPod(
  hypervisor: Record<string, number | boolean>,
  body: (pod: Pod, id: string, shim: DirectShim) => Promise<void>,
) {
  const id = ownId("grow");
  const before = await traces();
  {
    await using rootfs = await temporaryRootfs();
    const folder = await Deno.makeTempDir({ prefix: "kata-grow-" });
    await using cleanup = new AsyncDisposableStack();
    cleanup.defer(() => Deno.remove(folder, { recursive: true }));
    const configuration = writeConfiguration(folder, {
      hypervisor: { default_memory: 512, default_maxvcpus: 2, default_maxmemory: 2048, ...hypervisor },
      runtime: { enable_vcpus_pinning: true },
    });
    await using shim = await startShim(id, { configuration });
    const pod = new Pod(shim, rootfs.path);
    await pod.add(id, POD);
    await pod.add(WATCHER, memberOf(id));
    await body(pod, id, shim);
  }
  assert.deepEqual(await leaksSince(before), []);
}

/** The threads of a machine's virtual CPUs, and where they may run. */
function vcpusOf(pid: number): string[] {
  const tasks = [...Deno.readDirSync(`/proc/${pid}/task`)].map(({ name }) => `/proc/${pid}/task/${name}`);
  return tasks.flatMap((task) => {
    const name = nameOf(task);
    if (!name.startsWith("CPU ")) return [];
    const allowed = /^Cpus_allowed_list:\s+(\S+)$/m.exec(Deno.readTextFileSync(`${task}/status`))?.[1];
    return [`${name}: ${allowed}`];
  }).sort();
}

Deno.test("processors and memory follow a pod's containers up and down", async () => {
  await withPod({ enable_guest_swap: true }, async (pod, id, shim) => {
    const boot = await pod.look();
    assert.equal(boot.cpus, 1);
    assert.equal(boot.swapMiB, 0);

    await pod.add("large", memberOf(id), { cpu: { ...TWO_CPUS, cpus: "0-1" }, memory: { limit: 256 * MIB } });
    await pod.sees("the guest has grown", (seen) => seen.cpus === 2 && seen.memoryMiB > boot.memoryMiB + 250);

    const { pid } = await shim.task.state({ id });
    assert.deepEqual(vcpusOf(pid), ["CPU 0/TCG: 0", "CPU 1/TCG: 1"]);

    await shim.task.update({ id: "large", resources: limits({ memory: { limit: 512 * MIB } }) });
    await pod.sees("the guest has found its memory", ({ memoryMiB }) => memoryMiB > boot.memoryMiB + 500);

    const swapping = { "io.katacontainers.container.resource.swappiness": "60" };
    await pod.add("swapping", { ...memberOf(id), ...swapping }, { memory: { limit: 32 * MIB } });
    assert.equal((await pod.look()).swapMiB, 32);
    const file = await Deno.stat(`/run/kata-containers/shared/sandboxes/${id}/swap0`);
    assert.deepEqual([file.size, (file.mode ?? 0) & 0o777], [32 * MIB + 4096, 0o600]);
    await shim.task.update({ id: "swapping", resources: limits({ memory: { limit: 48 * MIB } }) });
    assert.equal((await pod.look()).swapMiB, 48);
    await pod.remove("swapping");

    await pod.add("beyond", memberOf(id), { cpu: { quota: 900_000, period: 100_000 } });
    assert.equal((await pod.look()).cpus, 2, "there are no more");
    await pod.remove("beyond");

    await pod.remove("large");
    await pod.sees(
      "the guest is as small as before",
      (seen) => seen.cpus === boot.cpus && seen.memoryMiB < boot.memoryMiB + 10,
    );
  });
});

Deno.test("memory follows a pod's containers through a virtio-mem device", async () => {
  await withPod({ enable_virtio_mem: true }, async (pod, id) => {
    const boot = await pod.look();
    await pod.add("large", memberOf(id), { memory: { limit: 300 * MIB } });
    await pod.sees("the guest has grown", ({ memoryMiB }) => memoryMiB > boot.memoryMiB + 290);
    await pod.remove("large");
    await pod.sees("the guest is as small as before", (seen) => seen.memoryMiB < boot.memoryMiB + 10);
  });
});

import assert from "node:assert/strict";
import type { AgentClient } from "../guest/agent_client.ts";
import { MachineFit } from "./fit.ts";
import { NO_WORKLOAD, type VmSize } from "./sizing.ts";

const BLOCK_MIB = 128;

/** A machine that grows in blocks, and a guest that notes what it is told. */
class Bench {
  vcpus = 1;
  memoryMiB = 256;
  readonly told: string[] = [];
  readonly logged: string[] = [];
  refuses = "";
  readonly fit: MachineFit;

  constructor(most: VmSize = { vcpus: 4, memoryMiB: 32_768 }) {
    const agent = {
      onlineCPUMem: ({ nbCpus, cpuOnly }: { nbCpus: number; cpuOnly: boolean }) => {
        this.told.push(cpuOnly ? `online ${nbCpus} CPUs` : "online memory");
        return Promise.resolve({});
      },
      getGuestDetails: () => Promise.resolve({ memBlockSizeBytes: BigInt(BLOCK_MIB) << 20n }),
    } as unknown as AgentClient["agent"];
    this.fit = new MachineFit({
      machine: this,
      agent,
      defaults: { vcpus: 0.5, memoryMiB: 256 },
      most,
      log: { write: (level, message) => void this.logged.push(`${level}: ${message}`) },
    });
  }

  /** whether it keeps processors that are to go */
  keepsCpus = false;

  resizeCpus(wanted: number): Promise<number> {
    if (this.refuses === "CPUs") return Promise.reject(new Error("no CPU today"));
    this.told.push(`${wanted} CPUs`);
    return Promise.resolve(this.vcpus = this.keepsCpus ? Math.max(wanted, this.vcpus) : wanted);
  }

  resizeMemory(wanted: number, blockMiB: number): Promise<number> {
    this.told.push(`${wanted} MiB`);
    const missing = Math.ceil((wanted - this.memoryMiB) / blockMiB) * blockMiB;
    return Promise.resolve(this.memoryMiB += missing);
  }

  takeTold(): string[] {
    return this.told.splice(0);
  }
}

Deno.test("a machine grows for its containers, and shrinks when they go", async () => {
  const bench = new Bench();
  await bench.fit.want("a", { ...NO_WORKLOAD, cpus: 0.5 });
  assert.deepEqual(bench.takeTold(), [], "the defaults have room for it");
  await bench.fit.want("b", { ...NO_WORKLOAD, cpus: 1, memoryMiB: 100 });
  assert.deepEqual(bench.takeTold(), ["2 CPUs", "online 2 CPUs", "356 MiB", "online memory"]);
  await bench.fit.want("b", { ...NO_WORKLOAD, cpus: 2, memoryMiB: 128 });
  assert.deepEqual(bench.takeTold(), ["3 CPUs", "online 3 CPUs"]);
  await bench.fit.forget("b");
  assert.deepEqual(bench.takeTold(), ["1 CPUs", "256 MiB"]);
  await bench.fit.forget("b");
  assert.deepEqual(bench.takeTold(), [], "it was forgotten before");
});

Deno.test("memory comes in rounds, as its book-keeping has to fit what is there", async () => {
  const bench = new Bench();
  await bench.fit.want("a", { ...NO_WORKLOAD, memoryMiB: 20_000 });
  assert.deepEqual(bench.takeTold(), [
    `${256 * 17} MiB`,
    "online memory",
    "20256 MiB",
    "online memory",
  ]);
});

Deno.test("less than is asked for is logged, and is no error", async () => {
  const bench = new Bench({ vcpus: 2, memoryMiB: 512 });
  await bench.fit.want("a", { ...NO_WORKLOAD, cpus: 7, memoryMiB: 1024 });
  assert.deepEqual([bench.vcpus, bench.memoryMiB], [2, 512]);
  assert.deepEqual(bench.logged.filter((line) => line.startsWith("warning")), [
    "warning: the containers ask for 8 CPUs and 1280 MiB: the machine can have 2 and 512",
  ]);
});

Deno.test("what is refused is not asked for again on behalf of others", async () => {
  const bench = new Bench();
  bench.refuses = "CPUs";
  await assert.rejects(bench.fit.want("a", { ...NO_WORKLOAD, cpus: 2 }), { message: "no CPU today" });
  bench.refuses = "";
  await bench.fit.want("b", NO_WORKLOAD);
  assert.deepEqual(bench.takeTold(), []);
});

Deno.test("a container that goes while its wish is refused is not known again", async () => {
  const bench = new Bench();
  await bench.fit.want("a", { ...NO_WORKLOAD, cpus: 1 });
  bench.refuses = "CPUs";
  const refused = assert.rejects(bench.fit.want("a", { ...NO_WORKLOAD, cpus: 2 }));
  await Promise.all([refused, bench.fit.forget("a")]);
  bench.refuses = "";
  bench.takeTold();
  await bench.fit.want("b", NO_WORKLOAD);
  assert.deepEqual(bench.takeTold(), ["1 CPUs"]);
});

Deno.test("up, down and up again end where they should", async () => {
  const bench = new Bench();
  const sizes = [2, 0.1, 3, 0, 1.5];
  await Promise.all(
    sizes.map((cpus) => bench.fit.want("a", { ...NO_WORKLOAD, cpus, memoryMiB: cpus * 256 })),
  );
  assert.deepEqual([bench.vcpus, bench.memoryMiB], [2, 256 + 384]);
});

Deno.test("containers that come at once are fitted one after the other", async () => {
  const bench = new Bench();
  await Promise.all(["a", "b", "c"].map((id) => bench.fit.want(id, { ...NO_WORKLOAD, cpus: 1 })));
  assert.equal(bench.vcpus, 4);
  assert.deepEqual(bench.takeTold(), ["4 CPUs", "online 4 CPUs"]);
});

Deno.test("a processor that cannot be taken out is switched off, and on again", async () => {
  const bench = new Bench();
  bench.keepsCpus = true;
  await bench.fit.want("a", { ...NO_WORKLOAD, cpus: 2 });
  assert.deepEqual(bench.takeTold(), ["3 CPUs", "online 3 CPUs"]);
  await bench.fit.forget("a");
  assert.deepEqual(bench.takeTold(), ["1 CPUs", "online 1 CPUs"]);
  await bench.fit.want("a", { ...NO_WORKLOAD, cpus: 1 });
  assert.deepEqual(bench.takeTold(), ["2 CPUs", "online 2 CPUs"]);
});

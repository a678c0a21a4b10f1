import assert from "node:assert/strict";
import { SysError } from "../../sys/errors.ts";
import { VcpuPinning } from "./vcpu_pinning.ts";

/** A machine with threads, and what they were bound to. */
class Bench {
  threads = [11, 12];
  refuses: Error | undefined;
  readonly logged: string[] = [];
  readonly pinning: VcpuPinning;
  readonly #bound: string[] = [];

  constructor() {
    const binding = {
      allowed: () => [0, 1, 2, 3],
      bind: (tid: number, cpus: readonly number[]) => {
        if (this.refuses) throw this.refuses;
        this.#bound.push(`${tid}: ${cpus}`);
      },
    };
    const log = { write: (level: string, message: string) => void this.logged.push(`${level}: ${message}`) };
    this.pinning = new VcpuPinning(() => Promise.resolve(this.threads), log, binding);
  }

  taken(): string[] {
    return this.#bound.splice(0);
  }
}

Deno.test("as many CPUs as containers are bound to are given to one virtual CPU each", async () => {
  const bench = new Bench();
  await bench.pinning.set("a", "");
  assert.deepEqual(bench.taken(), [], "nobody asks for any");
  await bench.pinning.set("a", "3");
  assert.deepEqual(bench.taken(), ["11: 0,1,2,3", "12: 0,1,2,3"], "one is not enough for two");
  await bench.pinning.set("b", "1,3");
  assert.deepEqual(bench.taken(), ["11: 1", "12: 3"]);
  await bench.pinning.forget("b");
  assert.deepEqual(bench.taken(), ["11: 0,1,2,3", "12: 0,1,2,3"]);
  await bench.pinning.forget("b");
  assert.deepEqual(bench.taken(), []);
});

Deno.test("a machine that has grown is bound anew", async () => {
  const bench = new Bench();
  await bench.pinning.set("a", "0-2");
  bench.taken();
  bench.threads = [11, 12, 13];
  await bench.pinning.apply();
  assert.deepEqual(bench.taken(), ["11: 0", "12: 1", "13: 2"]);
});

Deno.test("a thread that has ended is no error, and what the host refuses is logged", async () => {
  const bench = new Bench();
  bench.refuses = new SysError("sched_setaffinity", 3, "11");
  await bench.pinning.set("a", "0,1");
  assert.deepEqual(bench.logged, ["info: virtual CPUs run on 0, 1"]);
  bench.refuses = new SysError("sched_setaffinity", 22, "11");
  await bench.pinning.set("a", "8,9");
  assert.match(bench.logged[1] ?? "", /^warning: cannot bind virtual CPUs to CPUs 8, 9: .*EINVAL/);
});

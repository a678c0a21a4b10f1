/**
 * What a pod costs its host besides its containers: `deno run -A tests/bench/overhead.ts [MiB…]` prints a table for
 * each size of the machine (default: 512 and 2048). See `docs/overhead.md`.
 *
 * @module
 */

import { writeConfiguration } from "../e2e/configuration.ts";
import { startContainerd } from "../e2e/containerd.ts";
import { temporaryRootfs } from "../e2e/rootfs.ts";

/** Until what the start has used is given back, and over which CPU time is counted. */
const SETTLE_MS = 20_000;
const WATCH_MS = 30_000;

/** As the kernel counts CPU time. */
const TICKS_PER_S = 100;

/** What a process has of the host, in KiB; pages that several have are shared out between them. */
interface Memory {
  readonly pss: number;
  readonly private: number;
  /** of `pss`: the guest's memory */
  readonly guest: number;
}

/** A process and all below it, by the names of their programs. */
async function processesBelow(root: number): Promise<Map<number, string>> {
  const parents = new Map<number, number>();
  const names = new Map<number, string>();
  for await (const { name } of Deno.readDir("/proc")) {
    const stat = /^\d+$/.test(name) ? await Deno.readTextFile(`/proc/${name}/stat`).catch(() => "") : "";
    const [, program, parent] = /^\d+ \((.*)\) \S (\d+)/s.exec(stat) ?? [];
    if (program === undefined) continue;
    parents.set(Number(name), Number(parent));
    names.set(Number(name), program);
  }
  const isBelow = (pid: number | undefined): boolean =>
    pid !== undefined && (pid === root || isBelow(parents.get(pid)));
  return new Map([...names].filter(([pid]) => isBelow(pid)));
}

async function memoryOf(pid: number, machineMiB: number): Promise<Memory> {
  const memory = { pss: 0, private: 0, guest: 0 };
  const mappings = (await Deno.readTextFile(`/proc/${pid}/smaps`)).split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  for (const mapping of mappings) {
    const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(mapping)?.[1] ?? 0);
    memory.pss += kib("Pss");
    memory.private += kib("Private_Clean") + kib("Private_Dirty");
    if (kib("Size") >= machineMiB * 1024) memory.guest += kib("Pss");
  }
  return memory;
}

/** CPU time so far, in seconds. */
async function cpuOf(pid: number): Promise<number> {
  const fields = (await Deno.readTextFile(`/proc/${pid}/stat`)).replace(/^.*\) /s, "").split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
}

/** Measures one pod whose container sleeps. */
async function measure(machineMiB: number): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "kata-overhead-" });
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => Deno.remove(folder, { recursive: true }));
  const rootfs = cleanup.use(await temporaryRootfs());
  const configuration = writeConfiguration(folder, { hypervisor: { default_memory: machineMiB } });
  const id = `overhead-${crypto.randomUUID().slice(0, 8)}`;
  const containerd = cleanup.use(await startContainerd({ configuration }));
  await containerd.runDetached(id, rootfs.path, ["sleep", "3600"]);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));

  const processes = await processesBelow(await containerd.shimPid(id));
  const before = new Map<number, number>();
  for (const pid of processes.keys()) before.set(pid, await cpuOf(pid));
  await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
  const sum = { pss: 0, private: 0, guest: 0, cpu: 0 };
  const mib = (kib: number) => (kib / 1024).toFixed(1).padStart(9);
  const line = (name: string, { pss, private: own, guest, cpu }: typeof sum) =>
    console.log(
      `${name.padEnd(16)}${mib(pss)}${mib(own)}${mib(guest)}${(cpu * 1000).toFixed(1).padStart(9)}`,
    );
  console.log(`machine of ${machineMiB} MiB  PSS  private  guest's  CPU (MiB, thousandths of a CPU)`);
  for (const [pid, name] of processes) {
    const cpu = (await cpuOf(pid) - (before.get(pid) ?? 0)) / (WATCH_MS / 1000);
    const row = { ...await memoryOf(pid, machineMiB), cpu };
    for (const key of ["pss", "private", "guest", "cpu"] as const) sum[key] += row[key];
    line(name, row);
  }
  line("all", sum);
  await containerd.ctr(["task", "rm", "--force", id]);
}

const sizes = Deno.args.length > 0 ? Deno.args.map(Number) : [512, 2048];
for (const size of sizes) await measure(size);

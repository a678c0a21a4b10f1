import assert from "node:assert/strict";
import {
  hasMemoryProbe,
  memoryBlockSize,
  onlineCpus,
  onlineMemory,
  probeMemory,
  welcomeMemory,
} from "./hotplug.ts";

/** Files as sysfs has them. */
function tree(files: Record<string, string>): { path: string; read(name: string): string } & Disposable {
  const path = Deno.makeTempDirSync({ prefix: "kata-sysfs-" });
  for (const [name, text] of Object.entries(files)) {
    Deno.mkdirSync(`${path}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
    Deno.writeTextFileSync(`${path}/${name}`, text);
  }
  return {
    path,
    read: (name) => Deno.readTextFileSync(`${path}/${name}`),
    [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }),
  };
}

Deno.test("as many CPUs are brought into use as are wanted, counting those that always are", async () => {
  using cpus = tree({
    "cpu0/topology": "",
    "cpu1/online": "0\n",
    "cpu2/online": "1\n",
    "cpu10/online": "0\n",
    "cpufreq/x": "",
  });
  await onlineCpus(2, cpus.path);
  assert.deepEqual([cpus.read("cpu1/online"), cpus.read("cpu10/online")], ["0\n", "0\n"]);
  await onlineCpus(4, cpus.path);
  assert.deepEqual([cpus.read("cpu1/online"), cpus.read("cpu10/online")], ["1", "1"]);
});

Deno.test("CPUs beyond those that are wanted are put out of use, the last first and never the first", async () => {
  using cpus = tree({ "cpu0/online": "1\n", "cpu9/online": "1\n", "cpu10/online": "1\n" });
  await onlineCpus(2, cpus.path);
  assert.deepEqual([cpus.read("cpu9/online"), cpus.read("cpu10/online")], ["1\n", "0"]);
  await onlineCpus(0, cpus.path);
  assert.deepEqual([cpus.read("cpu0/online"), cpus.read("cpu9/online")], ["1\n", "0"]);
});

Deno.test("a CPU that appears late is waited for", async () => {
  using cpus = tree({ "cpu0/topology": "" });
  const online = onlineCpus(2, cpus.path);
  Deno.mkdirSync(`${cpus.path}/cpu1`);
  Deno.writeTextFileSync(`${cpus.path}/cpu1/online`, "0");
  await online;
  assert.equal(cpus.read("cpu1/online"), "1");
});

Deno.test("memory that is not in use is brought into use", () => {
  using memory = tree({ "memory0/online": "1\n", "memory7/online": "0\n", "memory8/state": "offline\n" });
  onlineMemory(memory.path);
  assert.deepEqual([memory.read("memory0/online"), memory.read("memory7/online")], ["1\n", "1"]);
});

Deno.test("the kernel is set to online plugged-in memory, if it can be", () => {
  using memory = tree({ auto_online_blocks: "offline\n", policy: "contig-zones\n" });
  welcomeMemory(memory.path, `${memory.path}/policy`);
  assert.deepEqual([memory.read("auto_online_blocks"), memory.read("policy")], ["online", "auto-movable"]);
  welcomeMemory("/nonexistent", "/nonexistent/policy");
});

Deno.test("the size of memory blocks is read as the hexadecimal number it is", () => {
  using memory = tree({ block_size_bytes: "8000000\n" });
  assert.equal(memoryBlockSize(memory.path), 0x8000000n);
  assert.equal(memoryBlockSize("/nonexistent"), 0n);
});

Deno.test("memory is probed where the kernel wants that", () => {
  using memory = tree({ probe: "" });
  assert.equal(hasMemoryProbe(memory.path), true);
  probeMemory([0x1000_0000_0000n], memory.path);
  assert.equal(memory.read("probe"), "0x100000000000");
  assert.equal(hasMemoryProbe("/nonexistent"), false);
  assert.throws(() => probeMemory([0n], "/nonexistent"), /it has no probe/);
});

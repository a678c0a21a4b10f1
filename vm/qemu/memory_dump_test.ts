import assert from "node:assert/strict";
import { dumpMemory } from "./memory_dump.ts";
import { qemu } from "./qemu.ts";
import { withTinyVm } from "./testing/config.ts";
import type { TinyKernelEnd } from "./testing/tiny_kernel.ts";

/** The beginning of an ELF file, and where its type is: 4 is a core. */
const CORE = [0x7f, 0x45, 0x4c, 0x46];

for (
  const [what, end] of [["tells its panic device", "panic"], ["restarts", "reset"]] as [
    string,
    TinyKernelEnd,
  ][]
) {
  Deno.test(`the memory of a guest that panicked and ${what} is written to a file`, () =>
    withTinyVm(async ({ folder, config, kernel, log }) => {
      const text = "before\nKernel panic - not syncing: no root\n";
      const memoryDump = { folder: `${folder}/dumps`, paging: false };
      await using vm = await qemu.start({ ...config, kernel: kernel(text, end), memoryDump });
      const { cause, message } = await vm.exited;
      assert.equal(cause, "panicked", message);
      const written = [...Deno.readDirSync(`${folder}/dumps/tiny`)].map(({ name }) => name).sort();
      assert.deepEqual(written.slice(0, 2), ["hypervisor.conf", "hypervisor.version"]);
      assert.match(written[2] ?? "", /^vmcore-\d{14}\.\d{3}\.elf$/);
      const core = Deno.readFileSync(`${folder}/dumps/tiny/${written[2]}`);
      assert.deepEqual([...core.subarray(0, 4), core[16]], [...CORE, 4]);
      assert.ok(core.length >= config.memoryMiB * 1024 * 1024);
      assert.ok(
        new TextDecoder("latin1").decode(core).includes("Kernel panic - not syncing"),
        "it is the guest's",
      );
      assert.ok(log.some((line) => line.startsWith("the guest's memory was dumped to ")), log.join("\n"));
      await vm.stop();
    }));
}

Deno.test("a guest that ends without a panic leaves no dump, though its machine would stay", () =>
  withTinyVm(async ({ folder, config, kernel }) => {
    const memoryDump = { folder: `${folder}/dumps`, paging: false };
    await using vm = await qemu.start({ ...config, kernel: kernel("bye\n", "reset"), memoryDump });
    assert.equal((await vm.exited).cause, "shutdown");
    assert.throws(() => Deno.statSync(`${folder}/dumps`), Deno.errors.NotFound);
    await vm.stop();
  }));

Deno.test("a dump follows the guest's page tables where paging is asked for, and needs room", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const asked: Record<string, unknown>[] = [];
    const qmp = {
      execute: (command: string, args: Record<string, unknown> = {}) => {
        if (command === "dump-guest-memory") asked.push(args);
        return Promise.resolve({});
      },
    };
    const config = { id: "s", hypervisorPath: "qemu", kernel: "/vmlinux", memoryMiB: 16 };
    for (const paging of [true, false]) {
      await dumpMemory(qmp, { ...config, memoryDump: { folder, paging } }, []);
    }
    assert.deepEqual(asked.map(({ paging, format }) => [paging, format]), [[true, "elf"], [false, "elf"]]);
    const huge = { ...config, memoryMiB: 2 ** 40, memoryDump: { folder, paging: false } };
    assert.match(
      await dumpMemory(qmp, huge, []),
      /is not dumped: ".*\/s" must have \d+ bytes free, and has \d+$/,
    );
    assert.equal(asked.length, 2);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

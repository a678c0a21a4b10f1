import assert from "node:assert/strict";
import type { Disk } from "../../vm/vmm.ts";
import { testSpec } from "../testing/fake_host.ts";
import { GuestSwap, specWithSwap, swapBytes, withSwapAnnotations } from "./guest_swap.ts";
import { makeSwapFile, swapPages } from "./swap_file.ts";

const MIB = 1_048_576;
const SWAPPINESS = "io.katacontainers.container.resource.swappiness";
const SWAP_BYTES = "io.katacontainers.container.resource.swap_in_bytes";

/** A container's specification. */
function wish(memory: Record<string, number>, annotations: Record<string, string> = {}) {
  return testSpec({ annotations, linux: { resources: { memory } } });
}

Deno.test("a file to swap to is one for other tools, and nobody else's to read", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kata-swap-" });
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => Deno.remove(folder, { recursive: true }));
  const path = `${folder}/swap0`;
  await makeSwapFile(path, 3 * MIB + 1, { uid: 12, gid: 34 });
  const { size, mode, uid, gid } = await Deno.stat(path);
  assert.deepEqual([size, (mode ?? 0) & 0o777, uid, gid], [3 * MIB + 2 * 4096, 0o600, 12, 34]);

  const tool = new Deno.Command("swaplabel", { args: [path], stdout: "piped", stderr: "piped" });
  const { success, stdout, stderr } = await tool.output();
  assert.equal(new TextDecoder().decode(stderr), "");
  assert.match(
    new TextDecoder().decode(stdout),
    /^UUID:\s+[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-/,
  );
  assert.ok(success);
  await assert.rejects(makeSwapFile(path, MIB), Deno.errors.AlreadyExists);
  await assert.rejects(makeSwapFile(`${path}2`, 2 ** 50), /^Error: the file system has room for \d+ bytes$/);
  assert.throws(() => Deno.statSync(`${path}2`), Deno.errors.NotFound);
  assert.equal(swapPages(1), 11, "the kernel takes no fewer");
});

Deno.test("how much swap containers need together", () => {
  const sum = (...memories: Record<string, number>[]) =>
    swapBytes(memories.map((memory) => ({ memory })), 1000);
  assert.equal(sum({ limit: 5 }, { limit: 5, swap: 9, swappiness: 0 }), 0, "nobody asks");
  assert.equal(sum({ limit: 5, swap: 9, swappiness: 1 }), 4);
  assert.equal(sum({ limit: 5, swap: 5, swappiness: 1 }), 0);
  assert.equal(sum({ limit: 5, swap: -1, swappiness: 1 }), 5);
  assert.equal(sum({ limit: 5, swappiness: 1 }, { swap: 7, swappiness: 1 }), 12);
  assert.equal(sum({ swappiness: 1 }, { swappiness: 1 }, { limit: 1, swappiness: 1 }), 1001);
});

Deno.test("annotations about swap, and the specification for the guest", () => {
  const spec = wish({ limit: 10 }, { [SWAPPINESS]: "0x3c", [SWAP_BYTES]: "20" });
  assert.deepEqual(withSwapAnnotations(spec).linux?.resources?.memory, {
    limit: 10,
    swap: 20,
    swappiness: 60,
  });
  assert.deepEqual(specWithSwap(spec).linux?.resources?.memory, { limit: 10, swap: 20 });
  assert.deepEqual(specWithSwap(wish({ swap: 20, swappiness: 1 })).linux?.resources?.memory, {});
  assert.throws(() => withSwapAnnotations(wish({}, { [SWAPPINESS]: "201" })), {
    message: `annotation "${SWAPPINESS}" must be a whole number from 0 to 200: it is "201"`,
  });
  assert.throws(() => withSwapAnnotations(wish({}, { [SWAP_BYTES]: "1G" })), /swap_in_bytes" must be/);
});

Deno.test("an update tells the guest of memory and swap together, as the annotations have it", async () => {
  const swap = new GuestSwap({
    folder: "/nowhere",
    disks: { use: () => assert.fail("nothing has to be plugged in") },
    agent: { addSwap: () => assert.fail("nothing is new") },
    defaultMiB: 2,
    log: { write: () => {} },
  });
  await swap.want("c", wish({ limit: 10 }, { [SWAP_BYTES]: "20" }));
  const update = (limit: number) =>
    swap.update("c", { memory: { limit } }, { memory: { limit, swap: limit } });
  assert.deepEqual(await update(15), { memory: { limit: 15, swap: 20 } });
  assert.deepEqual(await update(30), { memory: { limit: 30, swap: 30 } });
  const cpu = { cpu: { shares: 2 } };
  assert.deepEqual(await swap.update("c", { memory: { limit: 30 }, ...cpu }, cpu), cpu);
});

Deno.test("swap grows by files, one after the other, and one that is refused leaves nothing", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kata-swap-" });
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => Deno.remove(folder, { recursive: true }));
  const events: string[] = [];
  let refusal = "";
  const swap = new GuestSwap({
    folder,
    disks: {
      use: ({ path, driver }: Disk) => {
        events.push(`plug ${path.slice(folder.length)} ${driver} ${Deno.statSync(path).size}`);
        return Promise.resolve({
          driver: "blk" as const,
          source: "02/1f",
          resize: () => Promise.resolve(),
          [Symbol.asyncDispose]: () => Promise.resolve(void events.push("unplug")),
        });
      },
    },
    agent: {
      addSwap: ({ PCIPath }) => {
        events.push(`swap on ${PCIPath}`);
        return refusal === "" ? Promise.resolve({}) : Promise.reject(new Error(refusal));
      },
    },
    defaultMiB: 2,
    log: { write: () => {} },
  });
  await swap.want("quiet", wish({ limit: 5 * MIB }));
  assert.deepEqual(events, []);
  await Promise.all([
    swap.want("a", wish({ limit: MIB, swappiness: 10 })),
    swap.want("b", wish({}, { [SWAPPINESS]: "1" })),
  ]);
  // what an update leaves out stays as it is
  const grown = { memory: { limit: 2 * MIB } };
  assert.deepEqual(await swap.update("a", grown, grown), grown);
  const unknown = { memory: { limit: 9 * MIB, swap: 99 * MIB } };
  assert.deepEqual(await swap.update("stand-in", unknown, unknown), unknown);
  swap.forget("a");
  await swap.want("c", wish({ limit: MIB, swappiness: 10 }));
  refusal = "no room";
  await assert.rejects(swap.want("d", wish({ limit: 2 * MIB, swappiness: 10 })), {
    message: `cannot give the guest ${MIB} bytes of swap in "${folder}/swap2": no room`,
  });
  const more = { memory: { limit: 3 * MIB } };
  await assert.rejects(swap.update("c", more, more), /no room/);
  refusal = "";
  await swap.update("c", { memory: { limit: MIB } }, { memory: { limit: MIB } });
  assert.deepEqual(events, [
    `plug /swap0 virtio-blk ${3 * MIB + 4096}`,
    "swap on 2,31",
    `plug /swap1 virtio-blk ${MIB + 4096}`,
    "swap on 2,31",
    `plug /swap2 virtio-blk ${MIB + 4096}`,
    "swap on 2,31",
    "unplug",
    `plug /swap3 virtio-blk ${MIB + 4096}`,
    "swap on 2,31",
    "unplug",
  ]);
  assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), ["swap0", "swap1"]);
});

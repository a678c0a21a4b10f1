import assert from "node:assert/strict";
import { O, openFd } from "../../sys/fd.ts";
import { AT, S } from "../../sys/fd.ts";
import { mknodAt } from "../../sys/file.ts";
import { AsyncFd } from "../../sys/poll.ts";
import { FifoInput, FifoOutput } from "./fifo.ts";

async function withFifo(use: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    mknodAt(AT.FDCWD, `${folder}/fifo`, S.IFIFO | 0o600);
    await use(`${folder}/fifo`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const text = (bytes: Uint8Array, length: number) => new TextDecoder().decode(bytes.subarray(0, length));
const bytes = (text: string) => new TextEncoder().encode(text);
const later = () => new Promise((resolve) => setTimeout(resolve, 20));

Deno.test("a FIFO's input survives its writers until it is finished", async () => {
  await withFifo(async (path) => {
    const input = new FifoInput(path);
    const buffer = new Uint8Array(16);
    for (const word of ["one", "two"]) {
      const read = input.read(buffer);
      using writer = new AsyncFd(openFd(path, O.WRONLY));
      await writer.write(bytes(word));
      assert.equal(text(buffer, await read), word);
    }
    const end = input.read(buffer);
    await later();
    input.finish();
    assert.equal(await end, 0);
    input.close();
  });
});

Deno.test("what was written before the finish is read before the end comes", async () => {
  await withFifo(async (path) => {
    const input = new FifoInput(path);
    // the client may keep its end open
    using writer = new AsyncFd(openFd(path, O.WRONLY));
    await writer.write(bytes("last"));
    input.finish();
    const buffer = new Uint8Array(16);
    assert.equal(text(buffer, await input.read(buffer)), "last");
    assert.equal(await input.read(buffer), 0);
    input.close();
  });
});

Deno.test("closing an input ends a read that waits", async () => {
  await withFifo(async (path) => {
    const input = new FifoInput(path);
    const read = input.read(new Uint8Array(16));
    await later();
    input.close();
    assert.equal(await read, 0);
    input.close();
  });
});

Deno.test("a FIFO's output waits for a reader that comes, or comes back", async () => {
  await withFifo(async (path) => {
    const output = new FifoOutput(path);
    await output.write(bytes("early "));
    {
      using first = new AsyncFd(openFd(path, O.RDONLY | O.NONBLOCK));
      const buffer = new Uint8Array(16);
      assert.equal(text(buffer, await first.read(buffer)), "early ");
    }
    await output.write(bytes("in between"));
    using second = new AsyncFd(openFd(path, O.RDONLY | O.NONBLOCK));
    const buffer = new Uint8Array(16);
    assert.equal(text(buffer, await second.read(buffer)), "in between");
    await output.close();
    assert.equal(await second.read(buffer), 0);
  });
});

Deno.test("once the process is gone, a missing reader ends a write that waits", async () => {
  await withFifo(async (path) => {
    const output = new FifoOutput(path);
    const write = output.write(new Uint8Array(200_000));
    await later();
    output.ending();
    await assert.rejects(write, { code: "EPIPE" });
    await output.close();
  });
});

Deno.test("a slow reader gets everything after the process is gone", async () => {
  await withFifo(async (path) => {
    const output = new FifoOutput(path);
    const write = output.write(new Uint8Array(200_000).fill(65));
    using reader = new AsyncFd(openFd(path, O.RDONLY | O.NONBLOCK));
    output.ending();
    let total = 0;
    const buffer = new Uint8Array(10_000);
    const done = write.then(() => output.close());
    for (let count; (count = await reader.read(buffer)) > 0;) total += count;
    await done;
    assert.equal(total, 200_000);
  });
});

Deno.test("a path that is not there cannot be opened", () => {
  assert.throws(() => new FifoInput("/nowhere/fifo"), { code: "ENOENT" });
  assert.throws(() => new FifoOutput("/nowhere/fifo"), { code: "ENOENT" });
});

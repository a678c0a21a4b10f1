import assert from "node:assert/strict";
import { streamPair } from "../../rpc/stream.ts";
import { GuestConsole } from "./console.ts";

async function feed(text: string): Promise<{ console: GuestConsole; lines: string[] }> {
  const lines: string[] = [];
  const console = new GuestConsole((line) => lines.push(line));
  const [ours, guest] = streamPair();
  const followed = console.follow(ours);
  await guest.write(new TextEncoder().encode(text));
  guest.close();
  await followed;
  return { console, lines };
}

Deno.test("a GuestConsole hands out lines without terminal codes, line ends of any kind, and empty lines", async () => {
  const text =
    "\x1bc\x1b[?7l\x1b[2J\x1b[0mSeaBIOS\r\n\r\n\x1b]0;title\x07[    0.1] \x1b[1;31mred\x1b[0m\x9b \r\nlast";
  const { lines } = await feed(text);
  assert.deepEqual(lines, ["SeaBIOS", "[    0.1] red", "last"]);
});

Deno.test("a GuestConsole keeps the last 50 lines", async () => {
  const { console } = await feed(Array.from({ length: 60 }, (_, index) => `line ${index}\n`).join(""));
  assert.equal(console.tail.length, 50);
  assert.equal(console.tail[0], "line 10");
  assert.equal(console.panic, undefined);
});

Deno.test("a GuestConsole notices the first kernel panic and what came before it", async () => {
  const { console } = await feed(
    "[ 1.0] before\n[ 1.1] Kernel panic - not syncing: VFS: Unable to mount root fs\n[ 1.2] Call Trace:\n" +
      "[ 1.3] Kernel panic - not syncing: another\n",
  );
  assert.deepEqual(console.panic, { reason: "VFS: Unable to mount root fs", before: ["[ 1.0] before"] });
});

Deno.test("a GuestConsole cuts lines without end, and survives a stream that breaks off", async () => {
  const lines: string[] = [];
  const console = new GuestConsole((line) => lines.push(line));
  let reads = 0;
  await console.follow({
    read: (into) => {
      if (++reads > 2) return Promise.reject(new Error("reset"));
      into.fill(120);
      return Promise.resolve(into.length);
    },
  });
  assert.equal(lines.join("").length, 2 * 16 * 1024);
  assert.ok(lines.every((line) => line.length <= 1024));
});

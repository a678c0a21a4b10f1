import { count } from "./shared.ts";

/** Prints what the program sees. */
export async function report(build: Record<string, string>): Promise<number> {
  const { crc32 } = await import("node:zlib");
  console.log(JSON.stringify({
    argv0: Deno.readTextFileSync("/proc/self/cmdline").split("\0")[0],
    args: Deno.args,
    execPath: Deno.execPath(),
    env: Deno.env.toObject(),
    count: count(),
    crc32: crc32("kata"),
    vsock: typeof Deno.listen,
    build,
  }));
  return 0;
}

/** Prints how many pages of a part of the executable are in memory, by their addresses in the file. */
export function resident(address: number, size: number): number {
  const maps = Deno.readTextFileSync("/proc/self/maps");
  const line = maps.split("\n").find((line) => line.endsWith(Deno.execPath()));
  const start = parseInt(line ?? "", 16) + address;
  const entries = new BigUint64Array(size / 4096);
  using file = Deno.openSync("/proc/self/pagemap");
  file.seekSync(start / 4096 * 8, Deno.SeekMode.Start);
  file.readSync(new Uint8Array(entries.buffer));
  console.log(entries.reduce((count, entry) => count + Number(entry >> 63n), 0));
  return 0;
}

/**
 * The time stamp counter of x86 processors.
 *
 * @module
 */

import { Arena } from "./native/memory.ts";
import { syscall } from "./syscall.ts";
import { delay } from "./timer.ts";

/** `rdtsc; shl rdx, 32; or rax, rdx; ret` */
const READ = new Uint8Array([0x0f, 0x31, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0, 0xc3]);
const SIGNATURE = { parameters: [], result: "u64" } as const;
const PROT_READ_EXEC = 5;

/** How far apart the counter is looked at, in milliseconds: a look is exact to microseconds. */
const SPAN_MS = 30;
/** How often it is looked at each time; the look that was disturbed least counts. */
const LOOKS = 30;

/** A count and the time at which it was read, in milliseconds. */
interface Moment {
  readonly count: bigint;
  readonly ms: number;
}

/** How fast the counter of this machine runs, in kHz, which takes about 30 ms to measure. For x86-64 only. */
export async function measureTscKhz(): Promise<number> {
  using arena = new Arena(READ.length);
  arena.bytes.set(READ);
  syscall("mprotect", [arena.address, READ.length, PROT_READ_EXEC]);
  const pointer = Deno.UnsafePointer.create<typeof SIGNATURE>(arena.address);
  if (pointer === null) throw new Error("mapped memory is at address 0");
  const counter = new Deno.UnsafeFnPointer(pointer, SIGNATURE);
  const read = () => counter.call();
  const first = look(read);
  await delay(SPAN_MS);
  const last = look(read);
  return Math.round(Number(last.count - first.count) / (last.ms - first.ms));
}

function look(read: () => bigint): Moment {
  let best: Moment = { count: 0n, ms: 0 };
  let shortest: bigint | undefined;
  for (let i = 0; i < LOOKS; i++) {
    const before = read();
    const ms = performance.now();
    const took = read() - before;
    if (shortest !== undefined && took >= shortest) continue;
    shortest = took;
    best = { count: before + took / 2n, ms };
  }
  return best;
}

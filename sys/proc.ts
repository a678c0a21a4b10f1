/**
 * What `/proc` tells of a process and of its network, as numbers.
 *
 * The parsers take texts, so that they can be tested with those of other kernels. What a kernel does not tell is absent
 * from the maps.
 */

/** Ticks of the clock in a second, in which `/proc` counts processor time (USER_HZ: the same on all architectures). */
export const TICKS_PER_SECOND = 100;

/** Numbers of `/proc/<pid>/stat`. */
export interface ProcessTimes {
  /** Processor time, own and of children that were waited for, in ticks. */
  readonly utime: number;
  readonly stime: number;
  readonly cutime: number;
  readonly cstime: number;
  readonly threads: number;
  /** Start in ticks after the boot. */
  readonly startTime: number;
  /** Size of the address space in bytes. */
  readonly vsize: number;
}

/** Position of the state, the first field behind the command, in the numbering of proc(5). */
const STATE_FIELD = 3;

/** @throws {Error} it is no such text */
export function parseProcessStat(text: string): ProcessTimes {
  // the command may hold spaces and brackets
  const fields = text.slice(text.lastIndexOf(")") + 2).trim().split(" ");
  const field = (number: number) => {
    const value = Number(fields[number - STATE_FIELD]);
    if (Number.isNaN(value)) {
      throw new Error(`field ${number} of a process's stat is no number: "${text.trim()}"`);
    }
    return value;
  };
  return {
    utime: field(14),
    stime: field(15),
    cutime: field(16),
    cstime: field(17),
    threads: field(20),
    startTime: field(22),
    vsize: field(23),
  };
}

/** Numbers of lines like `VmRSS:  1234 kB`, by the name in lower case; the unit is dropped. */
export function parseColonLines(text: string): Map<string, number> {
  const values = new Map<string, number>();
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon < 0) continue;
    const number = Number(line.slice(colon + 1).trim().split(/\s+/)[0]);
    if (!Number.isNaN(number)) values.set(line.slice(0, colon), number);
  }
  return values;
}

/** Names of the counters of a network interface, in the file's order. */
export const NETWORK_COUNTERS = [
  ...["bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast"].map((name) =>
    `recv_${name}`
  ),
  ...["bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed"].map((name) =>
    `sent_${name}`
  ),
] as const;

/** Counters by interface, of a text like `/proc/net/dev`. */
export function parseNetworkDevices(text: string): Map<string, number[]> {
  const devices = new Map<string, number[]>();
  // two lines of headings
  for (const line of text.split("\n").slice(2)) {
    const colon = line.lastIndexOf(":");
    if (colon < 0) continue;
    devices.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim().split(/\s+/).map(Number));
  }
  return devices;
}

/** How many descriptors a process has open. */
export function countDescriptors(pid: number | "self"): number {
  let count = 0;
  for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) if (name !== "") count++;
  return count;
}

/** When the machine was booted, in seconds since 1970. */
export function bootTime(): number {
  const line = /^btime (\d+)$/m.exec(Deno.readTextFileSync("/proc/stat"));
  if (line === null) throw new Error(`/proc/stat has no line "btime"`);
  return Number(line[1]);
}

import assert from "node:assert/strict";
import {
  bootTime,
  countDescriptors,
  NETWORK_COUNTERS,
  parseColonLines,
  parseNetworkDevices,
  parseProcessStat,
  TICKS_PER_SECOND,
} from "./proc.ts";

Deno.test("a process's stat is read behind the last bracket of its command", () => {
  const stat = "7 (a ) b) S 1 7 7 0 -1 4194560 1 2 3 4 11 12 13 14 20 0 5 0 777 4096000 250 " +
    "18446744073709551615 1 1 0";
  assert.deepEqual(parseProcessStat(stat), {
    utime: 11,
    stime: 12,
    cutime: 13,
    cstime: 14,
    threads: 5,
    startTime: 777,
    vsize: 4096000,
  });
  assert.throws(() => parseProcessStat("nonsense"), /is no number: "nonsense"/);
});

Deno.test("lines with colons become numbers, others are left out", () => {
  const values = parseColonLines("Name:\tdeno\nVmRSS:\t  1234 kB\nvoluntary_ctxt_switches:\t9\nno colon\n");
  assert.deepEqual([...values], [["VmRSS", 1234], ["voluntary_ctxt_switches", 9]]);
});

Deno.test("counters of network interfaces have a name each", () => {
  const text = "Inter-|   Receive  |  Transmit\n face |bytes ...\n" +
    "    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n eth0:0:100 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
  const devices = parseNetworkDevices(text);
  assert.deepEqual([...devices.keys()], ["lo", "eth0:0"]);
  assert.equal(devices.get("lo")?.length, NETWORK_COUNTERS.length);
  assert.equal(devices.get("lo")?.[NETWORK_COUNTERS.indexOf("sent_bytes")], 9);
  assert.equal(devices.get("eth0:0")?.[0], 100);
});

Deno.test("this process's own numbers fit the machine's", () => {
  const self = parseProcessStat(Deno.readTextFileSync("/proc/self/stat"));
  const startedAt = bootTime() + self.startTime / TICKS_PER_SECOND;
  // To the clock's seconds; how long the tests before this one took is not known here.
  assert.ok(startedAt > bootTime() && startedAt < Date.now() / 1000 + 1, `${startedAt}`);
  assert.ok(self.threads > 1 && self.vsize > 1_000_000);
  assert.ok(countDescriptors("self") >= 3);
});

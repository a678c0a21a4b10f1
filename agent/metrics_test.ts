import assert from "node:assert/strict";
import { createLogger } from "./log.ts";
import { GuestMetrics } from "./metrics.ts";

const FILES: Readonly<Record<string, string>> = {
  loadavg: "0.20 0.18 0.12 1/80 11206\n",
  stat: "cpu  10 1 2 300 4 5 6 7 8 9\ncpu0 10 1 2 300 4 5 6 7 8 9\nintr 5\nbtime 1700000000\n",
  vmstat: "nr_free_pages 1000\noom_kill 2\n",
  "net/dev": "Inter-|\n face |\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n",
  diskstats: " 254       0 vda 1 2 3 4 5 6 7 8 9 10 11\n",
  meminfo: "MemTotal:  1000 kB\nActive(anon):  7 kB\nHugePages_Total:  3\nBuffers: 2 kB\nDirectMap2M: 4 kB\n",
  "self/stat": "1 (init) S 0 1 1 0 -1 0 0 0 0 0 150 50 0 0 20 0 9 0 3 4096000 250 0 0\n",
  "self/status": "VmRSS:\t  100 kB\n",
};

function metrics(change: Readonly<Record<string, string | undefined>> = {}): [GuestMetrics, string[]] {
  const lines: string[] = [];
  const files = { ...FILES, ...change };
  const read = (name: string) => {
    const text = files[name];
    if (text === undefined) throw new Error(`no ${name}`);
    return text;
  };
  return [new GuestMetrics(createLogger("warn", (line) => lines.push(line)), read), lines];
}

Deno.test("the guest's files become families with the names and units of the reference", () => {
  const [guest] = metrics();
  guest.text();
  const lines = guest.text().split("\n");
  const expected = [
    "kata_agent_scrape_count 2",
    "kata_agent_total_time 2",
    "kata_agent_total_vm 4.096e+06",
    "kata_agent_total_rss 102400",
    'kata_guest_load{item="load1"} 0.2',
    'kata_guest_tasks{item="cur"} 1',
    'kata_guest_tasks{item="max"} 80',
    'kata_guest_cpu_time{cpu="total",item="user"} 100',
    'kata_guest_cpu_time{cpu="0",item="guest_nice"} 90',
    'kata_guest_vm_stat{item="oom_kill"} 2',
    'kata_guest_netdev_stat{interface="eth0",item="recv_bytes"} 1',
    'kata_guest_netdev_stat{interface="eth0",item="sent_compressed"} 16',
    'kata_guest_diskstat{disk="vda",item="reads"} 1',
    'kata_guest_diskstat{disk="vda",item="weighted_time_in_progress"} 11',
    'kata_guest_diskstat{disk="vda",item="time_flushing"} 0',
    'kata_guest_meminfo{item="mem_total"} 1.024e+06',
    'kata_guest_meminfo{item="active_anon"} 7168',
    'kata_guest_meminfo{item="hugepages_total"} 3',
    'kata_guest_meminfo{item="buffers"} 2048',
    'kata_guest_meminfo{item="direct_map_2M"} 4096',
  ];
  assert.deepEqual(expected.filter((line) => !lines.includes(line)), []);
  // of a real process: KiB as the kernel has them, and io items with underscores
  for (const name of ['proc_status{item="vmrss"}', 'io_stat{item="read_bytes"}', 'proc_stat{item="utime"}']) {
    assert.ok(lines.some((line) => line.startsWith(`kata_agent_${name} `)), name);
  }
  assert.ok(!lines.some((line) => line.includes("vmpmd") || line.startsWith("kata_agent_fds")));
  for (
    const name of [
      "cpu_seconds_total",
      "open_fds",
      "max_fds",
      "resident_memory_bytes",
      "virtual_memory_bytes",
      "start_time_seconds",
    ]
  ) assert.ok(lines.some((line) => line.startsWith(`kata_agent_process_${name} `)), name);
});

Deno.test("a missing source is left out and logged, and the rest is reported", () => {
  const [guest, logged] = metrics({ vmstat: undefined });
  const text = guest.text();
  assert.doesNotMatch(text, /vm_stat/);
  assert.match(text, /kata_guest_load/);
  assert.equal(logged.length, 1);
  assert.match(logged[0] ?? "", /warn: a source of metrics cannot be read error="Error: no vmstat"/);
});

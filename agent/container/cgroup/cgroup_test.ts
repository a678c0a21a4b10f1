import assert from "node:assert/strict";
import { closeFd, O, openFd } from "../../../sys/fd.ts";
import { launch, type Launched } from "../../../sys/launch.ts";
import { Program } from "../../../sys/program.ts";
import { SIGNALS } from "../../../sys/signals.ts";
import { cgroup2Mount } from "../testing/harness.ts";
import { Cgroup, cgroupPathOf } from "./cgroup.ts";
import { readStats } from "./stats.ts";
import { waitForText } from "./watch.ts";

/** Runs with a cgroup of the test's own, which must be empty afterwards. */
async function withRoot(run: (root: string) => void | Promise<void>): Promise<void> {
  const root = `${cgroup2Mount()}/kata-test-${crypto.randomUUID().slice(0, 8)}`;
  Deno.mkdirSync(root);
  try {
    await run(root);
  } finally {
    Deno.removeSync(root);
  }
}

/** A process that sleeps, in a cgroup. */
async function sleeper(cgroup: Cgroup): Promise<Launched> {
  const program = new Program();
  const args = [program.cstring("/bin/sleep"), program.cstrings(["sleep", "30"]), program.cstrings([])];
  program.step("execve", "execve", args);
  const launched = launch(program, { cgroupFd: cgroup.fd });
  await launched.executed();
  return launched;
}

/** Calls `run` with a folder of plain files that look like a cgroup. */
async function withFiles(
  files: Record<string, string>,
  run: (folder: string) => void | Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "kata-cgroup-" });
  try {
    for (const [name, text] of Object.entries(files)) Deno.writeTextFileSync(`${folder}/${name}`, text);
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("cgroupPathOf() names a place below the root", () => {
  assert.equal(cgroupPathOf(undefined, "id"), "id");
  assert.equal(cgroupPathOf("", "id"), "id");
  assert.equal(cgroupPathOf("/a/./b//c/", "id"), "a/b/c");
  assert.equal(cgroupPathOf("relative/x", "id"), "relative/x");
  assert.equal(cgroupPathOf("system.slice:prefix:name", "id"), "system.slice/prefix/name");
  for (const path of ["/", "..", "/a/../..", ":", "a:..:b"]) {
    assert.throws(() => cgroupPathOf(path, "id"), {
      message: `linux.cgroupsPath must name a place below the root: it is "${path}"`,
    });
  }
});

Deno.test("the cgroups above are made with the first one in them and removed with the last", async () => {
  await withRoot((root) => {
    const first = Cgroup.create(root, "a/b/c");
    const second = Cgroup.create(root, "a/b/d");
    assert.equal(first.folder, `${root}/a/b/c`);
    first.remove();
    first.remove();
    assert.ok(Deno.statSync(`${root}/a/b/d`).isDirectory);
    second.remove();
    assert.throws(() => Deno.statSync(`${root}/a`), Deno.errors.NotFound);
  });
});

Deno.test("a cgroup that a service manager looks after is left to it", async () => {
  await withRoot((root) => {
    Deno.mkdirSync(`${root}/pods.slice`);
    Cgroup.create(root, "pods.slice/one.slice/c").remove();
    assert.deepEqual([...Deno.readDirSync(`${root}/pods.slice`)].filter((entry) => entry.isDirectory), []);
    Deno.removeSync(`${root}/pods.slice`);
  });
});

Deno.test("a leftover cgroup is made anew, one in use is refused", async () => {
  await withRoot(async (root) => {
    Deno.mkdirSync(`${root}/old/within`, { recursive: true });
    const cgroup = Cgroup.create(root, "old");
    assert.throws(() => Deno.statSync(`${root}/old/within`), Deno.errors.NotFound);
    await using process = (await sleeper(cgroup)).child;
    assert.throws(() => Cgroup.create(root, "old"), {
      message: `cgroup "${root}/old" exists and has processes`,
    });
    assert.deepEqual(cgroup.pids(), [process.pid]);
    assert.equal(cgroup.populated, true);
    assert.equal(await cgroup.empty(20), false);
    cgroup.kill();
    assert.equal(await cgroup.empty(0), true);
    assert.equal((await process.wait()).signal, SIGNALS.SIGKILL);
    cgroup.remove();
  });
});

Deno.test("processes are frozen and thawed", async () => {
  await withRoot(async (root) => {
    const cgroup = Cgroup.create(root, "x");
    await using _process = (await sleeper(cgroup)).child;
    await cgroup.freeze();
    assert.match(Deno.readTextFileSync(`${cgroup.folder}/cgroup.events`), /^frozen 1$/m);
    cgroup.thaw();
    assert.ok(await waitForText(`${cgroup.folder}/cgroup.events`, (text) => /^frozen 0$/m.test(text), 0));
    cgroup.kill();
    await cgroup.empty(0);
    cgroup.remove();
  });
});

Deno.test("openInner() finds a process in a cgroup below", async () => {
  await withRoot(async (root) => {
    const cgroup = Cgroup.create(root, "x");
    await using process = (await sleeper(cgroup)).child;
    Deno.mkdirSync(`${cgroup.folder}/in/ner`, { recursive: true });
    assert.equal(cgroup.openInner(process.pid), undefined);
    Deno.writeTextFileSync(`${cgroup.folder}/in/ner/cgroup.procs`, String(process.pid));
    using inner = cgroup.openInner(process.pid);
    assert.ok(inner);
    assert.equal(Deno.realPathSync(`/proc/self/fd/${inner.fd}`), `${cgroup.folder}/in/ner`);
    assert.equal(cgroup.openInner(1), undefined);
    assert.deepEqual(cgroup.pids(), [process.pid]);
    cgroup.kill();
    await cgroup.empty(0);
    cgroup.remove();
  });
});

Deno.test("a limit without its controller is refused by name", async () => {
  await withRoot((root) => {
    const cgroup = Cgroup.create(root, "x");
    assert.throws(() => cgroup.apply({ memory: { limit: 4096 } }), {
      message:
        `linux.resources.memory.limit is not supported: this kernel gives a cgroup no file "memory.max"`,
    });
    assert.throws(() => cgroup.apply({ blockIO: { weight: 100 } }), /no file "io\.weight"$/);
    // Nothing more than what is so anyway.
    cgroup.apply({ unified: { "cgroup.max.depth": "5" } });
    assert.equal(Deno.readTextFileSync(`${cgroup.folder}/cgroup.max.depth`), "5\n");
    assert.throws(() => cgroup.apply({ unified: { "cgroup.max.depth": "many" } }, "resources"), {
      message:
        `resources.unified["cgroup.max.depth"] cannot be set: writing "many" to "cgroup.max.depth" gives EINVAL`,
    });
    cgroup.remove();
  });
});

Deno.test("waitForText() notices a change, and gives up in time", async () => {
  await withFiles({ "events": "populated 1\n" }, async (folder) => {
    const path = `${folder}/events`;
    const emptied = (text: string) => text === "populated 0\n";
    assert.equal(await waitForText(path, emptied, 10), false);
    const waiting = waitForText(path, emptied, 0);
    const fd = openFd(path, O.WRONLY);
    closeFd(fd);
    Deno.writeTextFileSync(path, "populated 0\n");
    assert.equal(await waiting, true);
  });
});

Deno.test("readStats() reads all counters of version 2 in the units of the API", async () => {
  const files = {
    "cpu.stat":
      "usage_usec 100\nuser_usec 60\nsystem_usec 40\nnr_periods 5\nnr_throttled 2\nthrottled_usec 7\n",
    "memory.current": "4096\n",
    "memory.peak": "8192\n",
    "memory.max": "max\n",
    "memory.swap.current": "1\n",
    "memory.swap.max": "2\n",
    "memory.events": "low 0\nhigh 0\nmax 3\noom 0\noom_kill 0\n",
    "memory.swap.events": "high 0\nmax 0\nfail 4\n",
    "memory.stat": "anon 10\nfile 20\nkernel 30\nodd line here\n",
    "pids.current": "3\n",
    "pids.max": "100\n",
    "io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n8:16 \n",
    "hugetlb.2MB.current": "2097152\n",
    "hugetlb.2MB.events": "max 9\n",
    "hugetlb.2MB.max": "max\n",
  };
  const entry = (op: string, value: bigint) => ({ major: 8n, minor: 0n, op, value });
  await withFiles(files, (folder) => {
    assert.deepEqual(readStats(folder), {
      cpuStats: {
        cpuUsage: { totalUsage: 100_000n, usageInKernelmode: 40_000n, usageInUsermode: 60_000n },
        throttlingData: { periods: 5n, throttledPeriods: 2n, throttledTime: 7_000n },
      },
      memoryStats: {
        cache: 20n,
        usage: { usage: 4096n, maxUsage: 8192n, failcnt: 3n, limit: 0xffff_ffff_ffff_ffffn },
        swapUsage: { usage: 1n, maxUsage: 0n, failcnt: 4n, limit: 2n },
        kernelUsage: { usage: 30n },
        useHierarchy: true,
        stats: { anon: 10n, file: 20n, kernel: 30n },
      },
      pidsStats: { current: 3n, limit: 100n },
      blkioStats: {
        ioServiceBytesRecursive: [
          entry("read", 1n),
          entry("write", 2n),
          entry("rios", 3n),
          entry("wios", 4n),
          entry("dbytes", 5n),
          entry("dios", 6n),
        ],
      },
      hugetlbStats: { "2MB": { usage: 2097152n, failcnt: 9n } },
    });
  });
});

Deno.test("readStats() leaves at zero what a kernel does not count", async () => {
  await withFiles({ "cpu.stat": "usage_usec 1\n", "pids.max": "max\n" }, (folder) => {
    const stats = readStats(folder);
    assert.equal(stats.memoryStats?.usage?.usage, 0n);
    assert.deepEqual(stats.pidsStats, { current: 0n, limit: 0n });
    assert.deepEqual(stats.hugetlbStats, {});
  });
});

import assert from "node:assert/strict";
import { parseMountinfoLine } from "../../sys/mountinfo.ts";
import { hierarchiesOf, hostHierarchies } from "./hierarchies.ts";

/** A mount as /proc/self/mountinfo has it. */
function mount(mountPoint: string, fstype: string, options: string, root = "/") {
  return parseMountinfoLine(`30 20 0:25 ${root} ${mountPoint} rw,relatime - ${fstype} cgroup rw,${options}`);
}

const CGROUP2 = mount("/sys/fs/cgroup", "cgroup2", "nsdelegate");
const HYBRID = [
  mount("/sys/fs/cgroup/systemd", "cgroup", "name=systemd"),
  mount("/sys/fs/cgroup/cpu,cpuacct", "cgroup", "cpu,cpuacct"),
  mount("/sys/fs/cgroup/memory", "cgroup", "memory"),
  mount("/sys/fs/cgroup/unified", "cgroup2", ""),
];

Deno.test("a host with version 2 alone has one hierarchy, whatever else is mounted beside it", () => {
  const home = "/sys/fs/cgroup/system.slice/containerd.service";
  const list = [{ controllers: [], root: "/sys/fs/cgroup", home, isSupervised: false }];
  const cgroup = "0::/system.slice/containerd.service\n";
  assert.deepEqual(hierarchiesOf([CGROUP2], cgroup), { version: 2, list });
  const stray = mount("/run/net_cls", "cgroup", "net_cls");
  assert.deepEqual(hierarchiesOf([CGROUP2, stray], `1:net_cls:/\n${cgroup}`), { version: 2, list });
});

Deno.test("a host with both counts by the hierarchies that have controllers", () => {
  const cgroup = "3:memory:/\n2:cpu,cpuacct:/system.slice\n1:name=systemd:/system.slice/x.service\n0::/x\n";
  assert.deepEqual(hierarchiesOf(HYBRID, cgroup), {
    version: 1,
    list: [
      {
        controllers: ["memory"],
        root: "/sys/fs/cgroup/memory",
        home: "/sys/fs/cgroup/memory",
        isSupervised: false,
      },
      {
        controllers: ["cpu", "cpuacct"],
        root: "/sys/fs/cgroup/cpu,cpuacct",
        home: "/sys/fs/cgroup/cpu,cpuacct/system.slice",
        isSupervised: false,
      },
    ],
  });
});

Deno.test("who was put into a cgroup apart from its service's is supervised", () => {
  const supervised = (cgroup: string) =>
    hierarchiesOf(HYBRID, cgroup).list.filter((each) => each.isSupervised).map(({ home }) => home);
  assert.deepEqual(
    supervised("3:memory:/jobs/7\n2:cpu,cpuacct:/sys\n1:name=systemd:/system.slice\n"),
    ["/sys/fs/cgroup/memory/jobs/7", "/sys/fs/cgroup/cpu,cpuacct/sys"],
  );
  assert.deepEqual(supervised("3:memory:/docker/x\n2:cpu,cpuacct:/\n1:name=systemd:/docker/x\n"), []);
  assert.deepEqual(supervised("3:memory:/openrc.containerd\n"), [], "nobody manages services here");
});

Deno.test("a part of a tree that is mounted is the whole of it for those inside", () => {
  const inside = [mount("/sys/fs/cgroup/memory", "cgroup", "memory", "/docker/x")];
  const home = (cgroup: string) => hierarchiesOf(inside, cgroup).list[0]?.home;
  assert.equal(home("3:memory:/docker/x/y\n"), "/sys/fs/cgroup/memory/y");
  assert.equal(home("3:memory:/docker/x\n"), "/sys/fs/cgroup/memory");
  assert.equal(home("3:memory:/elsewhere\n"), "/sys/fs/cgroup/memory");
});

Deno.test("a host may have no cgroups", () => {
  assert.deepEqual(hierarchiesOf([], "3:memory:/\n0::/\n"), { version: 2, list: [] });
});

Deno.test("this process is where its hierarchies say", () => {
  const { list } = hostHierarchies();
  assert.ok(list.length > 0);
  for (const { home } of list) {
    assert.ok(Deno.readTextFileSync(`${home}/cgroup.procs`).split("\n").includes(String(Deno.pid)), home);
  }
});

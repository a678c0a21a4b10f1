/**
 * For tests: specifications, each with questions that its container asks about itself and what the answers must be.
 * They run here, with crun, and in a real guest.
 */

import assert from "node:assert/strict";
import { DEFAULT_CAPABILITIES } from "../../../oci/capabilities.ts";
import { CONTAINERD } from "../seccomp/testing/profiles.ts";
import type { Linux, Mount, Process, Spec } from "../../../oci/spec.ts";

/** One feature. */
export interface ReportCase {
  readonly name: string;
  readonly change: (spec: Spec) => void;
  readonly asks?: readonly string[];
  /** Facts by name, exactly or by pattern; what the specification promises. */
  readonly expect: Readonly<Record<string, string | RegExp>>;
  /** Facts that another runtime has otherwise, by a pattern of their names, and why. */
  readonly unlike?: readonly (readonly [fact: RegExp, why: string])[];
  /** Why no other runtime can be asked. */
  readonly onlyHere?: string;
}

function process(change: Partial<Process>): (spec: Spec) => void {
  return (spec) => void Object.assign(spec.process, change);
}

function linux(change: Partial<Linux>): (spec: Spec) => void {
  return (spec) => void (spec.linux = { ...spec.linux, ...change });
}

function mounts(...list: readonly Mount[]): (spec: Spec) => void {
  return (spec) => void spec.mounts?.push(...list);
}

function all(...changes: readonly ((spec: Spec) => void)[]): (spec: Spec) => void {
  return (spec) => changes.forEach((change) => change(spec));
}

const tmpfs = (destination: string, ...options: string[]): Mount => ({
  destination,
  type: "tmpfs",
  source: "tmpfs",
  options,
});

const NAMESPACES = ["pid", "mount", "ipc", "uts", "network", "cgroup"] as const;

const SETS = {
  bounding: [...DEFAULT_CAPABILITIES],
  permitted: [...DEFAULT_CAPABILITIES],
  effective: [...DEFAULT_CAPABILITIES],
};

/** What every specification begins with, besides the root: capabilities that nobody has to guess. */
export function withCapabilities(spec: Spec): Spec {
  return { ...spec, process: { ...spec.process, capabilities: SETS } };
}

/** Fails unless the facts are what the case expects of them. @param skip names of facts that are not looked at */
export function checkReport(
  facts: ReadonlyMap<string, string>,
  { name, expect }: ReportCase,
  skip: RegExp = /^$/,
): void {
  for (const [fact, wanted] of Object.entries(expect)) {
    if (skip.test(fact)) continue;
    const found = facts.get(fact);
    const message = `${name}: ${fact} is ${JSON.stringify(found)}, not ${wanted}`;
    assert.ok(typeof wanted === "string" ? found === wanted : wanted.test(found ?? "(none)"), message);
  }
}

/** Everything that is compared. */
export const REPORT_CASES: readonly ReportCase[] = [
  {
    name: "nothing but a root",
    change: () => {},
    expect: { "status Uid": "0 0 0 0", "cwd": "/", "umask": "0022" },
  },
  ...NAMESPACES.filter((type) => type !== "mount" && type !== "pid" && type !== "cgroup").map((type) => ({
    name: `no ${type} namespace of its own`,
    change: (spec: Spec) => {
      spec.linux = {
        ...spec.linux,
        namespaces: spec.linux?.namespaces?.filter((entry) => entry.type !== type) ?? [],
      };
    },
    expect: { [`ns ${{ network: "net" }[type as string] ?? type}`]: "the machine's", "ns mnt": "its own" },
  })),
  {
    name: "a user, groups, umask and working folder",
    change: process({
      user: { uid: 1000, gid: 1001, additionalGids: [7, 3], umask: 0o27, username: "nobody-knows" },
      cwd: "/srv/made/for/it",
    }),
    asks: ["stat=/srv/made/for/it", "mkdir=/x"],
    expect: {
      "status Uid": "1000 1000 1000 1000",
      "status Gid": "1001 1001 1001 1001",
      "status Groups": "3 7",
      "umask": "0027",
      "cwd": "/srv/made/for/it",
      "stat /srv/made/for/it": "d 0755 0:0",
      "mkdir /x": "EACCES",
      "status CapEff": "0000000000000000",
    },
  },
  {
    name: "an environment",
    change: process({ env: ["PATH=/usr/bin:/bin", "A=1", "B=two words", "EMPTY=", "A=2"] }),
    expect: { "env A": "2", "env B": "two words", "env EMPTY": "", "env HOME": "/root" },
  },
  {
    name: "five sets of capabilities, for a user",
    change: process({
      user: { uid: 1000, gid: 1000 },
      capabilities: {
        bounding: ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_NET_RAW"],
        permitted: ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
        effective: ["CAP_CHOWN", "CAP_NET_RAW"],
        inheritable: ["CAP_KILL", "CAP_NET_RAW"],
        ambient: ["CAP_NET_RAW"],
      },
    }),
    expect: {
      "status CapBnd": "00000000000020a1",
      "status CapPrm": "0000000000002000",
      "status CapEff": "0000000000002000",
      "status CapInh": "0000000000002020",
      "status CapAmb": "0000000000002000",
    },
  },
  {
    name: "the capabilities of container engines, for root",
    change: all(
      process({
        noNewPrivileges: true,
      }),
      mounts(tmpfs("/tmp", "mode=1777")),
    ),
    asks: [
      "try=mount,none,/tmp,tmpfs,0,0",
      "try=unshare,131072",
      "try=sethostname,x,1",
      "try=swapon,/dev/null,0",
      "try=chroot,/",
      "try=reboot,1,2,3",
      "mknod=/tmp/null,c,1,3",
    ],
    expect: {
      "status NoNewPrivs": "1",
      "status CapEff": "00000000a80425fb",
      "try mount,none,/tmp,tmpfs,0,0": "EPERM",
      "try unshare,131072": "EPERM",
      "try sethostname,x,1": "EPERM",
      "try swapon,/dev/null,0": "EPERM",
      "try chroot,/": "ok",
      "try reboot,1,2,3": "EPERM",
      "mknod /tmp/null,c,1,3": "ok",
    },
  },
  {
    name: "no capabilities at all",
    change: process({ capabilities: {} }),
    asks: ["try=chroot,/", "mknod=/tmp/null,c,1,3", "try=sethostname,x,1"],
    expect: {
      "status CapBnd": "0000000000000000",
      "status CapEff": "0000000000000000",
      "try chroot,/": "EPERM",
      "mknod /tmp/null,c,1,3": "EPERM",
    },
  },
  {
    name: "resource limits",
    change: process({
      rlimits: [
        { type: "RLIMIT_NOFILE", soft: 77, hard: 99 },
        { type: "RLIMIT_CORE", soft: 0, hard: 0 },
        { type: "RLIMIT_STACK", soft: 4_194_304, hard: 2n ** 64n - 1n },
        { type: "RLIMIT_MSGQUEUE", soft: 3, hard: 4 },
      ],
    }),
    expect: {
      "limits": /Max stack size 4194304 unlimited bytes.*Max open files 77 99 files.*msgqueue size 3 4/s,
    },
  },
  {
    name: "a score for the out-of-memory killer",
    change: process({ oomScoreAdj: 321 }),
    expect: { "oom_score_adj": "321" },
  },
  {
    name: "names of the host and its domain",
    change: all((spec) => void (spec.hostname = "here"), (spec) => void (spec.domainname = "example.com")),
    expect: { "hostname": "here", "domainname": "example.com" },
  },
  {
    name: "kernel settings",
    change: linux({
      sysctl: {
        "kernel.shmmax": "123456",
        "net.ipv4.ip_forward": "1",
        "fs.mqueue.msg_max": "11",
        "kernel.sem": "250 32000 32 99",
      },
    }),
    asks: [
      "file=/proc/sys/kernel/shmmax",
      "file=/proc/sys/net/ipv4/ip_forward",
      "file=/proc/sys/fs/mqueue/msg_max",
      "file=/proc/sys/kernel/sem",
    ],
    expect: {
      "file /proc/sys/kernel/shmmax": "123456",
      "file /proc/sys/net/ipv4/ip_forward": "1",
      "file /proc/sys/fs/mqueue/msg_max": "11",
      "file /proc/sys/kernel/sem": /^250\s+32000\s+32\s+99$/,
    },
  },
  {
    name: "masked and read-only paths",
    change: linux({
      maskedPaths: ["/proc/version", "/proc/irq", "/etc/passwd", "/nowhere", "/proc/version"],
      readonlyPaths: ["/proc/sys", "/etc", "/nowhere/else"],
    }),
    asks: [
      "stat=/proc/version",
      "file=/etc/passwd",
      "list=/proc/irq",
      "mkdir=/proc/irq/x",
      "mkdir=/etc/x",
      "write=/proc/sys/kernel/shmmax",
      "write=/tmp/x",
    ],
    expect: {
      "stat /proc/version": /^c 0666 .* 1:3$/,
      "file /etc/passwd": "",
      "list /proc/irq": "",
      "mkdir /proc/irq/x": "EROFS",
      "mkdir /etc/x": "EROFS",
      "write /proc/sys/kernel/shmmax": "EROFS",
      "write /tmp/x": "ok",
    },
    unlike: [
      [/^env HOME$/, "the file that says it is masked for crun before it has looked"],
      [
        /^mount \/(etc\/passwd|proc\/version)$/,
        "crun makes the cover read-only, too, and covers twice what is named twice",
      ],
      [/^mount \/proc\/irq$/, "another empty folder"],
      [/^mount \/proc\/sys$/, "crun does not keep the mount's other flags"],
    ],
  },
  {
    name: "a read-only root",
    change: all((spec) => void (spec.root.readonly = true), mounts(tmpfs("/tmp", "nosuid", "mode=1777"))),
    asks: ["mkdir=/x", "mkdir=/tmp/x", "stat=/tmp"],
    expect: { "mkdir /x": "EROFS", "mkdir /tmp/x": "ok", "stat /tmp": "d 1777 0:0", "mount /": / ro,/ },
  },
  {
    name: "mounts of many kinds",
    change: mounts(
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
      },
      tmpfs("/dev/shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
      {
        destination: "/dev/mqueue",
        type: "mqueue",
        source: "mqueue",
        options: ["nosuid", "noexec", "nodev"],
      },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
      tmpfs("/missing/folder", "size=1m", "noatime", "nodiratime", "noexec"),
      tmpfs("/ro", "ro", "size=1m"),
    ),
    asks: ["stat=/dev/ptmx", "stat=/missing/folder", "mkdir=/ro/x", "mkdir=/sys/x"],
    expect: {
      "mount /dev/pts": /^devpts devpts rw,nosuid,noexec,relatime .*gid=5,mode=620,ptmxmode=666/,
      "mount /dev/shm": /^tmpfs tmpfs rw,nosuid,nodev,noexec/,
      "mount /dev/mqueue": /^mqueue mqueue rw,nosuid,nodev,noexec/,
      "mount /sys": /^sysfs sysfs ro,nosuid,nodev,noexec/,
      "mount /missing/folder": /noexec,noatime,nodiratime/,
      "mkdir /ro/x": "EROFS",
    },
    unlike: [
      [
        /^mount \/(missing\/folder|ro)$|^stat \/missing\/folder$/,
        "a folder that was made for it gives it its mode, as with runc",
      ],
      [/^mount \/sys$/, "crun makes the mount read-only, but not its file system"],
    ],
  },
  {
    name: "binds of a folder and a file, with options",
    change: mounts(
      {
        destination: "/folder",
        type: "bind",
        source: "/sys/kernel",
        options: ["rbind", "ro", "nosuid", "nodev"],
      },
      {
        destination: "/file/deep/number",
        type: "bind",
        source: "/sys/kernel/uevent_seqnum",
        options: ["bind"],
      },
    ),
    asks: ["mkdir=/folder/x", "stat=/file/deep", "read=/file/deep/number"],
    expect: {
      "mkdir /folder/x": "EROFS",
      "mount /folder": /ro,nosuid,nodev/,
      "stat /file/deep": "d 0755 0:0",
      "read /file/deep/number": "ok",
    },
  },
  {
    name: "propagation of mounts",
    change: all(
      linux({ rootfsPropagation: "shared" }),
      mounts(
        { ...tmpfs("/a", "size=1m", "shared") },
        { ...tmpfs("/b", "size=1m", "unbindable") },
        { ...tmpfs("/c", "size=1m", "private") },
      ),
    ),
    expect: {
      "mount /": /\[shared/,
      "mount /a": /\[shared/,
      "mount /b": /\[unbindable\]/,
      "mount /c": /\[\]/,
    },
    unlike: [[/^mount \/[abc]$/, "a folder that was made for it gives it its mode, as with runc"]],
  },
  {
    name: "devices of its own",
    change: linux({
      devices: [
        { path: "/dev/own", type: "c", major: 1, minor: 5, fileMode: 0o640, uid: 7, gid: 8 },
        { path: "/dev/sub/fifo", type: "p", fileMode: 0o600 },
        { path: "/dev/loopy", type: "b", major: 7, minor: 1, fileMode: 0o660 },
      ],
    }),
    asks: ["read=/dev/zero"],
    expect: {
      "dev /dev/loopy": "b 0660 0:0 7:1",
      "dev /dev/own": "c 0640 7:8 1:5",
      "dev /dev/sub/fifo": "p 0600 0:0",
      "read /dev/zero": "ok",
    },
  },
  {
    name: "a user namespace",
    change: (spec) => {
      spec.linux = {
        ...spec.linux,
        namespaces: [...spec.linux?.namespaces ?? [], { type: "user" }],
        uidMappings: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
        gidMappings: [{ containerID: 0, hostID: 200_000, size: 65_536 }],
      };
      spec.process.user = { uid: 5, gid: 6, additionalGids: [7] };
      spec.linux.sysctl = { "kernel.shmmax": "4096" };
    },
    asks: [
      "file=/proc/sys/user/max_mnt_namespaces",
      "file=/proc/sys/kernel/shmmax",
      "mkdir=/x",
      "stat=/dev/null",
      "read=/dev/zero",
    ],
    expect: {
      "ns user": "its own",
      "file /proc/sys/kernel/shmmax": "4096",
      "uid_map": "0 100000 65536",
      "gid_map": "0 200000 65536",
      "status Uid": "5 5 5 5",
      "status Gid": "6 6 6 6",
      "status Groups": "7",
      "mkdir /x": "EACCES",
      "read /dev/zero": "ok",
      "status CapBnd": "00000000a80425fb",
    },
    unlike: [
      [/^env HOME$/, "crun does not ask where the user's home is when /etc/passwd has none"],
      [
        /^mount \/dev\/\w+$|^dev |^stat \/dev/,
        "crun binds the machine's devices, which belong to nobody in the container",
      ],
    ],
  },
  {
    name: "a time namespace",
    change: (spec) => {
      spec.linux = {
        ...spec.linux,
        namespaces: [...spec.linux?.namespaces ?? [], { type: "time" }],
        timeOffsets: { boottime: { secs: 100_000 }, monotonic: { secs: 200_000, nanosecs: 7 } },
      };
    },
    asks: ["file=/proc/uptime"],
    expect: {
      "ns time": "its own",
      "timens": "monotonic 200000 7\nboottime 100000 0",
      "file /proc/uptime": /^\d{6,}\./,
    },
    onlyHere: "crun 1.8 breaks down over offsets of both clocks",
  },
  {
    name: "containerd's filter of system calls",
    change: all(linux({ seccomp: CONTAINERD }), process({ noNewPrivileges: true })),
    asks: [
      "try=keyctl,0,0,0,0",
      "try=userfaultfd,0",
      "try=personality,1",
      "try=getpid",
      "try=swapon,/dev/null,0",
    ],
    expect: {
      "status Seccomp": "2",
      "status Seccomp_filters": "1",
      "try keyctl,0,0,0,0": "EPERM",
      "try userfaultfd,0": "EPERM",
      "try personality,1": "EPERM",
      "try getpid": "ok",
    },
  },
  {
    name: "a filter of system calls with every kind of answer",
    change: linux({
      seccomp: {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [
          { names: ["chroot"], action: "SCMP_ACT_ERRNO", errnoRet: 28 },
          { names: ["sethostname"], action: "SCMP_ACT_KILL_PROCESS" },
          { names: ["unshare"], action: "SCMP_ACT_TRAP" },
          {
            names: ["personality"],
            action: "SCMP_ACT_ERRNO",
            errnoRet: 22,
            args: [{ index: 0, value: 0xff, valueTwo: 8, op: "SCMP_CMP_MASKED_EQ" }],
          },
        ],
      },
    }),
    asks: ["try=chroot,/", "try=sethostname,x,1", "try=unshare,0", "try=personality,8", "try=personality,0"],
    expect: {
      "try chroot,/": "ENOSPC",
      "try sethostname,x,1": "killed by 31",
      "try unshare,0": "killed by 31",
      "try personality,8": "EINVAL",
      "try personality,0": "ok",
    },
  },
  {
    name: "a scheduler and a priority of I/O",
    change: process({
      scheduler: { policy: "SCHED_BATCH", nice: 7 },
      ioPriority: { class: "IOPRIO_CLASS_BE", priority: 6 },
    }),
    expect: { "scheduler": "3", "nice": "7", "ioprio": String(2 << 13 | 6) },
    unlike: [[/^(scheduler|nice|ioprio)$/, "crun 1.8 does not know these fields"]],
  },
  {
    name: "a personality",
    change: linux({ personality: { domain: "LINUX32" } }),
    expect: { "personality": "8" },
  },
  {
    name: "the cgroup, to be looked at",
    change: mounts({
      destination: "/sys",
      type: "sysfs",
      source: "sysfs",
      options: ["nosuid", "noexec", "nodev", "ro"],
    }, {
      destination: "/sys/fs/cgroup",
      type: "cgroup",
      source: "cgroup",
      options: ["nosuid", "noexec", "nodev", "relatime", "ro"],
    }),
    asks: ["mkdir=/sys/fs/cgroup/x", "file=/sys/fs/cgroup/cgroup.procs"],
    expect: {
      "cgroup": "0::/",
      "mkdir /sys/fs/cgroup/x": "EROFS",
      "mount /sys/fs/cgroup": /^cgroup2 cgroup ro,nosuid,nodev,noexec/,
      "file /sys/fs/cgroup/cgroup.procs": "1",
    },
    unlike: [
      [/^mount \/sys/, "crun makes the mount read-only, but not its file system"],
      [/^file \/sys\/fs\/cgroup/, "crun was told to leave cgroups alone"],
    ],
  },
  {
    name: "recursive attributes of a bind",
    change: mounts(
      tmpfs("/outer", "size=1m"),
      {
        destination: "/bound",
        type: "bind",
        source: "/dev",
        options: ["rbind", "rro", "rnoexec", "rnosuid"],
      },
    ),
    asks: ["mkdir=/bound/x", "mkdir=/bound/shm/x", "mkdir=/outer/x"],
    expect: { "mkdir /bound/x": "EROFS", "mkdir /outer/x": "ok", "mount /bound": / ro,nosuid,noexec/ },
    unlike: [[/^mount \/outer$/, "a folder that was made for it gives it its mode, as with runc"]],
  },
  {
    name: "a tmpfs that keeps what it covers",
    change: mounts(tmpfs("/etc", "size=1m", "tmpcopyup", "nosuid")),
    asks: ["list=/etc", "mkdir=/etc/x", "stat=/etc/passwd"],
    expect: { "list /etc": "passwd", "mkdir /etc/x": "ok", "mount /etc": /^tmpfs \w+ rw,nosuid/ },
    unlike: [[/^mount \/etc$/, "a folder that was made for it gives it its mode, as with runc"]],
  },
  {
    name: "settings of a user namespace",
    change: (spec) => {
      const all = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
      const namespaces = [...spec.linux?.namespaces ?? [], { type: "user" as const }];
      const sysctl = { "user.max_mnt_namespaces": "77" };
      spec.linux = { ...spec.linux, namespaces, uidMappings: all, gidMappings: all, sysctl };
    },
    asks: ["file=/proc/sys/user/max_mnt_namespaces"],
    expect: { "file /proc/sys/user/max_mnt_namespaces": "77" },
    onlyHere: "crun 1.8 does not know that these settings are a user namespace's",
  },
];

/** For tests: reports about what a container has of its own, and what is kept from it. */

import { CONTAINERD } from "../../seccomp/testing/profiles.ts";
import type { Spec } from "../../../../oci/spec.ts";
import { all, linux, process, type ReportCase } from "./case.ts";

const NAMESPACES = ["pid", "mount", "ipc", "uts", "network", "cgroup"] as const;

/** @see case.ts */
export const ISOLATION_CASES: readonly ReportCase[] = [
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

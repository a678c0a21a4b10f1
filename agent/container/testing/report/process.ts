/** For tests: reports about what a process is and may do. */

import { all, linux, mounts, process, type ReportCase, tmpfs } from "./case.ts";

/** @see case.ts */
export const PROCESS_CASES: readonly ReportCase[] = [
  {
    name: "nothing but a root",
    change: () => {},
    expect: { "status Uid": "0 0 0 0", "cwd": "/", "umask": "0022" },
  },
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
];

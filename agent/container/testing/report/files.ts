/** For tests: reports about the files that a container sees. */

import { all, linux, mounts, type ReportCase, tmpfs } from "./case.ts";

/** @see case.ts */
export const FILES_CASES: readonly ReportCase[] = [
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
];

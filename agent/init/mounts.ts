import { MS } from "../../sys/mount.ts";

/** A filesystem that the guest has from the start. */
export interface BootMount {
  readonly source: string;
  readonly target: string;
  readonly fstype: string;
  readonly flags: number;
  readonly data?: string;
  /** The kernel may have been built to do it on its own, or without it. */
  readonly optional?: boolean;
}

const SAFE = MS.NOSUID | MS.NODEV | MS.NOEXEC;

/**
 * What PID 1 mounts, in this order.
 *
 * `/sys/fs/cgroup` is the unified hierarchy: containers are put into it by `clone3`, which knows no other.
 */
export const BOOT_MOUNTS: readonly BootMount[] = [
  { source: "proc", target: "/proc", fstype: "proc", flags: SAFE },
  { source: "sysfs", target: "/sys", fstype: "sysfs", flags: SAFE },
  { source: "dev", target: "/dev", fstype: "devtmpfs", flags: MS.NOSUID, optional: true },
  {
    source: "devpts",
    target: "/dev/pts",
    fstype: "devpts",
    flags: MS.NOSUID | MS.NOEXEC,
    data: "gid=5,mode=620,ptmxmode=666",
  },
  { source: "tmpfs", target: "/dev/shm", fstype: "tmpfs", flags: MS.NOSUID | MS.NODEV },
  { source: "tmpfs", target: "/run", fstype: "tmpfs", flags: MS.NOSUID | MS.NODEV, data: "mode=755" },
  {
    source: "cgroup2",
    target: "/sys/fs/cgroup",
    fstype: "cgroup2",
    flags: SAFE | MS.RELATIME,
    data: "nsdelegate",
  },
];

/** Links in `/dev` that programs expect: [target, path]. */
export const BOOT_LINKS: readonly (readonly [string, string])[] = [
  ["/dev/pts/ptmx", "/dev/ptmx"],
  ["/proc/self/fd", "/dev/fd"],
  ["/proc/self/fd/0", "/dev/stdin"],
  ["/proc/self/fd/1", "/dev/stdout"],
  ["/proc/self/fd/2", "/dev/stderr"],
];

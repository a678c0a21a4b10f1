import { DEFAULT_CAPABILITIES } from "../../../oci/capabilities.ts";
import type { Mount, Spec } from "../../../oci/spec.ts";

/** What the command line says of the container, resolved. */
export interface SpecInput {
  readonly id: string;
  /** absolute path of the rootfs folder */
  readonly rootfs: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly uid: number;
  readonly gid: number;
  readonly terminal: boolean;
  readonly readonlyRoot: boolean;
  readonly hostname: string;
  /** absolute path of a network namespace; default: a new one */
  readonly netns?: string;
  readonly mounts: readonly Mount[];
  /** CPU time limit as a number of CPUs; undefined: none */
  readonly cpuLimit?: number;
}

/** The file systems every Linux container has (runtime-spec, "Default Filesystems", and a `/run`). */
const MOUNTS: readonly Mount[] = [
  { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
  {
    destination: "/dev",
    type: "tmpfs",
    source: "tmpfs",
    options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
  },
  {
    destination: "/dev/pts",
    type: "devpts",
    source: "devpts",
    options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
  },
  {
    destination: "/dev/shm",
    type: "tmpfs",
    source: "shm",
    options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
  },
  { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
  { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
  { destination: "/run", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=65536k"] },
];

const MASKED_PATHS = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/sys/firmware",
  "/proc/scsi",
];

const READONLY_PATHS = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

const DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Length of one accounting period of the CPU limit, in µs (the kernel's default). */
const CPU_PERIOD_US = 100_000;

/** The runtime specification of a container that the command line describes; a pure function. */
export function defaultSpec(input: SpecInput): Spec {
  const env = withDefaults(input.env, input.terminal);
  return {
    ociVersion: "1.2.0",
    process: {
      terminal: input.terminal,
      user: { uid: input.uid, gid: input.gid },
      args: [...input.args],
      env,
      cwd: input.cwd,
      capabilities: {
        bounding: DEFAULT_CAPABILITIES,
        effective: DEFAULT_CAPABILITIES,
        permitted: DEFAULT_CAPABILITIES,
      },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024 * 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: input.rootfs, readonly: input.readonlyRoot },
    hostname: input.hostname,
    mounts: [...MOUNTS, ...input.mounts],
    linux: {
      namespaces: ["pid", "ipc", "uts", "mount", "network", "cgroup"].map((type) =>
        type === "network" && input.netns !== undefined ? { type, path: input.netns } : { type }
      ),
      resources: input.cpuLimit === undefined ? {} : {
        cpu: { period: CPU_PERIOD_US, quota: Math.round(input.cpuLimit * CPU_PERIOD_US) },
      },
      cgroupsPath: `/kata/${input.id}`,
      maskedPaths: MASKED_PATHS,
      readonlyPaths: READONLY_PATHS,
    },
  } as Spec;
}

function withDefaults(env: readonly string[], terminal: boolean): string[] {
  const has = (name: string) => env.some((entry) => entry.startsWith(`${name}=`));
  const defaults = has("PATH") ? [] : [DEFAULT_PATH];
  if (terminal && !has("TERM")) defaults.push(`TERM=${Deno.env.get("TERM") ?? "xterm"}`);
  return [...defaults, ...env];
}

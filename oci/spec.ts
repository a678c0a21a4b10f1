/**
 * The OCI runtime specification's `config.json`, in its JSON shape (runtime-spec 1.3, the parts for Linux).
 *
 * Field names and optionality are the specification's. Fields that this list does not know are kept in the
 * parsed object but have no type. Numbers that may need 64 bits are `Integer`: a `bigint` above 2^53, else a
 * `number`.
 */

/** A whole number of up to 64 bits; `bigint` only where a `number` could not hold it exactly. */
export type Integer = number | bigint;

/** The root object of `config.json`. */
export interface Spec {
  ociVersion: string;
  process: Process;
  root: Root;
  hostname?: string;
  domainname?: string;
  mounts?: Mount[];
  hooks?: Hooks;
  annotations?: Record<string, string>;
  linux?: Linux;
}

/** A process to be started: the container's own, or one executed in it later. */
export interface Process {
  terminal?: boolean;
  consoleSize?: ConsoleSize;
  user: User;
  args: string[];
  env?: string[];
  cwd: string;
  capabilities?: Capabilities;
  rlimits?: Rlimit[];
  noNewPrivileges?: boolean;
  apparmorProfile?: string;
  /** −1000 … 1000 */
  oomScoreAdj?: number;
  selinuxLabel?: string;
  scheduler?: Scheduler;
  ioPriority?: IoPriority;
  execCPUAffinity?: CpuAffinity;
}

/** Size of a terminal in character cells. */
export interface ConsoleSize {
  height: number;
  width: number;
}

/** Whom a process runs as. */
export interface User {
  uid: number;
  gid: number;
  umask?: number;
  additionalGids?: number[];
  username?: string;
}

/** The five capability sets by name (`CAP_…`). */
export interface Capabilities {
  bounding?: string[];
  effective?: string[];
  permitted?: string[];
  inheritable?: string[];
  ambient?: string[];
}

/** One resource limit; 2^64−1 is "infinity". */
export interface Rlimit {
  /** `RLIMIT_…` */
  type: string;
  soft: Integer;
  hard: Integer;
}

export interface Scheduler {
  policy: string;
  nice?: number;
  priority?: number;
  flags?: string[];
  runtime?: Integer;
  deadline?: Integer;
  period?: Integer;
}

export interface IoPriority {
  class: string;
  priority?: number;
}

export interface CpuAffinity {
  initial?: string;
  final?: string;
}

/** The root file system. */
export interface Root {
  /** absolute, or relative to the bundle */
  path: string;
  readonly?: boolean;
}

/** A mount in the container's mount namespace, made in list order. */
export interface Mount {
  destination: string;
  type?: string;
  source?: string;
  options?: string[];
  uidMappings?: IdMapping[];
  gidMappings?: IdMapping[];
}

export interface Hooks {
  prestart?: Hook[];
  createRuntime?: Hook[];
  createContainer?: Hook[];
  startContainer?: Hook[];
  poststart?: Hook[];
  poststop?: Hook[];
}

export interface Hook {
  path: string;
  args?: string[];
  env?: string[];
  /** seconds, > 0 */
  timeout?: number;
}

/** The Linux section. */
export interface Linux {
  namespaces?: Namespace[];
  uidMappings?: IdMapping[];
  gidMappings?: IdMapping[];
  timeOffsets?: Record<string, TimeOffset>;
  devices?: Device[];
  cgroupsPath?: string;
  resources?: Resources;
  sysctl?: Record<string, string>;
  seccomp?: Seccomp;
  rootfsPropagation?: string;
  maskedPaths?: string[];
  readonlyPaths?: string[];
  mountLabel?: string;
  intelRdt?: Record<string, unknown>;
  personality?: Personality;
  netDevices?: Record<string, unknown>;
  memoryPolicy?: MemoryPolicy;
}

/** The namespace types of the specification. */
export const NAMESPACE_TYPES = ["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"] as const;
export type NamespaceType = typeof NAMESPACE_TYPES[number];

/** A namespace to be made, or joined when it has a path. */
export interface Namespace {
  type: NamespaceType;
  path?: string;
}

export interface IdMapping {
  containerID: number;
  hostID: number;
  size: number;
}

export interface TimeOffset {
  secs?: Integer;
  nanosecs?: number;
}

/** A device node; `type` is `c`, `u` (both character), `b` (block) or `p` (FIFO). */
export interface Device {
  path: string;
  type: string;
  major?: number;
  minor?: number;
  fileMode?: number;
  uid?: number;
  gid?: number;
}

/** Where a process's memory comes from: `MPOL_…`, a list of nodes such as `0-3,7`, `MPOL_F_…`. */
export interface MemoryPolicy {
  mode: string;
  nodes?: string;
  flags?: string[];
}

export interface Personality {
  domain: string;
  flags?: string[];
}

/** Limits, in the specification's (cgroup v1) terms. */
export interface Resources {
  devices?: DeviceRule[];
  memory?: MemoryResources;
  cpu?: CpuResources;
  pids?: { limit?: Integer };
  blockIO?: BlockIoResources;
  hugepageLimits?: HugepageLimit[];
  network?: NetworkResources;
  rdma?: Record<string, { hcaHandles?: number; hcaObjects?: number }>;
  /** cgroup v2 file name → content */
  unified?: Record<string, string>;
}

/** A rule of the device filter; a missing number means any. */
export interface DeviceRule {
  allow: boolean;
  type?: string;
  major?: number;
  minor?: number;
  access?: string;
}

/** All in bytes; −1 is "unlimited". */
export interface MemoryResources {
  limit?: Integer;
  reservation?: Integer;
  /** memory plus swap */
  swap?: Integer;
  kernel?: Integer;
  kernelTCP?: Integer;
  swappiness?: Integer;
  disableOOMKiller?: boolean;
  useHierarchy?: boolean;
  checkBeforeUpdate?: boolean;
}

/** Times in microseconds. */
export interface CpuResources {
  shares?: Integer;
  quota?: Integer;
  burst?: Integer;
  period?: Integer;
  realtimeRuntime?: Integer;
  realtimePeriod?: Integer;
  cpus?: string;
  mems?: string;
  idle?: Integer;
}

export interface BlockIoResources {
  weight?: number;
  leafWeight?: number;
  weightDevice?: WeightDevice[];
  throttleReadBpsDevice?: ThrottleDevice[];
  throttleWriteBpsDevice?: ThrottleDevice[];
  throttleReadIOPSDevice?: ThrottleDevice[];
  throttleWriteIOPSDevice?: ThrottleDevice[];
}

export interface WeightDevice {
  major: number;
  minor: number;
  weight?: number;
  leafWeight?: number;
}

export interface ThrottleDevice {
  major: number;
  minor: number;
  rate: Integer;
}

export interface HugepageLimit {
  /** such as `2MB` */
  pageSize: string;
  /** bytes */
  limit: Integer;
}

export interface NetworkResources {
  classID?: number;
  priorities?: { name: string; priority: number }[];
}

export interface Seccomp {
  defaultAction: string;
  defaultErrnoRet?: number;
  architectures?: string[];
  flags?: string[];
  listenerPath?: string;
  listenerMetadata?: string;
  syscalls?: SeccompRule[];
}

export interface SeccompRule {
  names: string[];
  action: string;
  errnoRet?: number;
  args?: SeccompArgument[];
}

export interface SeccompArgument {
  index: number;
  value: Integer;
  valueTwo?: Integer;
  op: string;
}

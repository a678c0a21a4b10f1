/**
 * The shape of `config.json` as checks: which fields there are, of which type, which must be present. What
 * the fields mean together is in `rules.ts`.
 */

import {
  absolutePath,
  type Check,
  flag,
  int64,
  integer,
  list,
  map,
  mustBe,
  nonEmptyText,
  nonEmptyTexts,
  object,
  oneOf,
  optional,
  record,
  text,
  texts,
  uint32,
  uint64,
} from "./check.ts";
import {
  type BlockIoResources,
  type Capabilities,
  type ConsoleSize,
  type CpuAffinity,
  type CpuResources,
  type Device,
  type DeviceRule,
  type Hook,
  type Hooks,
  type HugepageLimit,
  type IdMapping,
  type IoPriority,
  type Linux,
  type MemoryPolicy,
  type MemoryResources,
  type Mount,
  type Namespace,
  NAMESPACE_TYPES,
  type NetworkResources,
  type Personality,
  type Process,
  type Resources,
  type Rlimit,
  type Root,
  type Scheduler,
  type Seccomp,
  type SeccompArgument,
  type SeccompRule,
  type Spec,
  type ThrottleDevice,
  type TimeOffset,
  type User,
  type WeightDevice,
} from "./spec.ts";

const int32 = integer(-0x8000_0000, 0x7fff_ffff);
/** Device numbers; −1 stands for "any" in rules. */
const deviceNumber = integer(-1, 0xffff_ffff);
const MAX_MODE = 0o177777;
/** A node has 12 and 20 bits for them. */
const MAX_MAJOR = 0xfff, MAX_MINOR = 0xf_ffff;

/** To the kernel the highest number of 32 bits is no user or group: "leave it as it is", which would be root. */
const userId = integer(0, 0xffff_fffe);

const user: Check<User> = record<User>({
  uid: userId,
  gid: userId,
  umask: optional(integer(0, 0o777)),
  additionalGids: optional(list(userId, "an array of group ids")),
  username: optional(text),
});

/** Without a user the process is root, as the specification's Go types read it. */
const userOrRoot: Check<User> = (value, path) =>
  value === undefined || value === null ? { uid: 0, gid: 0 } : user(value, path);

const consoleSize = record<ConsoleSize>({ height: integer(0, 0xffff), width: integer(0, 0xffff) });

const capabilities = record<Capabilities>({
  bounding: optional(texts),
  effective: optional(texts),
  permitted: optional(texts),
  inheritable: optional(texts),
  ambient: optional(texts),
});

const rlimit = record<Rlimit>({ type: nonEmptyText, soft: uint64, hard: uint64 });

const scheduler = record<Scheduler>({
  policy: nonEmptyText,
  nice: optional(integer(-20, 19)),
  priority: optional(int32),
  flags: optional(texts),
  runtime: optional(uint64),
  deadline: optional(uint64),
  period: optional(uint64),
});

/** The shape of `process`. */
export const processShape: Check<Process> = record<Process>({
  terminal: optional(flag),
  consoleSize: optional(consoleSize),
  user: userOrRoot,
  args: nonEmptyTexts,
  env: optional(texts),
  cwd: absolutePath,
  capabilities: optional(capabilities),
  rlimits: optional(list(rlimit)),
  noNewPrivileges: optional(flag),
  apparmorProfile: optional(text),
  oomScoreAdj: optional(integer(-1000, 1000)),
  selinuxLabel: optional(text),
  scheduler: optional(scheduler),
  ioPriority: optional(record<IoPriority>({ class: nonEmptyText, priority: optional(integer(0, 7)) })),
  execCPUAffinity: optional(record<CpuAffinity>({ initial: optional(text), final: optional(text) })),
});

const idMappings = list(record<IdMapping>({ containerID: uint32, hostID: uint32, size: uint32 }));

const mount = record<Mount>({
  destination: nonEmptyText,
  type: optional(text),
  source: optional(text),
  options: optional(texts),
  uidMappings: optional(idMappings),
  gidMappings: optional(idMappings),
});

const hooks = list(record<Hook>({
  path: absolutePath,
  args: optional(texts),
  env: optional(texts),
  timeout: optional(integer(1, Number.MAX_SAFE_INTEGER)),
}));

const hooksShape = record<Hooks>({
  prestart: optional(hooks),
  createRuntime: optional(hooks),
  createContainer: optional(hooks),
  startContainer: optional(hooks),
  poststart: optional(hooks),
  poststop: optional(hooks),
});

const device = record<Device>({
  path: absolutePath,
  type: oneOf(["c", "u", "b", "p"]),
  major: optional(integer(0, MAX_MAJOR)),
  minor: optional(integer(0, MAX_MINOR)),
  fileMode: optional(integer(0, MAX_MODE)),
  uid: optional(userId),
  gid: optional(userId),
});

const deviceRule = record<DeviceRule>({
  allow: flag,
  type: optional(oneOf(["a", "c", "u", "b", "p", ""])),
  major: optional(deviceNumber),
  minor: optional(deviceNumber),
  access: optional(text),
});

const memory = record<MemoryResources>({
  limit: optional(int64),
  reservation: optional(int64),
  swap: optional(int64),
  kernel: optional(int64),
  kernelTCP: optional(int64),
  swappiness: optional(uint64),
  disableOOMKiller: optional(flag),
  useHierarchy: optional(flag),
  checkBeforeUpdate: optional(flag),
});

const cpu = record<CpuResources>({
  shares: optional(uint64),
  quota: optional(int64),
  burst: optional(uint64),
  period: optional(uint64),
  realtimeRuntime: optional(int64),
  realtimePeriod: optional(uint64),
  cpus: optional(text),
  mems: optional(text),
  idle: optional(int64),
});

const weight = optional(integer(0, 0xffff));
const throttles = optional(
  list(record<ThrottleDevice>({ major: deviceNumber, minor: deviceNumber, rate: uint64 })),
);
const blockIO = record<BlockIoResources>({
  weight,
  leafWeight: weight,
  weightDevice: optional(
    list(record<WeightDevice>({ major: deviceNumber, minor: deviceNumber, weight, leafWeight: weight })),
  ),
  throttleReadBpsDevice: throttles,
  throttleWriteBpsDevice: throttles,
  throttleReadIOPSDevice: throttles,
  throttleWriteIOPSDevice: throttles,
});

/** The shape of `linux.resources`. */
export const resourcesShape: Check<Resources> = record<Resources>({
  devices: optional(list(deviceRule)),
  memory: optional(memory),
  cpu: optional(cpu),
  pids: optional(record<{ limit?: number | bigint }>({ limit: optional(int64) })),
  blockIO: optional(blockIO),
  hugepageLimits: optional(list(record<HugepageLimit>({ pageSize: nonEmptyText, limit: uint64 }))),
  network: optional(record<NetworkResources>({
    classID: optional(uint32),
    priorities: optional(
      list(record<{ name: string; priority: number }>({ name: nonEmptyText, priority: uint32 })),
    ),
  })),
  rdma: optional(
    map(record<{ hcaHandles?: number; hcaObjects?: number }>({
      hcaHandles: optional(uint32),
      hcaObjects: optional(uint32),
    })),
  ),
  unified: optional(map(text)),
});

const seccompArgument = record<SeccompArgument>({
  index: integer(0, 5),
  value: uint64,
  valueTwo: optional(uint64),
  op: nonEmptyText,
});

const seccomp = record<Seccomp>({
  defaultAction: nonEmptyText,
  defaultErrnoRet: optional(uint32),
  architectures: optional(texts),
  flags: optional(texts),
  listenerPath: optional(text),
  listenerMetadata: optional(text),
  syscalls: optional(list(record<SeccompRule>({
    names: nonEmptyTexts,
    action: nonEmptyText,
    errnoRet: optional(uint32),
    args: optional(list(seccompArgument)),
  }))),
});

const timeOffset = record<TimeOffset>({
  secs: optional(int64),
  nanosecs: optional(integer(0, 999_999_999)),
});

/** The shape of `linux`. */
const linuxShape: Check<Linux> = record<Linux>({
  namespaces: optional(
    list(record<Namespace>({ type: oneOf(NAMESPACE_TYPES), path: optional(text) })),
  ),
  uidMappings: optional(idMappings),
  gidMappings: optional(idMappings),
  timeOffsets: optional(map(timeOffset)),
  devices: optional(list(device)),
  cgroupsPath: optional(text),
  resources: optional(resourcesShape),
  sysctl: optional(map(text)),
  seccomp: optional(seccomp),
  rootfsPropagation: optional(text),
  maskedPaths: optional(list(absolutePath)),
  readonlyPaths: optional(list(absolutePath)),
  mountLabel: optional(text),
  intelRdt: optional(object),
  personality: optional(record<Personality>({ domain: nonEmptyText, flags: optional(texts) })),
  netDevices: optional(object),
  memoryPolicy: optional(
    record<MemoryPolicy>({ mode: nonEmptyText, nodes: optional(text), flags: optional(texts) }),
  ),
});

/** As semver.org has it: three numbers, and what may follow them. */
const VERSION = /^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/;

/** Within a major version documents are understood by older readers, less what they do not know. */
const version: Check<string> = (value, path) => {
  const given = text(value, path);
  const [, major] = VERSION.exec(given) ?? mustBe('a version such as "1.2.0"', value, path);
  return major === "1" ? given : mustBe("a version of major 1", value, path);
};

/** The shape of the whole `config.json`. */
export const specShape: Check<Spec> = record<Spec>({
  ociVersion: version,
  process: processShape,
  root: record<Root>({ path: nonEmptyText, readonly: optional(flag) }),
  hostname: optional(text),
  domainname: optional(text),
  mounts: optional(list(mount)),
  hooks: optional(hooksShape),
  annotations: optional(map(wideText)),
  linux: optional(linuxShape),
});

/** Annotations may hold anything, NUL bytes included: they never reach the kernel. */
function wideText(value: unknown, path: string): string {
  return typeof value === "string" ? value : text(value, path);
}

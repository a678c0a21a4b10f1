// Generated from oci.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Schema, message } from "../message.ts";

export interface Spec {
  /** OCI runtime-spec version */
  Version: string;
  /** required for CreateContainer */
  Process?: Process;
  /** required */
  Root?: Root;
  Hostname: string;
  Mounts: Mount[];
  Hooks?: Hooks;
  Annotations: { [key: string]: string };
  /** required */
  Linux?: Linux;
  Solaris?: Solaris;
  Windows?: Windows;
  /**
   * JSON laid over what this message says of the specification, for what it has no field for; our own addition,
   * which other agents skip
   */
  Extra: string;
}

export const SpecSchema: Schema<Spec> = message("grpc.Spec", () => [
  [1, "Version", "string"],
  [2, "Process", ProcessSchema],
  [3, "Root", RootSchema],
  [4, "Hostname", "string"],
  [5, "Mounts", MountSchema, "repeated"],
  [6, "Hooks", HooksSchema],
  [7, "Annotations", "string", "map"],
  [8, "Linux", LinuxSchema],
  [9, "Solaris", SolarisSchema],
  [10, "Windows", WindowsSchema],
  [1000, "Extra", "string"],
]);

export interface Process {
  Terminal: boolean;
  ConsoleSize?: Box;
  User?: User;
  Args: string[];
  /** K=V; each must contain = */
  Env: string[];
  Cwd: string;
  /** absent in an exec = those of the container */
  Capabilities?: LinuxCapabilities;
  Rlimits: POSIXRlimit[];
  NoNewPrivileges: boolean;
  ApparmorProfile: string;
  /** 0 = not set */
  OOMScoreAdj: bigint;
  SelinuxLabel: string;
  /**
   * JSON laid over what this message says of the process, for what it has no field for; our own addition,
   * which other agents skip
   */
  Extra: string;
}

export const ProcessSchema: Schema<Process> = message("grpc.Process", () => [
  [1, "Terminal", "bool"],
  [2, "ConsoleSize", BoxSchema],
  [3, "User", UserSchema],
  [4, "Args", "string", "repeated"],
  [5, "Env", "string", "repeated"],
  [6, "Cwd", "string"],
  [7, "Capabilities", LinuxCapabilitiesSchema],
  [8, "Rlimits", POSIXRlimitSchema, "repeated"],
  [9, "NoNewPrivileges", "bool"],
  [10, "ApparmorProfile", "string"],
  [11, "OOMScoreAdj", "int64"],
  [12, "SelinuxLabel", "string"],
  [1000, "Extra", "string"],
]);

export interface Box {
  /** rows */
  Height: number;
  /** columns */
  Width: number;
}

export const BoxSchema: Schema<Box> = message("grpc.Box", () => [
  [1, "Height", "uint32"],
  [2, "Width", "uint32"],
]);

export interface User {
  UID: number;
  GID: number;
  AdditionalGids: number[];
  Username: string;
}

export const UserSchema: Schema<User> = message("grpc.User", () => [
  [1, "UID", "uint32"],
  [2, "GID", "uint32"],
  [3, "AdditionalGids", "uint32", "repeated"],
  [4, "Username", "string"],
]);

export interface LinuxCapabilities {
  /** names such as CAP_CHOWN (prefix optional), also for 2-5 */
  Bounding: string[];
  Effective: string[];
  Inheritable: string[];
  Permitted: string[];
  Ambient: string[];
}

export const LinuxCapabilitiesSchema: Schema<LinuxCapabilities> = message("grpc.LinuxCapabilities", () => [
  [1, "Bounding", "string", "repeated"],
  [2, "Effective", "string", "repeated"],
  [3, "Inheritable", "string", "repeated"],
  [4, "Permitted", "string", "repeated"],
  [5, "Ambient", "string", "repeated"],
]);

export interface POSIXRlimit {
  /** RLIMIT_NOFILE ... */
  Type: string;
  Hard: bigint;
  Soft: bigint;
}

export const POSIXRlimitSchema: Schema<POSIXRlimit> = message("grpc.POSIXRlimit", () => [
  [1, "Type", "string"],
  [2, "Hard", "uint64"],
  [3, "Soft", "uint64"],
]);

export interface Mount {
  /** path in the container */
  destination: string;
  /** guest path */
  source: string;
  type: string;
  options: string[];
}

export const MountSchema: Schema<Mount> = message("grpc.Mount", () => [
  [1, "destination", "string"],
  [2, "source", "string"],
  [3, "type", "string"],
  [4, "options", "string", "repeated"],
]);

export interface Root {
  /** guest path of the mounted rootfs */
  Path: string;
  Readonly: boolean;
}

export const RootSchema: Schema<Root> = message("grpc.Root", () => [
  [1, "Path", "string"],
  [2, "Readonly", "bool"],
]);

export interface Hooks {
  Prestart: Hook[];
  Poststart: Hook[];
  Poststop: Hook[];
  CreateRuntime: Hook[];
  CreateContainer: Hook[];
  StartContainer: Hook[];
}

export const HooksSchema: Schema<Hooks> = message("grpc.Hooks", () => [
  [1, "Prestart", HookSchema, "repeated"],
  [2, "Poststart", HookSchema, "repeated"],
  [3, "Poststop", HookSchema, "repeated"],
  [4, "CreateRuntime", HookSchema, "repeated"],
  [5, "CreateContainer", HookSchema, "repeated"],
  [6, "StartContainer", HookSchema, "repeated"],
]);

export interface Hook {
  Path: string;
  Args: string[];
  Env: string[];
  /** seconds; 0 = none */
  Timeout: bigint;
}

export const HookSchema: Schema<Hook> = message("grpc.Hook", () => [
  [1, "Path", "string"],
  [2, "Args", "string", "repeated"],
  [3, "Env", "string", "repeated"],
  [4, "Timeout", "int64"],
]);

export interface Linux {
  UIDMappings: LinuxIDMapping[];
  GIDMappings: LinuxIDMapping[];
  Sysctl: { [key: string]: string };
  Resources?: LinuxResources;
  CgroupsPath: string;
  Namespaces: LinuxNamespace[];
  Devices: LinuxDevice[];
  Seccomp?: LinuxSeccomp;
  RootfsPropagation: string;
  MaskedPaths: string[];
  ReadonlyPaths: string[];
  MountLabel: string;
  IntelRdt?: LinuxIntelRdt;
}

export const LinuxSchema: Schema<Linux> = message("grpc.Linux", () => [
  [1, "UIDMappings", LinuxIDMappingSchema, "repeated"],
  [2, "GIDMappings", LinuxIDMappingSchema, "repeated"],
  [3, "Sysctl", "string", "map"],
  [4, "Resources", LinuxResourcesSchema],
  [5, "CgroupsPath", "string"],
  [6, "Namespaces", LinuxNamespaceSchema, "repeated"],
  [7, "Devices", LinuxDeviceSchema, "repeated"],
  [8, "Seccomp", LinuxSeccompSchema],
  [9, "RootfsPropagation", "string"],
  [10, "MaskedPaths", "string", "repeated"],
  [11, "ReadonlyPaths", "string", "repeated"],
  [12, "MountLabel", "string"],
  [13, "IntelRdt", LinuxIntelRdtSchema],
]);

export interface Windows {
  dummy: string;
}

export const WindowsSchema: Schema<Windows> = message("grpc.Windows", () => [
  [1, "dummy", "string"],
]);

export interface Solaris {
  dummy: string;
}

export const SolarisSchema: Schema<Solaris> = message("grpc.Solaris", () => [
  [1, "dummy", "string"],
]);

export interface LinuxIDMapping {
  HostID: number;
  ContainerID: number;
  Size: number;
}

export const LinuxIDMappingSchema: Schema<LinuxIDMapping> = message("grpc.LinuxIDMapping", () => [
  [1, "HostID", "uint32"],
  [2, "ContainerID", "uint32"],
  [3, "Size", "uint32"],
]);

export interface LinuxNamespace {
  /** pid ipc uts mount network user cgroup */
  Type: string;
  Path: string;
}

export const LinuxNamespaceSchema: Schema<LinuxNamespace> = message("grpc.LinuxNamespace", () => [
  [1, "Type", "string"],
  [2, "Path", "string"],
]);

export interface LinuxDevice {
  Path: string;
  /** b c u p a */
  Type: string;
  Major: bigint;
  Minor: bigint;
  /** permission bits */
  FileMode: number;
  UID: number;
  GID: number;
}

export const LinuxDeviceSchema: Schema<LinuxDevice> = message("grpc.LinuxDevice", () => [
  [1, "Path", "string"],
  [2, "Type", "string"],
  [3, "Major", "int64"],
  [4, "Minor", "int64"],
  [5, "FileMode", "uint32"],
  [6, "UID", "uint32"],
  [7, "GID", "uint32"],
]);

export interface LinuxResources {
  Devices: LinuxDeviceCgroup[];
  Memory?: LinuxMemory;
  CPU?: LinuxCPU;
  Pids?: LinuxPids;
  BlockIO?: LinuxBlockIO;
  HugepageLimits: LinuxHugepageLimit[];
  Network?: LinuxNetwork;
  /**
   * JSON laid over what this message says of the resources, for what it has no field for; our own addition,
   * which other agents skip
   */
  Extra: string;
}

export const LinuxResourcesSchema: Schema<LinuxResources> = message("grpc.LinuxResources", () => [
  [1, "Devices", LinuxDeviceCgroupSchema, "repeated"],
  [2, "Memory", LinuxMemorySchema],
  [3, "CPU", LinuxCPUSchema],
  [4, "Pids", LinuxPidsSchema],
  [5, "BlockIO", LinuxBlockIOSchema],
  [6, "HugepageLimits", LinuxHugepageLimitSchema, "repeated"],
  [7, "Network", LinuxNetworkSchema],
  [1000, "Extra", "string"],
]);

export interface LinuxMemory {
  /** bytes; <=0 = not set (so -1 "unlimited" is lost) */
  Limit: bigint;
  /** bytes; <=0 = not set */
  Reservation: bigint;
  /** bytes, memory+swap; <=0 = not set */
  Swap: bigint;
  /** bytes; <=0 = not set */
  Kernel: bigint;
  /** bytes; <=0 = not set */
  KernelTCP: bigint;
  /** 0-100; 0 = not set */
  Swappiness: bigint;
  DisableOOMKiller: boolean;
}

export const LinuxMemorySchema: Schema<LinuxMemory> = message("grpc.LinuxMemory", () => [
  [1, "Limit", "int64"],
  [2, "Reservation", "int64"],
  [3, "Swap", "int64"],
  [4, "Kernel", "int64"],
  [5, "KernelTCP", "int64"],
  [6, "Swappiness", "uint64"],
  [7, "DisableOOMKiller", "bool"],
]);

export interface LinuxCPU {
  /** relative weight; 0 = not set */
  Shares: bigint;
  /** microseconds per period; <=0 = not set */
  Quota: bigint;
  /** microseconds; 0 = not set */
  Period: bigint;
  /** microseconds; <=0 = not set */
  RealtimeRuntime: bigint;
  /** microseconds; 0 = not set */
  RealtimePeriod: bigint;
  /** list format 0-3,5 */
  Cpus: string;
  /** list format */
  Mems: string;
}

export const LinuxCPUSchema: Schema<LinuxCPU> = message("grpc.LinuxCPU", () => [
  [1, "Shares", "uint64"],
  [2, "Quota", "int64"],
  [3, "Period", "uint64"],
  [4, "RealtimeRuntime", "int64"],
  [5, "RealtimePeriod", "uint64"],
  [6, "Cpus", "string"],
  [7, "Mems", "string"],
]);

export interface LinuxWeightDevice {
  Major: bigint;
  Minor: bigint;
  /** 16 bits used */
  Weight: number;
  /** 16 bits used */
  LeafWeight: number;
}

export const LinuxWeightDeviceSchema: Schema<LinuxWeightDevice> = message("grpc.LinuxWeightDevice", () => [
  [1, "Major", "int64"],
  [2, "Minor", "int64"],
  [3, "Weight", "uint32"],
  [4, "LeafWeight", "uint32"],
]);

export interface LinuxThrottleDevice {
  Major: bigint;
  Minor: bigint;
  /** bytes/s or operations/s by list */
  Rate: bigint;
}

export const LinuxThrottleDeviceSchema: Schema<LinuxThrottleDevice> = message("grpc.LinuxThrottleDevice", () => [
  [1, "Major", "int64"],
  [2, "Minor", "int64"],
  [3, "Rate", "uint64"],
]);

export interface LinuxBlockIO {
  /** 10-1000, 16 bits used */
  Weight: number;
  LeafWeight: number;
  WeightDevice: LinuxWeightDevice[];
  /** bytes per second */
  ThrottleReadBpsDevice: LinuxThrottleDevice[];
  /** bytes per second */
  ThrottleWriteBpsDevice: LinuxThrottleDevice[];
  /** operations per second */
  ThrottleReadIOPSDevice: LinuxThrottleDevice[];
  /** operations per second */
  ThrottleWriteIOPSDevice: LinuxThrottleDevice[];
}

export const LinuxBlockIOSchema: Schema<LinuxBlockIO> = message("grpc.LinuxBlockIO", () => [
  [1, "Weight", "uint32"],
  [2, "LeafWeight", "uint32"],
  [3, "WeightDevice", LinuxWeightDeviceSchema, "repeated"],
  [4, "ThrottleReadBpsDevice", LinuxThrottleDeviceSchema, "repeated"],
  [5, "ThrottleWriteBpsDevice", LinuxThrottleDeviceSchema, "repeated"],
  [6, "ThrottleReadIOPSDevice", LinuxThrottleDeviceSchema, "repeated"],
  [7, "ThrottleWriteIOPSDevice", LinuxThrottleDeviceSchema, "repeated"],
]);

export interface LinuxPids {
  /** <=0 = unlimited */
  Limit: bigint;
}

export const LinuxPidsSchema: Schema<LinuxPids> = message("grpc.LinuxPids", () => [
  [1, "Limit", "int64"],
]);

export interface LinuxDeviceCgroup {
  Allow: boolean;
  /** a b c */
  Type: string;
  /** <=0 = any */
  Major: bigint;
  /** <=0 = any */
  Minor: bigint;
  /** subset of rwm */
  Access: string;
}

export const LinuxDeviceCgroupSchema: Schema<LinuxDeviceCgroup> = message("grpc.LinuxDeviceCgroup", () => [
  [1, "Allow", "bool"],
  [2, "Type", "string"],
  [3, "Major", "int64"],
  [4, "Minor", "int64"],
  [5, "Access", "string"],
]);

export interface LinuxNetwork {
  /** net_cls class id */
  ClassID: number;
  Priorities: LinuxInterfacePriority[];
}

export const LinuxNetworkSchema: Schema<LinuxNetwork> = message("grpc.LinuxNetwork", () => [
  [1, "ClassID", "uint32"],
  [2, "Priorities", LinuxInterfacePrioritySchema, "repeated"],
]);

export interface LinuxHugepageLimit {
  /** 2MB, 1GB ... */
  Pagesize: string;
  /** bytes */
  Limit: bigint;
}

export const LinuxHugepageLimitSchema: Schema<LinuxHugepageLimit> = message("grpc.LinuxHugepageLimit", () => [
  [1, "Pagesize", "string"],
  [2, "Limit", "uint64"],
]);

export interface LinuxInterfacePriority {
  Name: string;
  Priority: number;
}

export const LinuxInterfacePrioritySchema: Schema<LinuxInterfacePriority> = message("grpc.LinuxInterfacePriority", () => [
  [1, "Name", "string"],
  [2, "Priority", "uint32"],
]);

export interface LinuxSeccomp {
  /** SCMP_ACT_* */
  DefaultAction: string;
  /** SCMP_ARCH_* */
  Architectures: string[];
  /** SECCOMP_FILTER_FLAG_* */
  Flags: string[];
  Syscalls: LinuxSyscall[];
}

export const LinuxSeccompSchema: Schema<LinuxSeccomp> = message("grpc.LinuxSeccomp", () => [
  [1, "DefaultAction", "string"],
  [2, "Architectures", "string", "repeated"],
  [3, "Flags", "string", "repeated"],
  [4, "Syscalls", LinuxSyscallSchema, "repeated"],
]);

export interface LinuxSeccompArg {
  /** argument number */
  Index: bigint;
  Value: bigint;
  ValueTwo: bigint;
  /** SCMP_CMP_* */
  Op: string;
}

export const LinuxSeccompArgSchema: Schema<LinuxSeccompArg> = message("grpc.LinuxSeccompArg", () => [
  [1, "Index", "uint64"],
  [2, "Value", "uint64"],
  [3, "ValueTwo", "uint64"],
  [4, "Op", "string"],
]);

export interface LinuxSyscall {
  Names: string[];
  Action: string;
  /** errno for SCMP_ACT_ERRNO */
  errnoret?: number;
  Args: LinuxSeccompArg[];
}

export const LinuxSyscallSchema: Schema<LinuxSyscall> = message("grpc.LinuxSyscall", () => [
  [1, "Names", "string", "repeated"],
  [2, "Action", "string"],
  [3, "errnoret", "uint32", "optional"],
  [4, "Args", LinuxSeccompArgSchema, "repeated"],
]);

export interface LinuxIntelRdt {
  /** L3:id=mask;... */
  L3CacheSchema: string;
}

export const LinuxIntelRdtSchema: Schema<LinuxIntelRdt> = message("grpc.LinuxIntelRdt", () => [
  [1, "L3CacheSchema", "string"],
]);

// Generated from agent.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { VolumeStatsResponseSchema } from "./csi_pb.ts";
import { EmptySchema } from "./google/protobuf/empty_pb.ts";
import { type Spec, type Process, type LinuxResources, SpecSchema, ProcessSchema, LinuxResourcesSchema } from "./oci_pb.ts";
import { type Interface, type Route, type IPAddress, type ARPNeighbor, type FSGroupChangePolicy, InterfaceSchema, RouteSchema, IPAddressSchema, ARPNeighborSchema } from "./types_pb.ts";
import { type Schema, message } from "../message.ts";
import { service, unary } from "../service.ts";

export interface CreateContainerRequest {
  /** letters/digits first, then letters, digits, . _ -; at least 2 characters */
  containerId: string;
  execId: string;
  stringUser?: StringUser;
  /** handled before storages; see Device */
  devices: Device[];
  /** mounted before the bundle is set up; see Storage */
  storages: Storage[];
  /** required */
  OCI?: Spec;
  /** true = join the sandbox-wide PID namespace; false = own new PID namespace */
  sandboxPidns: boolean;
  /** mounts taken from another container of the pod */
  sharedMounts: SharedMount[];
  /** source vsock port of a ready-made stdin connection; 0 = not used */
  stdinPort: number;
  /** as stdin_port */
  stdoutPort: number;
  /** as stdin_port */
  stderrPort: number;
  /**
   * id of the container whose PID namespace this one joins, whatever sandbox_pidns says; empty = none; a field of this
   * implementation's own
   */
  pidContainer: string;
}

export const CreateContainerRequestSchema: Schema<CreateContainerRequest> = message("grpc.CreateContainerRequest", () => [
  [1, "containerId", "string"],
  [2, "execId", "string"],
  [3, "stringUser", StringUserSchema],
  [4, "devices", DeviceSchema, "repeated"],
  [5, "storages", StorageSchema, "repeated"],
  [6, "OCI", SpecSchema],
  [7, "sandboxPidns", "bool"],
  [8, "sharedMounts", SharedMountSchema, "repeated"],
  [9, "stdinPort", "uint32"],
  [10, "stdoutPort", "uint32"],
  [11, "stderrPort", "uint32"],
  [1000, "pidContainer", "string"],
]);

export interface StartContainerRequest {
  containerId: string;
}

export const StartContainerRequestSchema: Schema<StartContainerRequest> = message("grpc.StartContainerRequest", () => [
  [1, "containerId", "string"],
]);

export interface RemoveContainerRequest {
  containerId: string;
  /** seconds; 0 = no limit */
  timeout: number;
}

export const RemoveContainerRequestSchema: Schema<RemoveContainerRequest> = message("grpc.RemoveContainerRequest", () => [
  [1, "containerId", "string"],
  [2, "timeout", "uint32"],
]);

export interface ExecProcessRequest {
  containerId: string;
  execId: string;
  stringUser?: StringUser;
  /** required */
  process?: Process;
  /** as in CreateContainerRequest */
  stdinPort: number;
  /** as in CreateContainerRequest */
  stdoutPort: number;
  /** as in CreateContainerRequest */
  stderrPort: number;
}

export const ExecProcessRequestSchema: Schema<ExecProcessRequest> = message("grpc.ExecProcessRequest", () => [
  [1, "containerId", "string"],
  [2, "execId", "string"],
  [3, "stringUser", StringUserSchema],
  [4, "process", ProcessSchema],
  [5, "stdinPort", "uint32"],
  [6, "stdoutPort", "uint32"],
  [7, "stderrPort", "uint32"],
]);

export interface SignalProcessRequest {
  containerId: string;
  /** empty = init process plus every process in the container cgroup */
  execId: string;
  /** Linux signal number */
  signal: number;
}

export const SignalProcessRequestSchema: Schema<SignalProcessRequest> = message("grpc.SignalProcessRequest", () => [
  [1, "containerId", "string"],
  [2, "execId", "string"],
  [3, "signal", "uint32"],
]);

export interface WaitProcessRequest {
  containerId: string;
  /** container_id or empty = init process */
  execId: string;
}

export const WaitProcessRequestSchema: Schema<WaitProcessRequest> = message("grpc.WaitProcessRequest", () => [
  [1, "containerId", "string"],
  [2, "execId", "string"],
]);

export interface WaitProcessResponse {
  /** exit code */
  status: number;
}

export const WaitProcessResponseSchema: Schema<WaitProcessResponse> = message("grpc.WaitProcessResponse", () => [
  [1, "status", "int32"],
]);

export interface UpdateContainerRequest {
  containerId: string;
  /** absent = accepted, nothing done */
  resources?: LinuxResources;
}

export const UpdateContainerRequestSchema: Schema<UpdateContainerRequest> = message("grpc.UpdateContainerRequest", () => [
  [1, "containerId", "string"],
  [2, "resources", LinuxResourcesSchema],
]);

export interface StatsContainerRequest {
  containerId: string;
}

export const StatsContainerRequestSchema: Schema<StatsContainerRequest> = message("grpc.StatsContainerRequest", () => [
  [1, "containerId", "string"],
]);

export interface PauseContainerRequest {
  containerId: string;
}

export const PauseContainerRequestSchema: Schema<PauseContainerRequest> = message("grpc.PauseContainerRequest", () => [
  [1, "containerId", "string"],
]);

export interface ResumeContainerRequest {
  containerId: string;
}

export const ResumeContainerRequestSchema: Schema<ResumeContainerRequest> = message("grpc.ResumeContainerRequest", () => [
  [1, "containerId", "string"],
]);

export interface CpuUsage {
  /** nanoseconds */
  totalUsage: bigint;
  /** nanoseconds per CPU; empty on cgroup v2 */
  percpuUsage: bigint[];
  /** nanoseconds */
  usageInKernelmode: bigint;
  /** nanoseconds */
  usageInUsermode: bigint;
}

export const CpuUsageSchema: Schema<CpuUsage> = message("grpc.CpuUsage", () => [
  [1, "totalUsage", "uint64"],
  [2, "percpuUsage", "uint64", "repeated"],
  [3, "usageInKernelmode", "uint64"],
  [4, "usageInUsermode", "uint64"],
]);

export interface ThrottlingData {
  /** count (nr_periods) */
  periods: bigint;
  /** count (nr_throttled) */
  throttledPeriods: bigint;
  /** nanoseconds */
  throttledTime: bigint;
}

export const ThrottlingDataSchema: Schema<ThrottlingData> = message("grpc.ThrottlingData", () => [
  [1, "periods", "uint64"],
  [2, "throttledPeriods", "uint64"],
  [3, "throttledTime", "uint64"],
]);

export interface CpuStats {
  cpuUsage?: CpuUsage;
  throttlingData?: ThrottlingData;
}

export const CpuStatsSchema: Schema<CpuStats> = message("grpc.CpuStats", () => [
  [1, "cpuUsage", CpuUsageSchema],
  [2, "throttlingData", ThrottlingDataSchema],
]);

export interface PidsStats {
  current: bigint;
  /** 0 = no limit */
  limit: bigint;
}

export const PidsStatsSchema: Schema<PidsStats> = message("grpc.PidsStats", () => [
  [1, "current", "uint64"],
  [2, "limit", "uint64"],
]);

export interface MemoryData {
  /** bytes */
  usage: bigint;
  /** bytes */
  maxUsage: bigint;
  /** count */
  failcnt: bigint;
  /** bytes; unlimited on cgroup v2 arrives as 2^64-1 */
  limit: bigint;
}

export const MemoryDataSchema: Schema<MemoryData> = message("grpc.MemoryData", () => [
  [1, "usage", "uint64"],
  [2, "maxUsage", "uint64"],
  [3, "failcnt", "uint64"],
  [4, "limit", "uint64"],
]);

export interface MemoryStats {
  /** bytes */
  cache: bigint;
  /** RAM */
  usage?: MemoryData;
  /** v1: memory+swap counter; v2: swap counter */
  swapUsage?: MemoryData;
  /** kernel memory (v1) */
  kernelUsage?: MemoryData;
  /** v1 only */
  useHierarchy: boolean;
  /** all lines of the memory.stat file */
  stats: { [key: string]: bigint };
}

export const MemoryStatsSchema: Schema<MemoryStats> = message("grpc.MemoryStats", () => [
  [1, "cache", "uint64"],
  [2, "usage", MemoryDataSchema],
  [3, "swapUsage", MemoryDataSchema],
  [4, "kernelUsage", MemoryDataSchema],
  [5, "useHierarchy", "bool"],
  [6, "stats", "uint64", "map"],
]);

export interface BlkioStatsEntry {
  /** block device major */
  major: bigint;
  /** block device minor */
  minor: bigint;
  /**
   * v1: read write sync async total (empty for time/sectors lists); v2: read write (bytes) rios
   * wios dbytes dios, all in list 1
   */
  op: string;
  /** bytes or count, by list and op */
  value: bigint;
}

export const BlkioStatsEntrySchema: Schema<BlkioStatsEntry> = message("grpc.BlkioStatsEntry", () => [
  [1, "major", "uint64"],
  [2, "minor", "uint64"],
  [3, "op", "string"],
  [4, "value", "uint64"],
]);

export interface BlkioStats {
  /** bytes; on cgroup v2 the only list that is filled */
  ioServiceBytesRecursive: BlkioStatsEntry[];
  /** operations */
  ioServicedRecursive: BlkioStatsEntry[];
  /** operations */
  ioQueuedRecursive: BlkioStatsEntry[];
  /** nanoseconds */
  ioServiceTimeRecursive: BlkioStatsEntry[];
  /** nanoseconds */
  ioWaitTimeRecursive: BlkioStatsEntry[];
  /** operations */
  ioMergedRecursive: BlkioStatsEntry[];
  /** milliseconds of device time */
  ioTimeRecursive: BlkioStatsEntry[];
  /** sectors */
  sectorsRecursive: BlkioStatsEntry[];
}

export const BlkioStatsSchema: Schema<BlkioStats> = message("grpc.BlkioStats", () => [
  [1, "ioServiceBytesRecursive", BlkioStatsEntrySchema, "repeated"],
  [2, "ioServicedRecursive", BlkioStatsEntrySchema, "repeated"],
  [3, "ioQueuedRecursive", BlkioStatsEntrySchema, "repeated"],
  [4, "ioServiceTimeRecursive", BlkioStatsEntrySchema, "repeated"],
  [5, "ioWaitTimeRecursive", BlkioStatsEntrySchema, "repeated"],
  [6, "ioMergedRecursive", BlkioStatsEntrySchema, "repeated"],
  [7, "ioTimeRecursive", BlkioStatsEntrySchema, "repeated"],
  [8, "sectorsRecursive", BlkioStatsEntrySchema, "repeated"],
]);

export interface HugetlbStats {
  /** bytes */
  usage: bigint;
  /** bytes */
  maxUsage: bigint;
  /** count */
  failcnt: bigint;
}

export const HugetlbStatsSchema: Schema<HugetlbStats> = message("grpc.HugetlbStats", () => [
  [1, "usage", "uint64"],
  [2, "maxUsage", "uint64"],
  [3, "failcnt", "uint64"],
]);

export interface CgroupStats {
  cpuStats?: CpuStats;
  memoryStats?: MemoryStats;
  pidsStats?: PidsStats;
  blkioStats?: BlkioStats;
  /** key = page size text such as 2MB, 1GB */
  hugetlbStats: { [key: string]: HugetlbStats };
}

export const CgroupStatsSchema: Schema<CgroupStats> = message("grpc.CgroupStats", () => [
  [1, "cpuStats", CpuStatsSchema],
  [2, "memoryStats", MemoryStatsSchema],
  [3, "pidsStats", PidsStatsSchema],
  [4, "blkioStats", BlkioStatsSchema],
  [5, "hugetlbStats", HugetlbStatsSchema, "map"],
]);

export interface NetworkStats {
  /** interface */
  name: string;
  rxBytes: bigint;
  rxPackets: bigint;
  rxErrors: bigint;
  rxDropped: bigint;
  txBytes: bigint;
  txPackets: bigint;
  txErrors: bigint;
  txDropped: bigint;
}

export const NetworkStatsSchema: Schema<NetworkStats> = message("grpc.NetworkStats", () => [
  [1, "name", "string"],
  [2, "rxBytes", "uint64"],
  [3, "rxPackets", "uint64"],
  [4, "rxErrors", "uint64"],
  [5, "rxDropped", "uint64"],
  [6, "txBytes", "uint64"],
  [7, "txPackets", "uint64"],
  [8, "txErrors", "uint64"],
  [9, "txDropped", "uint64"],
]);

export interface StatsContainerResponse {
  cgroupStats?: CgroupStats;
  networkStats: NetworkStats[];
}

export const StatsContainerResponseSchema: Schema<StatsContainerResponse> = message("grpc.StatsContainerResponse", () => [
  [1, "cgroupStats", CgroupStatsSchema],
  [2, "networkStats", NetworkStatsSchema, "repeated"],
]);

export interface WriteStreamRequest {
  containerId: string;
  execId: string;
  /** empty = end of input: close stdin */
  data: Uint8Array;
}

export const WriteStreamRequestSchema: Schema<WriteStreamRequest> = message("grpc.WriteStreamRequest", () => [
  [1, "containerId", "string"],
  [2, "execId", "string"],
  [3, "data", "bytes"],
]);

export interface WriteStreamResponse {
  /** number of bytes taken; always the full request length on success */
  len: number;
}

export const WriteStreamResponseSchema: Schema<WriteStreamResponse> = message("grpc.WriteStreamResponse", () => [
  [1, "len", "uint32"],
]);

export interface ReadStreamRequest {
  containerId: string;
  execId: string;
  /** largest number of bytes wanted */
  len: number;
}

export const ReadStreamRequestSchema: Schema<ReadStreamRequest> = message("grpc.ReadStreamRequest", () => [
  [1, "containerId", "string"],
  [2, "execId", "string"],
  [3, "len", "uint32"],
]);

export interface ReadStreamResponse {
  /** 1..len bytes; never empty unless redacted by policy */
  data: Uint8Array;
}

export const ReadStreamResponseSchema: Schema<ReadStreamResponse> = message("grpc.ReadStreamResponse", () => [
  [1, "data", "bytes"],
]);

export interface CloseStdinRequest {
  containerId: string;
  execId: string;
}

export const CloseStdinRequestSchema: Schema<CloseStdinRequest> = message("grpc.CloseStdinRequest", () => [
  [1, "containerId", "string"],
  [2, "execId", "string"],
]);

export interface TtyWinResizeRequest {
  containerId: string;
  execId: string;
  /** rows (height) */
  row: number;
  /** columns (width) */
  column: number;
}

export const TtyWinResizeRequestSchema: Schema<TtyWinResizeRequest> = message("grpc.TtyWinResizeRequest", () => [
  [1, "containerId", "string"],
  [2, "execId", "string"],
  [3, "row", "uint32"],
  [4, "column", "uint32"],
]);

export interface KernelModule {
  /** must not be empty */
  name: string;
  /** each one key=value, given to modprobe as an argument */
  parameters: string[];
}

export const KernelModuleSchema: Schema<KernelModule> = message("grpc.KernelModule", () => [
  [1, "name", "string"],
  [2, "parameters", "string", "repeated"],
]);

export interface CreateSandboxRequest {
  /** guest UTS host name */
  hostname: string;
  /** lines of a resolv.conf, in order */
  dns: string[];
  /** sandbox-wide mounts (shared file system, shm) */
  storages: Storage[];
  sandboxPidns: boolean;
  /** empty leaves the id empty; the container with the same id is the pod infra container */
  sandboxId: string;
  /** folder with prestart/, poststart/, poststop/ sub-folders of executables; empty = none */
  guestHookPath: string;
  kernelModules: KernelModule[];
  /** kernel settings of the pod, by their names as in a specification; a field of this implementation's own */
  sysctls: { [key: string]: string };
}

export const CreateSandboxRequestSchema: Schema<CreateSandboxRequest> = message("grpc.CreateSandboxRequest", () => [
  [1, "hostname", "string"],
  [2, "dns", "string", "repeated"],
  [3, "storages", StorageSchema, "repeated"],
  [4, "sandboxPidns", "bool"],
  [5, "sandboxId", "string"],
  [6, "guestHookPath", "string"],
  [7, "kernelModules", KernelModuleSchema, "repeated"],
  [1000, "sysctls", "string", "map"],
]);

export type DestroySandboxRequest = Record<never, never>;

export const DestroySandboxRequestSchema: Schema<DestroySandboxRequest> = message("grpc.DestroySandboxRequest", () => []);

export type RemoveStaleVirtiofsShareMountsRequest = Record<never, never>;

export const RemoveStaleVirtiofsShareMountsRequestSchema: Schema<RemoveStaleVirtiofsShareMountsRequest> = message("grpc.RemoveStaleVirtiofsShareMountsRequest", () => []);

export interface Interfaces {
  Interfaces: Interface[];
}

export const InterfacesSchema: Schema<Interfaces> = message("grpc.Interfaces", () => [
  [1, "Interfaces", InterfaceSchema, "repeated"],
]);

export interface Routes {
  Routes: Route[];
}

export const RoutesSchema: Schema<Routes> = message("grpc.Routes", () => [
  [1, "Routes", RouteSchema, "repeated"],
]);

export interface UpdateInterfaceRequest {
  /** required */
  interface?: Interface;
  /** addresses that the interface had and has no longer; a field of this implementation's own */
  gone: IPAddress[];
}

export const UpdateInterfaceRequestSchema: Schema<UpdateInterfaceRequest> = message("grpc.UpdateInterfaceRequest", () => [
  [1, "interface", InterfaceSchema],
  [1000, "gone", IPAddressSchema, "repeated"],
]);

export interface UpdateRoutesRequest {
  /** required */
  routes?: Routes;
  /** routes that were there and are no longer; a field of this implementation's own */
  gone: Route[];
}

export const UpdateRoutesRequestSchema: Schema<UpdateRoutesRequest> = message("grpc.UpdateRoutesRequest", () => [
  [1, "routes", RoutesSchema],
  [1000, "gone", RouteSchema, "repeated"],
]);

export interface UpdateEphemeralMountsRequest {
  storages: Storage[];
}

export const UpdateEphemeralMountsRequestSchema: Schema<UpdateEphemeralMountsRequest> = message("grpc.UpdateEphemeralMountsRequest", () => [
  [1, "storages", StorageSchema, "repeated"],
]);

export type ListInterfacesRequest = Record<never, never>;

export const ListInterfacesRequestSchema: Schema<ListInterfacesRequest> = message("grpc.ListInterfacesRequest", () => []);

export type ListRoutesRequest = Record<never, never>;

export const ListRoutesRequestSchema: Schema<ListRoutesRequest> = message("grpc.ListRoutesRequest", () => []);

export interface ARPNeighbors {
  ARPNeighbors: ARPNeighbor[];
}

export const ARPNeighborsSchema: Schema<ARPNeighbors> = message("grpc.ARPNeighbors", () => [
  [1, "ARPNeighbors", ARPNeighborSchema, "repeated"],
]);

export interface AddARPNeighborsRequest {
  /** required */
  neighbors?: ARPNeighbors;
  /** neighbours that were there and are no longer; a field of this implementation's own */
  gone: ARPNeighbor[];
}

export const AddARPNeighborsRequestSchema: Schema<AddARPNeighborsRequest> = message("grpc.AddARPNeighborsRequest", () => [
  [1, "neighbors", ARPNeighborsSchema],
  [1000, "gone", ARPNeighborSchema, "repeated"],
]);

export interface GetIPTablesRequest {
  isIpv6: boolean;
}

export const GetIPTablesRequestSchema: Schema<GetIPTablesRequest> = message("grpc.GetIPTablesRequest", () => [
  [1, "isIpv6", "bool"],
]);

export interface GetIPTablesResponse {
  /** output of ip(6)tables-save */
  data: Uint8Array;
}

export const GetIPTablesResponseSchema: Schema<GetIPTablesResponse> = message("grpc.GetIPTablesResponse", () => [
  [1, "data", "bytes"],
]);

export interface SetIPTablesRequest {
  isIpv6: boolean;
  /** input for ip(6)tables-restore */
  data: Uint8Array;
}

export const SetIPTablesRequestSchema: Schema<SetIPTablesRequest> = message("grpc.SetIPTablesRequest", () => [
  [1, "isIpv6", "bool"],
  [2, "data", "bytes"],
]);

export interface SetIPTablesResponse {
  /** output of ip(6)tables-restore */
  data: Uint8Array;
}

export const SetIPTablesResponseSchema: Schema<SetIPTablesResponse> = message("grpc.SetIPTablesResponse", () => [
  [1, "data", "bytes"],
]);

export interface OnlineCPUMemRequest {
  wait: boolean;
  /** total CPUs that should be online afterwards; 0 = leave CPUs alone */
  nbCpus: number;
  /** true = do not online memory blocks */
  cpuOnly: boolean;
}

export const OnlineCPUMemRequestSchema: Schema<OnlineCPUMemRequest> = message("grpc.OnlineCPUMemRequest", () => [
  [1, "wait", "bool"],
  [2, "nbCpus", "uint32"],
  [3, "cpuOnly", "bool"],
]);

export interface ReseedRandomDevRequest {
  /** entropy; must not be empty. Field 1 does not exist */
  data: Uint8Array;
}

export const ReseedRandomDevRequestSchema: Schema<ReseedRandomDevRequest> = message("grpc.ReseedRandomDevRequest", () => [
  [2, "data", "bytes"],
]);

export interface AgentDetails {
  version: string;
  initDaemon: boolean;
  deviceHandlers: string[];
  /** storage driver names */
  storageHandlers: string[];
  /** build with seccomp */
  supportsSeccomp: boolean;
  /** sorted: agent-policy, seccomp, standard-oci-runtime when built in */
  extraFeatures: string[];
}

export const AgentDetailsSchema: Schema<AgentDetails> = message("grpc.AgentDetails", () => [
  [1, "version", "string"],
  [2, "initDaemon", "bool"],
  [3, "deviceHandlers", "string", "repeated"],
  [4, "storageHandlers", "string", "repeated"],
  [5, "supportsSeccomp", "bool"],
  [6, "extraFeatures", "string", "repeated"],
]);

export interface GuestDetailsRequest {
  /** ask for field 1 of the answer */
  memBlockSize: boolean;
  /** ask for field 3 of the answer */
  memHotplugProbe: boolean;
}

export const GuestDetailsRequestSchema: Schema<GuestDetailsRequest> = message("grpc.GuestDetailsRequest", () => [
  [1, "memBlockSize", "bool"],
  [2, "memHotplugProbe", "bool"],
]);

export interface GuestDetailsResponse {
  /** bytes; 0 = not asked or file missing */
  memBlockSizeBytes: bigint;
  agentDetails?: AgentDetails;
  /** probe file exists */
  supportMemHotplugProbe: boolean;
}

export const GuestDetailsResponseSchema: Schema<GuestDetailsResponse> = message("grpc.GuestDetailsResponse", () => [
  [1, "memBlockSizeBytes", "uint64"],
  [2, "agentDetails", AgentDetailsSchema],
  [3, "supportMemHotplugProbe", "bool"],
]);

export interface MemHotplugByProbeRequest {
  /** physical addresses (packed) */
  memHotplugProbeAddr: bigint[];
}

export const MemHotplugByProbeRequestSchema: Schema<MemHotplugByProbeRequest> = message("grpc.MemHotplugByProbeRequest", () => [
  [1, "memHotplugProbeAddr", "uint64", "repeated"],
]);

export interface SetGuestDateTimeRequest {
  /** seconds since the epoch */
  Sec: bigint;
  /** microseconds part */
  Usec: bigint;
}

export const SetGuestDateTimeRequestSchema: Schema<SetGuestDateTimeRequest> = message("grpc.SetGuestDateTimeRequest", () => [
  [1, "Sec", "int64"],
  [2, "Usec", "int64"],
]);

export interface FSGroup {
  /** gid to apply. Field 1 does not exist */
  groupId: number;
  groupChangePolicy: FSGroupChangePolicy;
}

export const FSGroupSchema: Schema<FSGroup> = message("grpc.FSGroup", () => [
  [2, "groupId", "uint32"],
  [3, "groupChangePolicy", "enum"],
]);

export interface SharedMount {
  /** pair label */
  name: string;
  srcCtr: string;
  /** mount point inside the source container */
  srcPath: string;
  /** container name of the taker */
  dstCtr: string;
  /** created if missing */
  dstPath: string;
}

export const SharedMountSchema: Schema<SharedMount> = message("grpc.SharedMount", () => [
  [1, "name", "string"],
  [2, "srcCtr", "string"],
  [3, "srcPath", "string"],
  [4, "dstCtr", "string"],
  [5, "dstPath", "string"],
]);

export interface Storage {
  /**
   * 9p virtio-fs overlayfs blk blk-ccw (s390x) mmioblk scsi nvdimm ephemeral local watchable-bind
   * image_guest_pull
   */
  driver: string;
  /** driver specific key=value */
  driverOptions: string[];
  /**
   * virtio-fs/9p: mount tag; blk: PCI path (02/03) or /dev/...; blk-ccw: CCW id; mmioblk, nvdimm:
   * /dev/...; scsi: id:lun
   */
  source: string;
  /** file system name for mount(2); virtiofs, 9p, ext4, xfs, tmpfs, overlay, hugetlbfs, bind ... */
  fstype: string;
  /** mount options */
  options: string[];
  /** guest path */
  mountPoint: string;
  /** absent = no ownership change */
  fsGroup?: FSGroup;
}

export const StorageSchema: Schema<Storage> = message("grpc.Storage", () => [
  [1, "driver", "string"],
  [2, "driverOptions", "string", "repeated"],
  [3, "source", "string"],
  [4, "fstype", "string"],
  [5, "options", "string", "repeated"],
  [6, "mountPoint", "string"],
  [7, "fsGroup", FSGroupSchema],
]);

export interface Device {
  /** blk: PCI path; blk-ccw: CCW id; scsi: id:lun; else free text */
  id: string;
  /** blk blk-ccw mmioblk scsi nvdimm vfio-pci vfio-pci-gk vfio-ap vfio-ap-cold; must not be empty */
  type: string;
  /** device node in the guest, for mmioblk and nvdimm; id and vm_path may not both be empty */
  vmPath: string;
  /** path of the matching entry in OCI.Linux.Devices */
  containerPath: string;
  /** vfio-pci*: hostBDF=guestPciPath each; vfio-ap: queue addresses */
  options: string[];
}

export const DeviceSchema: Schema<Device> = message("grpc.Device", () => [
  [1, "id", "string"],
  [2, "type", "string"],
  [3, "vmPath", "string"],
  [4, "containerPath", "string"],
  [5, "options", "string", "repeated"],
]);

export interface StringUser {
  uid: string;
  gid: string;
  additionalGids: string[];
}

export const StringUserSchema: Schema<StringUser> = message("grpc.StringUser", () => [
  [1, "uid", "string"],
  [2, "gid", "string"],
  [3, "additionalGids", "string", "repeated"],
]);

export interface CopyFileRequest {
  /** below /run/kata-containers */
  path: string;
  /** total bytes of the finished file (0 for folders and links) */
  fileSize: bigint;
  /** full st_mode: type bits choose file, folder or symlink; low bits are the permissions */
  fileMode: number;
  /** permissions of a newly made parent folder */
  dirMode: number;
  /** signed on the wire */
  uid: number;
  /** signed on the wire */
  gid: number;
  /** byte offset of this chunk; 0 also truncates */
  offset: bigint;
  data: Uint8Array;
}

export const CopyFileRequestSchema: Schema<CopyFileRequest> = message("grpc.CopyFileRequest", () => [
  [1, "path", "string"],
  [2, "fileSize", "int64"],
  [3, "fileMode", "uint32"],
  [4, "dirMode", "uint32"],
  [5, "uid", "int32"],
  [6, "gid", "int32"],
  [7, "offset", "int64"],
  [8, "data", "bytes"],
]);

export type GetOOMEventRequest = Record<never, never>;

export const GetOOMEventRequestSchema: Schema<GetOOMEventRequest> = message("grpc.GetOOMEventRequest", () => []);

export interface OOMEvent {
  containerId: string;
}

export const OOMEventSchema: Schema<OOMEvent> = message("grpc.OOMEvent", () => [
  [1, "containerId", "string"],
]);

export interface AddSwapRequest {
  /** slot numbers, one per bus level, function 0 (packed) */
  PCIPath: number[];
}

export const AddSwapRequestSchema: Schema<AddSwapRequest> = message("grpc.AddSwapRequest", () => [
  [1, "PCIPath", "uint32", "repeated"],
]);

export interface AddSwapPathRequest {
  /** guest path for swapon */
  path: string;
}

export const AddSwapPathRequestSchema: Schema<AddSwapPathRequest> = message("grpc.AddSwapPathRequest", () => [
  [1, "path", "string"],
]);

export type GetMetricsRequest = Record<never, never>;

export const GetMetricsRequestSchema: Schema<GetMetricsRequest> = message("grpc.GetMetricsRequest", () => []);

export interface Metrics {
  /** Prometheus text */
  metrics: string;
}

export const MetricsSchema: Schema<Metrics> = message("grpc.Metrics", () => [
  [1, "metrics", "string"],
]);

export interface VolumeStatsRequest {
  /** guest path outside the container */
  volumeGuestPath: string;
}

export const VolumeStatsRequestSchema: Schema<VolumeStatsRequest> = message("grpc.VolumeStatsRequest", () => [
  [1, "volumeGuestPath", "string"],
]);

export interface ResizeVolumeRequest {
  /** guest path outside the container */
  volumeGuestPath: string;
  /** bytes */
  size: bigint;
}

export const ResizeVolumeRequestSchema: Schema<ResizeVolumeRequest> = message("grpc.ResizeVolumeRequest", () => [
  [1, "volumeGuestPath", "string"],
  [2, "size", "uint64"],
]);

export interface SetPolicyRequest {
  /** Rego text, plain (not base64) */
  policy: string;
}

export const SetPolicyRequestSchema: Schema<SetPolicyRequest> = message("grpc.SetPolicyRequest", () => [
  [1, "policy", "string"],
]);

export interface MemAgentMemcgConfig {
  disabled?: boolean;
  swap?: boolean;
  /** cut to 8 bits */
  swappinessMax?: number;
  /** seconds */
  periodSecs?: bigint;
  /** percent, cut to 8 bits */
  periodPsiPercentLimit?: number;
  /** percent, cut to 8 bits */
  evictionPsiPercentLimit?: number;
  evictionRunAgingCountMin?: bigint;
}

export const MemAgentMemcgConfigSchema: Schema<MemAgentMemcgConfig> = message("grpc.MemAgentMemcgConfig", () => [
  [1, "disabled", "bool", "optional"],
  [2, "swap", "bool", "optional"],
  [3, "swappinessMax", "uint32", "optional"],
  [4, "periodSecs", "uint64", "optional"],
  [5, "periodPsiPercentLimit", "uint32", "optional"],
  [6, "evictionPsiPercentLimit", "uint32", "optional"],
  [7, "evictionRunAgingCountMin", "uint64", "optional"],
]);

export interface MemAgentCompactConfig {
  disabled?: boolean;
  /** seconds */
  periodSecs?: bigint;
  /** percent, cut to 8 bits */
  periodPsiPercentLimit?: number;
  /** percent, cut to 8 bits */
  compactPsiPercentLimit?: number;
  /** seconds */
  compactSecMax?: bigint;
  /** page order, cut to 8 bits */
  compactOrder?: number;
  compactThreshold?: bigint;
  compactForceTimes?: bigint;
}

export const MemAgentCompactConfigSchema: Schema<MemAgentCompactConfig> = message("grpc.MemAgentCompactConfig", () => [
  [1, "disabled", "bool", "optional"],
  [2, "periodSecs", "uint64", "optional"],
  [3, "periodPsiPercentLimit", "uint32", "optional"],
  [4, "compactPsiPercentLimit", "uint32", "optional"],
  [5, "compactSecMax", "int64", "optional"],
  [6, "compactOrder", "uint32", "optional"],
  [7, "compactThreshold", "uint64", "optional"],
  [8, "compactForceTimes", "uint64", "optional"],
]);

export const AgentService = service("grpc.AgentService", {
  createContainer: unary("CreateContainer", CreateContainerRequestSchema, EmptySchema),
  startContainer: unary("StartContainer", StartContainerRequestSchema, EmptySchema),
  removeContainer: unary("RemoveContainer", RemoveContainerRequestSchema, EmptySchema),
  execProcess: unary("ExecProcess", ExecProcessRequestSchema, EmptySchema),
  signalProcess: unary("SignalProcess", SignalProcessRequestSchema, EmptySchema),
  waitProcess: unary("WaitProcess", WaitProcessRequestSchema, WaitProcessResponseSchema),
  updateContainer: unary("UpdateContainer", UpdateContainerRequestSchema, EmptySchema),
  updateEphemeralMounts: unary("UpdateEphemeralMounts", UpdateEphemeralMountsRequestSchema, EmptySchema),
  statsContainer: unary("StatsContainer", StatsContainerRequestSchema, StatsContainerResponseSchema),
  pauseContainer: unary("PauseContainer", PauseContainerRequestSchema, EmptySchema),
  resumeContainer: unary("ResumeContainer", ResumeContainerRequestSchema, EmptySchema),
  removeStaleVirtiofsShareMounts: unary("RemoveStaleVirtiofsShareMounts", RemoveStaleVirtiofsShareMountsRequestSchema, EmptySchema),
  writeStdin: unary("WriteStdin", WriteStreamRequestSchema, WriteStreamResponseSchema),
  readStdout: unary("ReadStdout", ReadStreamRequestSchema, ReadStreamResponseSchema),
  readStderr: unary("ReadStderr", ReadStreamRequestSchema, ReadStreamResponseSchema),
  closeStdin: unary("CloseStdin", CloseStdinRequestSchema, EmptySchema),
  ttyWinResize: unary("TtyWinResize", TtyWinResizeRequestSchema, EmptySchema),
  updateInterface: unary("UpdateInterface", UpdateInterfaceRequestSchema, InterfaceSchema),
  updateRoutes: unary("UpdateRoutes", UpdateRoutesRequestSchema, RoutesSchema),
  listInterfaces: unary("ListInterfaces", ListInterfacesRequestSchema, InterfacesSchema),
  listRoutes: unary("ListRoutes", ListRoutesRequestSchema, RoutesSchema),
  addARPNeighbors: unary("AddARPNeighbors", AddARPNeighborsRequestSchema, EmptySchema),
  getIPTables: unary("GetIPTables", GetIPTablesRequestSchema, GetIPTablesResponseSchema),
  setIPTables: unary("SetIPTables", SetIPTablesRequestSchema, SetIPTablesResponseSchema),
  getMetrics: unary("GetMetrics", GetMetricsRequestSchema, MetricsSchema),
  memAgentMemcgSet: unary("MemAgentMemcgSet", MemAgentMemcgConfigSchema, EmptySchema),
  memAgentCompactSet: unary("MemAgentCompactSet", MemAgentCompactConfigSchema, EmptySchema),
  createSandbox: unary("CreateSandbox", CreateSandboxRequestSchema, EmptySchema),
  destroySandbox: unary("DestroySandbox", DestroySandboxRequestSchema, EmptySchema),
  onlineCPUMem: unary("OnlineCPUMem", OnlineCPUMemRequestSchema, EmptySchema),
  reseedRandomDev: unary("ReseedRandomDev", ReseedRandomDevRequestSchema, EmptySchema),
  getGuestDetails: unary("GetGuestDetails", GuestDetailsRequestSchema, GuestDetailsResponseSchema),
  memHotplugByProbe: unary("MemHotplugByProbe", MemHotplugByProbeRequestSchema, EmptySchema),
  setGuestDateTime: unary("SetGuestDateTime", SetGuestDateTimeRequestSchema, EmptySchema),
  copyFile: unary("CopyFile", CopyFileRequestSchema, EmptySchema),
  getOOMEvent: unary("GetOOMEvent", GetOOMEventRequestSchema, OOMEventSchema),
  addSwap: unary("AddSwap", AddSwapRequestSchema, EmptySchema),
  addSwapPath: unary("AddSwapPath", AddSwapPathRequestSchema, EmptySchema),
  getVolumeStats: unary("GetVolumeStats", VolumeStatsRequestSchema, VolumeStatsResponseSchema),
  resizeVolume: unary("ResizeVolume", ResizeVolumeRequestSchema, EmptySchema),
  setPolicy: unary("SetPolicy", SetPolicyRequestSchema, EmptySchema),
});

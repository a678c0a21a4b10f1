// Generated from cri.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Schema, message } from "../message.ts";
import { service, unary } from "../service.ts";

export enum Protocol {
  TCP = 0,
  UDP = 1,
  SCTP = 2,
}

export enum NamespaceMode {
  POD = 0,
  CONTAINER = 1,
  NODE = 2,
  TARGET = 3,
}

export enum SecurityProfileType {
  RUNTIME_DEFAULT = 0,
  UNCONFINED = 1,
  LOCALHOST = 2,
}

export enum PodSandboxState {
  SANDBOX_READY = 0,
  SANDBOX_NOTREADY = 1,
}

export enum MountPropagation {
  PROPAGATION_PRIVATE = 0,
  PROPAGATION_HOST_TO_CONTAINER = 1,
  PROPAGATION_BIDIRECTIONAL = 2,
}

export enum ContainerState {
  CONTAINER_CREATED = 0,
  CONTAINER_RUNNING = 1,
  CONTAINER_EXITED = 2,
  CONTAINER_UNKNOWN = 3,
}

export interface PodSandboxMetadata {
  name: string;
  uid: string;
  namespace: string;
  attempt: number;
}

export const PodSandboxMetadataSchema: Schema<PodSandboxMetadata> = message("runtime.v1.PodSandboxMetadata", () => [
  [1, "name", "string"],
  [2, "uid", "string"],
  [3, "namespace", "string"],
  [4, "attempt", "uint32"],
]);

export interface DNSConfig {
  servers: string[];
  searches: string[];
  options: string[];
}

export const DNSConfigSchema: Schema<DNSConfig> = message("runtime.v1.DNSConfig", () => [
  [1, "servers", "string", "repeated"],
  [2, "searches", "string", "repeated"],
  [3, "options", "string", "repeated"],
]);

export interface PortMapping {
  protocol: Protocol;
  containerPort: number;
  hostPort: number;
  hostIp: string;
}

export const PortMappingSchema: Schema<PortMapping> = message("runtime.v1.PortMapping", () => [
  [1, "protocol", "enum"],
  [2, "containerPort", "int32"],
  [3, "hostPort", "int32"],
  [4, "hostIp", "string"],
]);

export interface IDMapping {
  hostId: number;
  containerId: number;
  length: number;
}

export const IDMappingSchema: Schema<IDMapping> = message("runtime.v1.IDMapping", () => [
  [1, "hostId", "uint32"],
  [2, "containerId", "uint32"],
  [3, "length", "uint32"],
]);

export interface UserNamespace {
  mode: NamespaceMode;
  uids: IDMapping[];
  gids: IDMapping[];
}

export const UserNamespaceSchema: Schema<UserNamespace> = message("runtime.v1.UserNamespace", () => [
  [1, "mode", "enum"],
  [2, "uids", IDMappingSchema, "repeated"],
  [3, "gids", IDMappingSchema, "repeated"],
]);

export interface NamespaceOption {
  network: NamespaceMode;
  pid: NamespaceMode;
  ipc: NamespaceMode;
  targetId: string;
  usernsOptions?: UserNamespace;
}

export const NamespaceOptionSchema: Schema<NamespaceOption> = message("runtime.v1.NamespaceOption", () => [
  [1, "network", "enum"],
  [2, "pid", "enum"],
  [3, "ipc", "enum"],
  [4, "targetId", "string"],
  [5, "usernsOptions", UserNamespaceSchema],
]);

export interface Int64Value {
  value: bigint;
}

export const Int64ValueSchema: Schema<Int64Value> = message("runtime.v1.Int64Value", () => [
  [1, "value", "int64"],
]);

export interface UInt64Value {
  value: bigint;
}

export const UInt64ValueSchema: Schema<UInt64Value> = message("runtime.v1.UInt64Value", () => [
  [1, "value", "uint64"],
]);

export interface SecurityProfile {
  profileType: SecurityProfileType;
  localhostRef: string;
}

export const SecurityProfileSchema: Schema<SecurityProfile> = message("runtime.v1.SecurityProfile", () => [
  [1, "profileType", "enum"],
  [2, "localhostRef", "string"],
]);

export interface LinuxSandboxSecurityContext {
  namespaceOptions?: NamespaceOption;
  runAsUser?: Int64Value;
  readonlyRootfs: boolean;
  supplementalGroups: bigint[];
  privileged: boolean;
  runAsGroup?: Int64Value;
  seccomp?: SecurityProfile;
}

export const LinuxSandboxSecurityContextSchema: Schema<LinuxSandboxSecurityContext> = message("runtime.v1.LinuxSandboxSecurityContext", () => [
  [1, "namespaceOptions", NamespaceOptionSchema],
  [3, "runAsUser", Int64ValueSchema],
  [4, "readonlyRootfs", "bool"],
  [5, "supplementalGroups", "int64", "repeated"],
  [6, "privileged", "bool"],
  [8, "runAsGroup", Int64ValueSchema],
  [9, "seccomp", SecurityProfileSchema],
]);

export interface HugepageLimit {
  /** such as 2MB */
  pageSize: string;
  /** bytes */
  limit: bigint;
}

export const HugepageLimitSchema: Schema<HugepageLimit> = message("runtime.v1.HugepageLimit", () => [
  [1, "pageSize", "string"],
  [2, "limit", "uint64"],
]);

export interface LinuxContainerResources {
  /** microseconds */
  cpuPeriod: bigint;
  /** microseconds */
  cpuQuota: bigint;
  cpuShares: bigint;
  memoryLimitInBytes: bigint;
  oomScoreAdj: bigint;
  cpusetCpus: string;
  cpusetMems: string;
  hugepageLimits: HugepageLimit[];
  unified: { [key: string]: string };
  memorySwapLimitInBytes: bigint;
}

export const LinuxContainerResourcesSchema: Schema<LinuxContainerResources> = message("runtime.v1.LinuxContainerResources", () => [
  [1, "cpuPeriod", "int64"],
  [2, "cpuQuota", "int64"],
  [3, "cpuShares", "int64"],
  [4, "memoryLimitInBytes", "int64"],
  [5, "oomScoreAdj", "int64"],
  [6, "cpusetCpus", "string"],
  [7, "cpusetMems", "string"],
  [8, "hugepageLimits", HugepageLimitSchema, "repeated"],
  [9, "unified", "string", "map"],
  [10, "memorySwapLimitInBytes", "int64"],
]);

export interface LinuxPodSandboxConfig {
  cgroupParent: string;
  securityContext?: LinuxSandboxSecurityContext;
  sysctls: { [key: string]: string };
  overhead?: LinuxContainerResources;
  /** sum over the containers */
  resources?: LinuxContainerResources;
}

export const LinuxPodSandboxConfigSchema: Schema<LinuxPodSandboxConfig> = message("runtime.v1.LinuxPodSandboxConfig", () => [
  [1, "cgroupParent", "string"],
  [2, "securityContext", LinuxSandboxSecurityContextSchema],
  [3, "sysctls", "string", "map"],
  [4, "overhead", LinuxContainerResourcesSchema],
  [5, "resources", LinuxContainerResourcesSchema],
]);

export interface PodSandboxConfig {
  metadata?: PodSandboxMetadata;
  hostname: string;
  logDirectory: string;
  dnsConfig?: DNSConfig;
  portMappings: PortMapping[];
  labels: { [key: string]: string };
  annotations: { [key: string]: string };
  linux?: LinuxPodSandboxConfig;
}

export const PodSandboxConfigSchema: Schema<PodSandboxConfig> = message("runtime.v1.PodSandboxConfig", () => [
  [1, "metadata", PodSandboxMetadataSchema],
  [2, "hostname", "string"],
  [3, "logDirectory", "string"],
  [4, "dnsConfig", DNSConfigSchema],
  [5, "portMappings", PortMappingSchema, "repeated"],
  [6, "labels", "string", "map"],
  [7, "annotations", "string", "map"],
  [8, "linux", LinuxPodSandboxConfigSchema],
]);

export interface RunPodSandboxRequest {
  config?: PodSandboxConfig;
  runtimeHandler: string;
}

export const RunPodSandboxRequestSchema: Schema<RunPodSandboxRequest> = message("runtime.v1.RunPodSandboxRequest", () => [
  [1, "config", PodSandboxConfigSchema],
  [2, "runtimeHandler", "string"],
]);

export interface RunPodSandboxResponse {
  podSandboxId: string;
}

export const RunPodSandboxResponseSchema: Schema<RunPodSandboxResponse> = message("runtime.v1.RunPodSandboxResponse", () => [
  [1, "podSandboxId", "string"],
]);

/** names a pod in several calls */
export interface PodSandboxRequest {
  podSandboxId: string;
}

export const PodSandboxRequestSchema: Schema<PodSandboxRequest> = message("runtime.v1.PodSandboxRequest", () => [
  [1, "podSandboxId", "string"],
]);

export interface PodSandboxStatusRequest {
  podSandboxId: string;
  verbose: boolean;
}

export const PodSandboxStatusRequestSchema: Schema<PodSandboxStatusRequest> = message("runtime.v1.PodSandboxStatusRequest", () => [
  [1, "podSandboxId", "string"],
  [2, "verbose", "bool"],
]);

export interface PodIP {
  ip: string;
}

export const PodIPSchema: Schema<PodIP> = message("runtime.v1.PodIP", () => [
  [1, "ip", "string"],
]);

export interface PodSandboxNetworkStatus {
  ip: string;
  additionalIps: PodIP[];
}

export const PodSandboxNetworkStatusSchema: Schema<PodSandboxNetworkStatus> = message("runtime.v1.PodSandboxNetworkStatus", () => [
  [1, "ip", "string"],
  [2, "additionalIps", PodIPSchema, "repeated"],
]);

export interface PodSandboxStatus {
  id: string;
  metadata?: PodSandboxMetadata;
  state: PodSandboxState;
  /** nanoseconds since 1970 */
  createdAt: bigint;
  network?: PodSandboxNetworkStatus;
  labels: { [key: string]: string };
  annotations: { [key: string]: string };
  runtimeHandler: string;
}

export const PodSandboxStatusSchema: Schema<PodSandboxStatus> = message("runtime.v1.PodSandboxStatus", () => [
  [1, "id", "string"],
  [2, "metadata", PodSandboxMetadataSchema],
  [3, "state", "enum"],
  [4, "createdAt", "int64"],
  [5, "network", PodSandboxNetworkStatusSchema],
  [7, "labels", "string", "map"],
  [8, "annotations", "string", "map"],
  [9, "runtimeHandler", "string"],
]);

export interface PodSandboxStatusResponse {
  status?: PodSandboxStatus;
  info: { [key: string]: string };
}

export const PodSandboxStatusResponseSchema: Schema<PodSandboxStatusResponse> = message("runtime.v1.PodSandboxStatusResponse", () => [
  [1, "status", PodSandboxStatusSchema],
  [2, "info", "string", "map"],
]);

export interface PodSandbox {
  id: string;
  metadata?: PodSandboxMetadata;
  state: PodSandboxState;
}

export const PodSandboxSchema: Schema<PodSandbox> = message("runtime.v1.PodSandbox", () => [
  [1, "id", "string"],
  [2, "metadata", PodSandboxMetadataSchema],
  [3, "state", "enum"],
]);

export interface ListPodSandboxResponse {
  items: PodSandbox[];
}

export const ListPodSandboxResponseSchema: Schema<ListPodSandboxResponse> = message("runtime.v1.ListPodSandboxResponse", () => [
  [1, "items", PodSandboxSchema, "repeated"],
]);

export interface VolumeMount {
  containerPath: string;
  hostPath: string;
  readonly: boolean;
  selinuxRelabel: boolean;
  propagation: MountPropagation;
  image?: ImageSpec;
}

export const VolumeMountSchema: Schema<VolumeMount> = message("runtime.v1.VolumeMount", () => [
  [1, "containerPath", "string"],
  [2, "hostPath", "string"],
  [3, "readonly", "bool"],
  [4, "selinuxRelabel", "bool"],
  [5, "propagation", "enum"],
  [9, "image", ImageSpecSchema],
]);

export interface ImageSpec {
  image: string;
}

export const ImageSpecSchema: Schema<ImageSpec> = message("runtime.v1.ImageSpec", () => [
  [1, "image", "string"],
]);

export interface KeyValue {
  key: string;
  value: string;
}

export const KeyValueSchema: Schema<KeyValue> = message("runtime.v1.KeyValue", () => [
  [1, "key", "string"],
  [2, "value", "string"],
]);

export interface Capability {
  addCapabilities: string[];
  dropCapabilities: string[];
  addAmbientCapabilities: string[];
}

export const CapabilitySchema: Schema<Capability> = message("runtime.v1.Capability", () => [
  [1, "addCapabilities", "string", "repeated"],
  [2, "dropCapabilities", "string", "repeated"],
  [3, "addAmbientCapabilities", "string", "repeated"],
]);

export interface LinuxContainerSecurityContext {
  capabilities?: Capability;
  privileged: boolean;
  namespaceOptions?: NamespaceOption;
  runAsUser?: Int64Value;
  runAsUsername: string;
  readonlyRootfs: boolean;
  supplementalGroups: bigint[];
  noNewPrivs: boolean;
  runAsGroup?: Int64Value;
  maskedPaths: string[];
  readonlyPaths: string[];
  seccomp?: SecurityProfile;
}

export const LinuxContainerSecurityContextSchema: Schema<LinuxContainerSecurityContext> = message("runtime.v1.LinuxContainerSecurityContext", () => [
  [1, "capabilities", CapabilitySchema],
  [2, "privileged", "bool"],
  [3, "namespaceOptions", NamespaceOptionSchema],
  [5, "runAsUser", Int64ValueSchema],
  [6, "runAsUsername", "string"],
  [7, "readonlyRootfs", "bool"],
  [8, "supplementalGroups", "int64", "repeated"],
  [11, "noNewPrivs", "bool"],
  [12, "runAsGroup", Int64ValueSchema],
  [13, "maskedPaths", "string", "repeated"],
  [14, "readonlyPaths", "string", "repeated"],
  [15, "seccomp", SecurityProfileSchema],
]);

export interface LinuxContainerConfig {
  resources?: LinuxContainerResources;
  securityContext?: LinuxContainerSecurityContext;
}

export const LinuxContainerConfigSchema: Schema<LinuxContainerConfig> = message("runtime.v1.LinuxContainerConfig", () => [
  [1, "resources", LinuxContainerResourcesSchema],
  [2, "securityContext", LinuxContainerSecurityContextSchema],
]);

export interface ContainerMetadata {
  name: string;
  attempt: number;
}

export const ContainerMetadataSchema: Schema<ContainerMetadata> = message("runtime.v1.ContainerMetadata", () => [
  [1, "name", "string"],
  [2, "attempt", "uint32"],
]);

export interface HostDevice {
  containerPath: string;
  hostPath: string;
  permissions: string;
}

export const HostDeviceSchema: Schema<HostDevice> = message("runtime.v1.HostDevice", () => [
  [1, "containerPath", "string"],
  [2, "hostPath", "string"],
  [3, "permissions", "string"],
]);

export interface ContainerConfig {
  metadata?: ContainerMetadata;
  image?: ImageSpec;
  command: string[];
  args: string[];
  workingDir: string;
  envs: KeyValue[];
  mounts: VolumeMount[];
  devices: HostDevice[];
  labels: { [key: string]: string };
  annotations: { [key: string]: string };
  /** relative to the pod's log_directory */
  logPath: string;
  stdin: boolean;
  stdinOnce: boolean;
  tty: boolean;
  linux?: LinuxContainerConfig;
}

export const ContainerConfigSchema: Schema<ContainerConfig> = message("runtime.v1.ContainerConfig", () => [
  [1, "metadata", ContainerMetadataSchema],
  [2, "image", ImageSpecSchema],
  [3, "command", "string", "repeated"],
  [4, "args", "string", "repeated"],
  [5, "workingDir", "string"],
  [6, "envs", KeyValueSchema, "repeated"],
  [7, "mounts", VolumeMountSchema, "repeated"],
  [8, "devices", HostDeviceSchema, "repeated"],
  [9, "labels", "string", "map"],
  [10, "annotations", "string", "map"],
  [11, "logPath", "string"],
  [12, "stdin", "bool"],
  [13, "stdinOnce", "bool"],
  [14, "tty", "bool"],
  [15, "linux", LinuxContainerConfigSchema],
]);

export interface CreateContainerRequest {
  podSandboxId: string;
  config?: ContainerConfig;
  sandboxConfig?: PodSandboxConfig;
}

export const CreateContainerRequestSchema: Schema<CreateContainerRequest> = message("runtime.v1.CreateContainerRequest", () => [
  [1, "podSandboxId", "string"],
  [2, "config", ContainerConfigSchema],
  [3, "sandboxConfig", PodSandboxConfigSchema],
]);

export interface CreateContainerResponse {
  containerId: string;
}

export const CreateContainerResponseSchema: Schema<CreateContainerResponse> = message("runtime.v1.CreateContainerResponse", () => [
  [1, "containerId", "string"],
]);

/** names a container in several calls */
export interface ContainerRequest {
  containerId: string;
}

export const ContainerRequestSchema: Schema<ContainerRequest> = message("runtime.v1.ContainerRequest", () => [
  [1, "containerId", "string"],
]);

export interface StopContainerRequest {
  containerId: string;
  /** seconds */
  timeout: bigint;
}

export const StopContainerRequestSchema: Schema<StopContainerRequest> = message("runtime.v1.StopContainerRequest", () => [
  [1, "containerId", "string"],
  [2, "timeout", "int64"],
]);

export interface ContainerSummary {
  id: string;
  podSandboxId: string;
  metadata?: ContainerMetadata;
  state: ContainerState;
}

export const ContainerSummarySchema: Schema<ContainerSummary> = message("runtime.v1.ContainerSummary", () => [
  [1, "id", "string"],
  [2, "podSandboxId", "string"],
  [3, "metadata", ContainerMetadataSchema],
  [6, "state", "enum"],
]);

export interface ListContainersResponse {
  containers: ContainerSummary[];
}

export const ListContainersResponseSchema: Schema<ListContainersResponse> = message("runtime.v1.ListContainersResponse", () => [
  [1, "containers", ContainerSummarySchema, "repeated"],
]);

export interface ContainerStatus {
  id: string;
  metadata?: ContainerMetadata;
  state: ContainerState;
  /** nanoseconds since 1970, as the two below */
  createdAt: bigint;
  startedAt: bigint;
  finishedAt: bigint;
  exitCode: number;
  reason: string;
  message: string;
  logPath: string;
}

export const ContainerStatusSchema: Schema<ContainerStatus> = message("runtime.v1.ContainerStatus", () => [
  [1, "id", "string"],
  [2, "metadata", ContainerMetadataSchema],
  [3, "state", "enum"],
  [4, "createdAt", "int64"],
  [5, "startedAt", "int64"],
  [6, "finishedAt", "int64"],
  [7, "exitCode", "int32"],
  [10, "reason", "string"],
  [11, "message", "string"],
  [15, "logPath", "string"],
]);

export interface ContainerStatusRequest {
  containerId: string;
  verbose: boolean;
}

export const ContainerStatusRequestSchema: Schema<ContainerStatusRequest> = message("runtime.v1.ContainerStatusRequest", () => [
  [1, "containerId", "string"],
  [2, "verbose", "bool"],
]);

export interface ContainerStatusResponse {
  status?: ContainerStatus;
  info: { [key: string]: string };
}

export const ContainerStatusResponseSchema: Schema<ContainerStatusResponse> = message("runtime.v1.ContainerStatusResponse", () => [
  [1, "status", ContainerStatusSchema],
  [2, "info", "string", "map"],
]);

export interface UpdateContainerResourcesRequest {
  containerId: string;
  linux?: LinuxContainerResources;
}

export const UpdateContainerResourcesRequestSchema: Schema<UpdateContainerResourcesRequest> = message("runtime.v1.UpdateContainerResourcesRequest", () => [
  [1, "containerId", "string"],
  [2, "linux", LinuxContainerResourcesSchema],
]);

export interface ExecSyncRequest {
  containerId: string;
  cmd: string[];
  /** seconds; 0 = any time */
  timeout: bigint;
}

export const ExecSyncRequestSchema: Schema<ExecSyncRequest> = message("runtime.v1.ExecSyncRequest", () => [
  [1, "containerId", "string"],
  [2, "cmd", "string", "repeated"],
  [3, "timeout", "int64"],
]);

export interface ExecSyncResponse {
  stdout: Uint8Array;
  stderr: Uint8Array;
  exitCode: number;
}

export const ExecSyncResponseSchema: Schema<ExecSyncResponse> = message("runtime.v1.ExecSyncResponse", () => [
  [1, "stdout", "bytes"],
  [2, "stderr", "bytes"],
  [3, "exitCode", "int32"],
]);

export interface ExecRequest {
  containerId: string;
  cmd: string[];
  tty: boolean;
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
}

export const ExecRequestSchema: Schema<ExecRequest> = message("runtime.v1.ExecRequest", () => [
  [1, "containerId", "string"],
  [2, "cmd", "string", "repeated"],
  [3, "tty", "bool"],
  [4, "stdin", "bool"],
  [5, "stdout", "bool"],
  [6, "stderr", "bool"],
]);

export interface AttachRequest {
  containerId: string;
  stdin: boolean;
  tty: boolean;
  stdout: boolean;
  stderr: boolean;
}

export const AttachRequestSchema: Schema<AttachRequest> = message("runtime.v1.AttachRequest", () => [
  [1, "containerId", "string"],
  [2, "stdin", "bool"],
  [3, "tty", "bool"],
  [4, "stdout", "bool"],
  [5, "stderr", "bool"],
]);

export interface PortForwardRequest {
  podSandboxId: string;
  port: number[];
}

export const PortForwardRequestSchema: Schema<PortForwardRequest> = message("runtime.v1.PortForwardRequest", () => [
  [1, "podSandboxId", "string"],
  [2, "port", "int32", "repeated"],
]);

/** where a stream can be had */
export interface StreamingResponse {
  url: string;
}

export const StreamingResponseSchema: Schema<StreamingResponse> = message("runtime.v1.StreamingResponse", () => [
  [1, "url", "string"],
]);

export interface ContainerAttributes {
  id: string;
  metadata?: ContainerMetadata;
}

export const ContainerAttributesSchema: Schema<ContainerAttributes> = message("runtime.v1.ContainerAttributes", () => [
  [1, "id", "string"],
  [2, "metadata", ContainerMetadataSchema],
]);

export interface CpuUsage {
  /** nanoseconds since 1970 */
  timestamp: bigint;
  /** nanoseconds */
  usageCoreNanoSeconds?: UInt64Value;
  usageNanoCores?: UInt64Value;
}

export const CpuUsageSchema: Schema<CpuUsage> = message("runtime.v1.CpuUsage", () => [
  [1, "timestamp", "int64"],
  [2, "usageCoreNanoSeconds", UInt64ValueSchema],
  [3, "usageNanoCores", UInt64ValueSchema],
]);

export interface MemoryUsage {
  /** nanoseconds since 1970 */
  timestamp: bigint;
  /** bytes, as those up to rss */
  workingSetBytes?: UInt64Value;
  availableBytes?: UInt64Value;
  usageBytes?: UInt64Value;
  rssBytes?: UInt64Value;
  pageFaults?: UInt64Value;
  majorPageFaults?: UInt64Value;
}

export const MemoryUsageSchema: Schema<MemoryUsage> = message("runtime.v1.MemoryUsage", () => [
  [1, "timestamp", "int64"],
  [2, "workingSetBytes", UInt64ValueSchema],
  [3, "availableBytes", UInt64ValueSchema],
  [4, "usageBytes", UInt64ValueSchema],
  [5, "rssBytes", UInt64ValueSchema],
  [6, "pageFaults", UInt64ValueSchema],
  [7, "majorPageFaults", UInt64ValueSchema],
]);

export interface ContainerStats {
  attributes?: ContainerAttributes;
  cpu?: CpuUsage;
  memory?: MemoryUsage;
}

export const ContainerStatsSchema: Schema<ContainerStats> = message("runtime.v1.ContainerStats", () => [
  [1, "attributes", ContainerAttributesSchema],
  [2, "cpu", CpuUsageSchema],
  [3, "memory", MemoryUsageSchema],
]);

export interface ContainerStatsResponse {
  stats?: ContainerStats;
}

export const ContainerStatsResponseSchema: Schema<ContainerStatsResponse> = message("runtime.v1.ContainerStatsResponse", () => [
  [1, "stats", ContainerStatsSchema],
]);

export interface ListContainerStatsResponse {
  stats: ContainerStats[];
}

export const ListContainerStatsResponseSchema: Schema<ListContainerStatsResponse> = message("runtime.v1.ListContainerStatsResponse", () => [
  [1, "stats", ContainerStatsSchema, "repeated"],
]);

export interface PodSandboxAttributes {
  id: string;
  metadata?: PodSandboxMetadata;
}

export const PodSandboxAttributesSchema: Schema<PodSandboxAttributes> = message("runtime.v1.PodSandboxAttributes", () => [
  [1, "id", "string"],
  [2, "metadata", PodSandboxMetadataSchema],
]);

export interface ProcessUsage {
  timestamp: bigint;
  processCount?: UInt64Value;
}

export const ProcessUsageSchema: Schema<ProcessUsage> = message("runtime.v1.ProcessUsage", () => [
  [1, "timestamp", "int64"],
  [2, "processCount", UInt64ValueSchema],
]);

export interface NetworkInterfaceUsage {
  name: string;
  rxBytes?: UInt64Value;
  rxErrors?: UInt64Value;
  txBytes?: UInt64Value;
  txErrors?: UInt64Value;
}

export const NetworkInterfaceUsageSchema: Schema<NetworkInterfaceUsage> = message("runtime.v1.NetworkInterfaceUsage", () => [
  [1, "name", "string"],
  [2, "rxBytes", UInt64ValueSchema],
  [3, "rxErrors", UInt64ValueSchema],
  [4, "txBytes", UInt64ValueSchema],
  [5, "txErrors", UInt64ValueSchema],
]);

export interface NetworkUsage {
  timestamp: bigint;
  defaultInterface?: NetworkInterfaceUsage;
  interfaces: NetworkInterfaceUsage[];
}

export const NetworkUsageSchema: Schema<NetworkUsage> = message("runtime.v1.NetworkUsage", () => [
  [1, "timestamp", "int64"],
  [2, "defaultInterface", NetworkInterfaceUsageSchema],
  [3, "interfaces", NetworkInterfaceUsageSchema, "repeated"],
]);

export interface LinuxPodSandboxStats {
  cpu?: CpuUsage;
  memory?: MemoryUsage;
  network?: NetworkUsage;
  process?: ProcessUsage;
  containers: ContainerStats[];
}

export const LinuxPodSandboxStatsSchema: Schema<LinuxPodSandboxStats> = message("runtime.v1.LinuxPodSandboxStats", () => [
  [1, "cpu", CpuUsageSchema],
  [2, "memory", MemoryUsageSchema],
  [3, "network", NetworkUsageSchema],
  [4, "process", ProcessUsageSchema],
  [5, "containers", ContainerStatsSchema, "repeated"],
]);

export interface PodSandboxStats {
  attributes?: PodSandboxAttributes;
  linux?: LinuxPodSandboxStats;
}

export const PodSandboxStatsSchema: Schema<PodSandboxStats> = message("runtime.v1.PodSandboxStats", () => [
  [1, "attributes", PodSandboxAttributesSchema],
  [2, "linux", LinuxPodSandboxStatsSchema],
]);

export interface PodSandboxStatsResponse {
  stats?: PodSandboxStats;
}

export const PodSandboxStatsResponseSchema: Schema<PodSandboxStatsResponse> = message("runtime.v1.PodSandboxStatsResponse", () => [
  [1, "stats", PodSandboxStatsSchema],
]);

export interface ListPodSandboxStatsResponse {
  stats: PodSandboxStats[];
}

export const ListPodSandboxStatsResponseSchema: Schema<ListPodSandboxStatsResponse> = message("runtime.v1.ListPodSandboxStatsResponse", () => [
  [1, "stats", PodSandboxStatsSchema, "repeated"],
]);

export interface RuntimeCondition {
  type: string;
  status: boolean;
  reason: string;
  message: string;
}

export const RuntimeConditionSchema: Schema<RuntimeCondition> = message("runtime.v1.RuntimeCondition", () => [
  [1, "type", "string"],
  [2, "status", "bool"],
  [3, "reason", "string"],
  [4, "message", "string"],
]);

export interface RuntimeStatus {
  conditions: RuntimeCondition[];
}

export const RuntimeStatusSchema: Schema<RuntimeStatus> = message("runtime.v1.RuntimeStatus", () => [
  [1, "conditions", RuntimeConditionSchema, "repeated"],
]);

export interface StatusRequest {
  verbose: boolean;
}

export const StatusRequestSchema: Schema<StatusRequest> = message("runtime.v1.StatusRequest", () => [
  [1, "verbose", "bool"],
]);

export interface StatusResponse {
  status?: RuntimeStatus;
  info: { [key: string]: string };
}

export const StatusResponseSchema: Schema<StatusResponse> = message("runtime.v1.StatusResponse", () => [
  [1, "status", RuntimeStatusSchema],
  [2, "info", "string", "map"],
]);

/** nothing asked, or nothing said */
export type Nothing = Record<never, never>;

export const NothingSchema: Schema<Nothing> = message("runtime.v1.Nothing", () => []);

export const RuntimeService = service("runtime.v1.RuntimeService", {
  runPodSandbox: unary("RunPodSandbox", RunPodSandboxRequestSchema, RunPodSandboxResponseSchema),
  stopPodSandbox: unary("StopPodSandbox", PodSandboxRequestSchema, NothingSchema),
  removePodSandbox: unary("RemovePodSandbox", PodSandboxRequestSchema, NothingSchema),
  podSandboxStatus: unary("PodSandboxStatus", PodSandboxStatusRequestSchema, PodSandboxStatusResponseSchema),
  listPodSandbox: unary("ListPodSandbox", NothingSchema, ListPodSandboxResponseSchema),
  createContainer: unary("CreateContainer", CreateContainerRequestSchema, CreateContainerResponseSchema),
  startContainer: unary("StartContainer", ContainerRequestSchema, NothingSchema),
  stopContainer: unary("StopContainer", StopContainerRequestSchema, NothingSchema),
  removeContainer: unary("RemoveContainer", ContainerRequestSchema, NothingSchema),
  listContainers: unary("ListContainers", NothingSchema, ListContainersResponseSchema),
  containerStatus: unary("ContainerStatus", ContainerStatusRequestSchema, ContainerStatusResponseSchema),
  updateContainerResources: unary("UpdateContainerResources", UpdateContainerResourcesRequestSchema, NothingSchema),
  reopenContainerLog: unary("ReopenContainerLog", ContainerRequestSchema, NothingSchema),
  execSync: unary("ExecSync", ExecSyncRequestSchema, ExecSyncResponseSchema),
  exec: unary("Exec", ExecRequestSchema, StreamingResponseSchema),
  attach: unary("Attach", AttachRequestSchema, StreamingResponseSchema),
  portForward: unary("PortForward", PortForwardRequestSchema, StreamingResponseSchema),
  containerStats: unary("ContainerStats", ContainerRequestSchema, ContainerStatsResponseSchema),
  listContainerStats: unary("ListContainerStats", NothingSchema, ListContainerStatsResponseSchema),
  podSandboxStats: unary("PodSandboxStats", PodSandboxRequestSchema, PodSandboxStatsResponseSchema),
  listPodSandboxStats: unary("ListPodSandboxStats", NothingSchema, ListPodSandboxStatsResponseSchema),
  status: unary("Status", StatusRequestSchema, StatusResponseSchema),
});

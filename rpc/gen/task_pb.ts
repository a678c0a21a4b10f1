// Generated from task.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Any, AnySchema } from "./google/protobuf/any_pb.ts";
import { EmptySchema } from "./google/protobuf/empty_pb.ts";
import { type Timestamp, TimestampSchema } from "./google/protobuf/timestamp_pb.ts";
import { type Mount, MountSchema } from "./mount_pb.ts";
import { type Status, type ProcessInfo, ProcessInfoSchema } from "./task_types_pb.ts";
import { type Schema, message } from "../message.ts";
import { service, unary } from "../service.ts";

export interface CreateTaskRequest {
  /** container id */
  id: string;
  /** absolute bundle folder */
  bundle: string;
  /** mounts to stack on <bundle>/rootfs; may be empty (rootfs already there or path in the spec) */
  rootfs: Mount[];
  /** one pty instead of three pipes */
  terminal: boolean;
  /** path or URI, empty = none */
  stdin: string;
  /** path or URI, empty = none */
  stdout: string;
  /** path or URI, empty = none; ignore when terminal */
  stderr: string;
  /** restore folder, normally empty */
  checkpoint: string;
  parentCheckpoint: string;
  /** runtimeoptions.v1.Options, or another type that is ignored */
  options?: Any;
}

export const CreateTaskRequestSchema: Schema<CreateTaskRequest> = message("containerd.task.v2.CreateTaskRequest", () => [
  [1, "id", "string"],
  [2, "bundle", "string"],
  [3, "rootfs", MountSchema, "repeated"],
  [4, "terminal", "bool"],
  [5, "stdin", "string"],
  [6, "stdout", "string"],
  [7, "stderr", "string"],
  [8, "checkpoint", "string"],
  [9, "parentCheckpoint", "string"],
  [10, "options", AnySchema],
]);

export interface CreateTaskResponse {
  /** host pid shown for the task */
  pid: number;
}

export const CreateTaskResponseSchema: Schema<CreateTaskResponse> = message("containerd.task.v2.CreateTaskResponse", () => [
  [1, "pid", "uint32"],
]);

export interface DeleteRequest {
  id: string;
  /** empty = the container */
  execId: string;
}

export const DeleteRequestSchema: Schema<DeleteRequest> = message("containerd.task.v2.DeleteRequest", () => [
  [1, "id", "string"],
  [2, "execId", "string"],
]);

export interface DeleteResponse {
  pid: number;
  exitStatus: number;
  /** also the exact format printed by the delete command */
  exitedAt?: Timestamp;
}

export const DeleteResponseSchema: Schema<DeleteResponse> = message("containerd.task.v2.DeleteResponse", () => [
  [1, "pid", "uint32"],
  [2, "exitStatus", "uint32"],
  [3, "exitedAt", TimestampSchema],
]);

export interface ExecProcessRequest {
  id: string;
  /** 1-76 characters [A-Za-z0-9] with single ._- inside */
  execId: string;
  /** overrides the spec */
  terminal: boolean;
  stdin: string;
  stdout: string;
  stderr: string;
  /**
   * type_url types.containerd.io/opencontainers/runtime-spec/1/Process, value = JSON of an OCI
   * process
   */
  spec?: Any;
}

export const ExecProcessRequestSchema: Schema<ExecProcessRequest> = message("containerd.task.v2.ExecProcessRequest", () => [
  [1, "id", "string"],
  [2, "execId", "string"],
  [3, "terminal", "bool"],
  [4, "stdin", "string"],
  [5, "stdout", "string"],
  [6, "stderr", "string"],
  [7, "spec", AnySchema],
]);

export interface ResizePtyRequest {
  id: string;
  execId: string;
  /** columns */
  width: number;
  /** rows */
  height: number;
}

export const ResizePtyRequestSchema: Schema<ResizePtyRequest> = message("containerd.task.v2.ResizePtyRequest", () => [
  [1, "id", "string"],
  [2, "execId", "string"],
  [3, "width", "uint32"],
  [4, "height", "uint32"],
]);

export interface StateRequest {
  id: string;
  execId: string;
}

export const StateRequestSchema: Schema<StateRequest> = message("containerd.task.v2.StateRequest", () => [
  [1, "id", "string"],
  [2, "execId", "string"],
]);

export interface StateResponse {
  /** container id or exec id */
  id: string;
  bundle: string;
  pid: number;
  /** enum below */
  status: Status;
  stdin: string;
  stdout: string;
  stderr: string;
  terminal: boolean;
  exitStatus: number;
  /** absent or zero while running */
  exitedAt?: Timestamp;
  execId: string;
}

export const StateResponseSchema: Schema<StateResponse> = message("containerd.task.v2.StateResponse", () => [
  [1, "id", "string"],
  [2, "bundle", "string"],
  [3, "pid", "uint32"],
  [4, "status", "enum"],
  [5, "stdin", "string"],
  [6, "stdout", "string"],
  [7, "stderr", "string"],
  [8, "terminal", "bool"],
  [9, "exitStatus", "uint32"],
  [10, "exitedAt", TimestampSchema],
  [11, "execId", "string"],
]);

export interface KillRequest {
  id: string;
  execId: string;
  /** Linux signal number */
  signal: number;
  /** all processes of the container */
  all: boolean;
}

export const KillRequestSchema: Schema<KillRequest> = message("containerd.task.v2.KillRequest", () => [
  [1, "id", "string"],
  [2, "execId", "string"],
  [3, "signal", "uint32"],
  [4, "all", "bool"],
]);

export interface CloseIORequest {
  id: string;
  execId: string;
  /** containerd sends the call only when true */
  stdin: boolean;
}

export const CloseIORequestSchema: Schema<CloseIORequest> = message("containerd.task.v2.CloseIORequest", () => [
  [1, "id", "string"],
  [2, "execId", "string"],
  [3, "stdin", "bool"],
]);

export interface PidsRequest {
  id: string;
}

export const PidsRequestSchema: Schema<PidsRequest> = message("containerd.task.v2.PidsRequest", () => [
  [1, "id", "string"],
]);

export interface PidsResponse {
  processes: ProcessInfo[];
}

export const PidsResponseSchema: Schema<PidsResponse> = message("containerd.task.v2.PidsResponse", () => [
  [1, "processes", ProcessInfoSchema, "repeated"],
]);

export interface CheckpointTaskRequest {
  id: string;
  path: string;
  /** containerd.runc.v1.CheckpointOptions */
  options?: Any;
}

export const CheckpointTaskRequestSchema: Schema<CheckpointTaskRequest> = message("containerd.task.v2.CheckpointTaskRequest", () => [
  [1, "id", "string"],
  [2, "path", "string"],
  [3, "options", AnySchema],
]);

export interface UpdateTaskRequest {
  id: string;
  /** type_url types.containerd.io/opencontainers/runtime-spec/1/LinuxResources, value = JSON */
  resources?: Any;
  annotations: { [key: string]: string };
}

export const UpdateTaskRequestSchema: Schema<UpdateTaskRequest> = message("containerd.task.v2.UpdateTaskRequest", () => [
  [1, "id", "string"],
  [2, "resources", AnySchema],
  [3, "annotations", "string", "map"],
]);

export interface StartRequest {
  id: string;
  execId: string;
}

export const StartRequestSchema: Schema<StartRequest> = message("containerd.task.v2.StartRequest", () => [
  [1, "id", "string"],
  [2, "execId", "string"],
]);

export interface StartResponse {
  pid: number;
}

export const StartResponseSchema: Schema<StartResponse> = message("containerd.task.v2.StartResponse", () => [
  [1, "pid", "uint32"],
]);

export interface WaitRequest {
  id: string;
  execId: string;
}

export const WaitRequestSchema: Schema<WaitRequest> = message("containerd.task.v2.WaitRequest", () => [
  [1, "id", "string"],
  [2, "execId", "string"],
]);

export interface WaitResponse {
  exitStatus: number;
  /** required in practice */
  exitedAt?: Timestamp;
}

export const WaitResponseSchema: Schema<WaitResponse> = message("containerd.task.v2.WaitResponse", () => [
  [1, "exitStatus", "uint32"],
  [2, "exitedAt", TimestampSchema],
]);

export interface StatsRequest {
  id: string;
}

export const StatsRequestSchema: Schema<StatsRequest> = message("containerd.task.v2.StatsRequest", () => [
  [1, "id", "string"],
]);

export interface StatsResponse {
  /** see Stats */
  stats?: Any;
}

export const StatsResponseSchema: Schema<StatsResponse> = message("containerd.task.v2.StatsResponse", () => [
  [1, "stats", AnySchema],
]);

export interface ConnectRequest {
  id: string;
}

export const ConnectRequestSchema: Schema<ConnectRequest> = message("containerd.task.v2.ConnectRequest", () => [
  [1, "id", "string"],
]);

export interface ConnectResponse {
  shimPid: number;
  taskPid: number;
  version: string;
}

export const ConnectResponseSchema: Schema<ConnectResponse> = message("containerd.task.v2.ConnectResponse", () => [
  [1, "shimPid", "uint32"],
  [2, "taskPid", "uint32"],
  [3, "version", "string"],
]);

export interface ShutdownRequest {
  /** container that was just deleted */
  id: string;
  /** containerd does not set it */
  now: boolean;
}

export const ShutdownRequestSchema: Schema<ShutdownRequest> = message("containerd.task.v2.ShutdownRequest", () => [
  [1, "id", "string"],
  [2, "now", "bool"],
]);

export interface PauseRequest {
  id: string;
}

export const PauseRequestSchema: Schema<PauseRequest> = message("containerd.task.v2.PauseRequest", () => [
  [1, "id", "string"],
]);

export interface ResumeRequest {
  id: string;
}

export const ResumeRequestSchema: Schema<ResumeRequest> = message("containerd.task.v2.ResumeRequest", () => [
  [1, "id", "string"],
]);

export const Task = service("containerd.task.v2.Task", {
  state: unary("State", StateRequestSchema, StateResponseSchema),
  create: unary("Create", CreateTaskRequestSchema, CreateTaskResponseSchema),
  start: unary("Start", StartRequestSchema, StartResponseSchema),
  delete: unary("Delete", DeleteRequestSchema, DeleteResponseSchema),
  pids: unary("Pids", PidsRequestSchema, PidsResponseSchema),
  pause: unary("Pause", PauseRequestSchema, EmptySchema),
  resume: unary("Resume", ResumeRequestSchema, EmptySchema),
  checkpoint: unary("Checkpoint", CheckpointTaskRequestSchema, EmptySchema),
  kill: unary("Kill", KillRequestSchema, EmptySchema),
  exec: unary("Exec", ExecProcessRequestSchema, EmptySchema),
  resizePty: unary("ResizePty", ResizePtyRequestSchema, EmptySchema),
  closeIO: unary("CloseIO", CloseIORequestSchema, EmptySchema),
  update: unary("Update", UpdateTaskRequestSchema, EmptySchema),
  wait: unary("Wait", WaitRequestSchema, WaitResponseSchema),
  stats: unary("Stats", StatsRequestSchema, StatsResponseSchema),
  connect: unary("Connect", ConnectRequestSchema, ConnectResponseSchema),
  shutdown: unary("Shutdown", ShutdownRequestSchema, EmptySchema),
});

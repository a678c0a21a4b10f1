// Generated from events.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Timestamp, TimestampSchema } from "./google/protobuf/timestamp_pb.ts";
import { type Mount, MountSchema } from "./mount_pb.ts";
import { type Schema, message } from "../message.ts";

export interface TaskCreate {
  containerId: string;
  bundle: string;
  /** as in the request */
  rootfs: Mount[];
  io?: TaskIO;
  checkpoint: string;
  pid: number;
}

export const TaskCreateSchema: Schema<TaskCreate> = message("containerd.events.TaskCreate", () => [
  [1, "containerId", "string"],
  [2, "bundle", "string"],
  [3, "rootfs", MountSchema, "repeated"],
  [4, "io", TaskIOSchema],
  [5, "checkpoint", "string"],
  [6, "pid", "uint32"],
]);

export interface TaskStart {
  containerId: string;
  pid: number;
}

export const TaskStartSchema: Schema<TaskStart> = message("containerd.events.TaskStart", () => [
  [1, "containerId", "string"],
  [2, "pid", "uint32"],
]);

export interface TaskDelete {
  containerId: string;
  pid: number;
  exitStatus: number;
  exitedAt?: Timestamp;
  /** exec id; empty for the container */
  id: string;
}

export const TaskDeleteSchema: Schema<TaskDelete> = message("containerd.events.TaskDelete", () => [
  [1, "containerId", "string"],
  [2, "pid", "uint32"],
  [3, "exitStatus", "uint32"],
  [4, "exitedAt", TimestampSchema],
  [5, "id", "string"],
]);

export interface TaskIO {
  stdin: string;
  stdout: string;
  stderr: string;
  terminal: boolean;
}

export const TaskIOSchema: Schema<TaskIO> = message("containerd.events.TaskIO", () => [
  [1, "stdin", "string"],
  [2, "stdout", "string"],
  [3, "stderr", "string"],
  [4, "terminal", "bool"],
]);

export interface TaskExit {
  /** always the container */
  containerId: string;
  /** container id for the init process, exec id for an exec */
  id: string;
  pid: number;
  exitStatus: number;
  exitedAt?: Timestamp;
}

export const TaskExitSchema: Schema<TaskExit> = message("containerd.events.TaskExit", () => [
  [1, "containerId", "string"],
  [2, "id", "string"],
  [3, "pid", "uint32"],
  [4, "exitStatus", "uint32"],
  [5, "exitedAt", TimestampSchema],
]);

export interface TaskOOM {
  containerId: string;
}

export const TaskOOMSchema: Schema<TaskOOM> = message("containerd.events.TaskOOM", () => [
  [1, "containerId", "string"],
]);

export interface TaskExecAdded {
  containerId: string;
  execId: string;
}

export const TaskExecAddedSchema: Schema<TaskExecAdded> = message("containerd.events.TaskExecAdded", () => [
  [1, "containerId", "string"],
  [2, "execId", "string"],
]);

export interface TaskExecStarted {
  containerId: string;
  execId: string;
  pid: number;
}

export const TaskExecStartedSchema: Schema<TaskExecStarted> = message("containerd.events.TaskExecStarted", () => [
  [1, "containerId", "string"],
  [2, "execId", "string"],
  [3, "pid", "uint32"],
]);

export interface TaskPaused {
  containerId: string;
}

export const TaskPausedSchema: Schema<TaskPaused> = message("containerd.events.TaskPaused", () => [
  [1, "containerId", "string"],
]);

export interface TaskResumed {
  containerId: string;
}

export const TaskResumedSchema: Schema<TaskResumed> = message("containerd.events.TaskResumed", () => [
  [1, "containerId", "string"],
]);

export interface TaskCheckpointed {
  containerId: string;
  /** path */
  checkpoint: string;
}

export const TaskCheckpointedSchema: Schema<TaskCheckpointed> = message("containerd.events.TaskCheckpointed", () => [
  [1, "containerId", "string"],
  [2, "checkpoint", "string"],
]);

// Generated from sandbox.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Any, AnySchema } from "./google/protobuf/any_pb.ts";
import { type Timestamp, TimestampSchema } from "./google/protobuf/timestamp_pb.ts";
import { type Metric, MetricSchema } from "./metric_pb.ts";
import { type Mount, MountSchema } from "./mount_pb.ts";
import { type Platform, PlatformSchema } from "./platform_pb.ts";
import { type Schema, message } from "../message.ts";
import { service, unary } from "../service.ts";

export interface CreateSandboxRequest {
  sandboxId: string;
  bundlePath: string;
  rootfs: Mount[];
  options?: Any;
  /** network namespace path; empty = host network */
  netnsPath: string;
  annotations: { [key: string]: string };
}

export const CreateSandboxRequestSchema: Schema<CreateSandboxRequest> = message("containerd.runtime.sandbox.v1.CreateSandboxRequest", () => [
  [1, "sandboxId", "string"],
  [2, "bundlePath", "string"],
  [3, "rootfs", MountSchema, "repeated"],
  [4, "options", AnySchema],
  [5, "netnsPath", "string"],
  [6, "annotations", "string", "map"],
]);

export interface StartSandboxRequest {
  sandboxId: string;
}

export const StartSandboxRequestSchema: Schema<StartSandboxRequest> = message("containerd.runtime.sandbox.v1.StartSandboxRequest", () => [
  [1, "sandboxId", "string"],
]);

export interface StartSandboxResponse {
  pid: number;
  /** always set */
  createdAt?: Timestamp;
  /** optional, known since containerd 2.3 */
  spec?: Any;
}

export const StartSandboxResponseSchema: Schema<StartSandboxResponse> = message("containerd.runtime.sandbox.v1.StartSandboxResponse", () => [
  [1, "pid", "uint32"],
  [2, "createdAt", TimestampSchema],
  [3, "spec", AnySchema],
]);

export interface PlatformRequest {
  sandboxId: string;
}

export const PlatformRequestSchema: Schema<PlatformRequest> = message("containerd.runtime.sandbox.v1.PlatformRequest", () => [
  [1, "sandboxId", "string"],
]);

export interface PlatformResponse {
  /** os must be linux, architecture in Go naming (amd64, arm64, s390x, ppc64le, riscv64) */
  platform?: Platform;
}

export const PlatformResponseSchema: Schema<PlatformResponse> = message("containerd.runtime.sandbox.v1.PlatformResponse", () => [
  [1, "platform", PlatformSchema],
]);

export interface StopSandboxRequest {
  sandboxId: string;
  /** seconds; 0 = none given */
  timeoutSecs: number;
}

export const StopSandboxRequestSchema: Schema<StopSandboxRequest> = message("containerd.runtime.sandbox.v1.StopSandboxRequest", () => [
  [1, "sandboxId", "string"],
  [2, "timeoutSecs", "uint32"],
]);

export interface UpdateSandboxRequest {
  sandboxId: string;
  resources?: Any;
  annotations: { [key: string]: string };
}

export const UpdateSandboxRequestSchema: Schema<UpdateSandboxRequest> = message("containerd.runtime.sandbox.v1.UpdateSandboxRequest", () => [
  [1, "sandboxId", "string"],
  [2, "resources", AnySchema],
  [3, "annotations", "string", "map"],
]);

export interface WaitSandboxRequest {
  sandboxId: string;
}

export const WaitSandboxRequestSchema: Schema<WaitSandboxRequest> = message("containerd.runtime.sandbox.v1.WaitSandboxRequest", () => [
  [1, "sandboxId", "string"],
]);

export interface WaitSandboxResponse {
  exitStatus: number;
  exitedAt?: Timestamp;
}

export const WaitSandboxResponseSchema: Schema<WaitSandboxResponse> = message("containerd.runtime.sandbox.v1.WaitSandboxResponse", () => [
  [1, "exitStatus", "uint32"],
  [2, "exitedAt", TimestampSchema],
]);

export interface SandboxStatusRequest {
  sandboxId: string;
  /** ask for info */
  verbose: boolean;
}

export const SandboxStatusRequestSchema: Schema<SandboxStatusRequest> = message("containerd.runtime.sandbox.v1.SandboxStatusRequest", () => [
  [1, "sandboxId", "string"],
  [2, "verbose", "bool"],
]);

export interface SandboxStatusResponse {
  sandboxId: string;
  pid: number;
  state: string;
  /** if key info exists it must be JSON */
  info: { [key: string]: string };
  /** 0 to containerd uses its own record */
  createdAt?: Timestamp;
  exitedAt?: Timestamp;
  extra?: Any;
}

export const SandboxStatusResponseSchema: Schema<SandboxStatusResponse> = message("containerd.runtime.sandbox.v1.SandboxStatusResponse", () => [
  [1, "sandboxId", "string"],
  [2, "pid", "uint32"],
  [3, "state", "string"],
  [4, "info", "string", "map"],
  [5, "createdAt", TimestampSchema],
  [6, "exitedAt", TimestampSchema],
  [7, "extra", AnySchema],
]);

export interface PingRequest {
  sandboxId: string;
}

export const PingRequestSchema: Schema<PingRequest> = message("containerd.runtime.sandbox.v1.PingRequest", () => [
  [1, "sandboxId", "string"],
]);

export interface ShutdownSandboxRequest {
  sandboxId: string;
}

export const ShutdownSandboxRequestSchema: Schema<ShutdownSandboxRequest> = message("containerd.runtime.sandbox.v1.ShutdownSandboxRequest", () => [
  [1, "sandboxId", "string"],
]);

export interface SandboxMetricsRequest {
  sandboxId: string;
}

export const SandboxMetricsRequestSchema: Schema<SandboxMetricsRequest> = message("containerd.runtime.sandbox.v1.SandboxMetricsRequest", () => [
  [1, "sandboxId", "string"],
]);

export interface SandboxMetricsResponse {
  /** data must be one of the two cgroup Metrics types */
  metrics?: Metric;
}

export const SandboxMetricsResponseSchema: Schema<SandboxMetricsResponse> = message("containerd.runtime.sandbox.v1.SandboxMetricsResponse", () => [
  [1, "metrics", MetricSchema],
]);

export type CreateSandboxResponse = Record<never, never>;

export const CreateSandboxResponseSchema: Schema<CreateSandboxResponse> = message("containerd.runtime.sandbox.v1.CreateSandboxResponse", () => []);

export type StopSandboxResponse = Record<never, never>;

export const StopSandboxResponseSchema: Schema<StopSandboxResponse> = message("containerd.runtime.sandbox.v1.StopSandboxResponse", () => []);

export type UpdateSandboxResponse = Record<never, never>;

export const UpdateSandboxResponseSchema: Schema<UpdateSandboxResponse> = message("containerd.runtime.sandbox.v1.UpdateSandboxResponse", () => []);

export type PingResponse = Record<never, never>;

export const PingResponseSchema: Schema<PingResponse> = message("containerd.runtime.sandbox.v1.PingResponse", () => []);

export type ShutdownSandboxResponse = Record<never, never>;

export const ShutdownSandboxResponseSchema: Schema<ShutdownSandboxResponse> = message("containerd.runtime.sandbox.v1.ShutdownSandboxResponse", () => []);

export const Sandbox = service("containerd.runtime.sandbox.v1.Sandbox", {
  createSandbox: unary("CreateSandbox", CreateSandboxRequestSchema, CreateSandboxResponseSchema),
  startSandbox: unary("StartSandbox", StartSandboxRequestSchema, StartSandboxResponseSchema),
  platform: unary("Platform", PlatformRequestSchema, PlatformResponseSchema),
  stopSandbox: unary("StopSandbox", StopSandboxRequestSchema, StopSandboxResponseSchema),
  waitSandbox: unary("WaitSandbox", WaitSandboxRequestSchema, WaitSandboxResponseSchema),
  sandboxStatus: unary("SandboxStatus", SandboxStatusRequestSchema, SandboxStatusResponseSchema),
  pingSandbox: unary("PingSandbox", PingRequestSchema, PingResponseSchema),
  shutdownSandbox: unary("ShutdownSandbox", ShutdownSandboxRequestSchema, ShutdownSandboxResponseSchema),
  sandboxMetrics: unary("SandboxMetrics", SandboxMetricsRequestSchema, SandboxMetricsResponseSchema),
});

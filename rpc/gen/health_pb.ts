// Generated from health.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Schema, message } from "../message.ts";
import { service, unary } from "../service.ts";

export interface CheckRequest {
  /** ignored */
  service: string;
}

export const CheckRequestSchema: Schema<CheckRequest> = message("grpc.CheckRequest", () => [
  [1, "service", "string"],
]);

export enum HealthCheckResponse_ServingStatus {
  UNKNOWN = 0,
  SERVING = 1,
  NOT_SERVING = 2,
}

export interface HealthCheckResponse {
  status: HealthCheckResponse_ServingStatus;
}

export const HealthCheckResponseSchema: Schema<HealthCheckResponse> = message("grpc.HealthCheckResponse", () => [
  [1, "status", "enum"],
]);

export interface VersionCheckResponse {
  /** API version, 0.0.1 */
  grpcVersion: string;
  /** release version */
  agentVersion: string;
}

export const VersionCheckResponseSchema: Schema<VersionCheckResponse> = message("grpc.VersionCheckResponse", () => [
  [1, "grpcVersion", "string"],
  [2, "agentVersion", "string"],
]);

export const Health = service("grpc.Health", {
  check: unary("Check", CheckRequestSchema, HealthCheckResponseSchema),
  version: unary("Version", CheckRequestSchema, VersionCheckResponseSchema),
});

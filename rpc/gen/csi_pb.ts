// Generated from csi.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Schema, message } from "../message.ts";

export interface VolumeStatsResponse {
  usage: VolumeUsage[];
  volumeCondition?: VolumeCondition;
}

export const VolumeStatsResponseSchema: Schema<VolumeStatsResponse> = message("grpc.VolumeStatsResponse", () => [
  [1, "usage", VolumeUsageSchema, "repeated"],
  [2, "volumeCondition", VolumeConditionSchema],
]);

export enum VolumeUsage_Unit {
  UNKNOWN = 0,
  BYTES = 1,
  INODES = 2,
}

export interface VolumeUsage {
  /** in unit */
  available: bigint;
  /** in unit */
  total: bigint;
  /** in unit */
  used: bigint;
  unit: VolumeUsage_Unit;
}

export const VolumeUsageSchema: Schema<VolumeUsage> = message("grpc.VolumeUsage", () => [
  [1, "available", "uint64"],
  [2, "total", "uint64"],
  [3, "used", "uint64"],
  [4, "unit", "enum"],
]);

export interface VolumeCondition {
  abnormal: boolean;
  message: string;
}

export const VolumeConditionSchema: Schema<VolumeCondition> = message("grpc.VolumeCondition", () => [
  [1, "abnormal", "bool"],
  [2, "message", "string"],
]);

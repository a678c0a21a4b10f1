// Generated from metric.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Any, AnySchema } from "./google/protobuf/any_pb.ts";
import { type Timestamp, TimestampSchema } from "./google/protobuf/timestamp_pb.ts";
import { type Schema, message } from "../message.ts";

export interface Metric {
  timestamp?: Timestamp;
  id: string;
  /** io.containerd.cgroups.v1.Metrics or io.containerd.cgroups.v2.Metrics */
  data?: Any;
}

export const MetricSchema: Schema<Metric> = message("containerd.types.Metric", () => [
  [1, "timestamp", TimestampSchema],
  [2, "id", "string"],
  [3, "data", AnySchema],
]);

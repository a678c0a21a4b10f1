// Generated from envelope.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Any, AnySchema } from "./google/protobuf/any_pb.ts";
import { type Timestamp, TimestampSchema } from "./google/protobuf/timestamp_pb.ts";
import { type Schema, message } from "../message.ts";

export interface Envelope {
  /** must be set */
  timestamp?: Timestamp;
  /** must be a valid identifier (rule as for ids) */
  namespace: string;
  /** / + valid identifiers joined by / */
  topic: string;
  event?: Any;
}

export const EnvelopeSchema: Schema<Envelope> = message("containerd.types.Envelope", () => [
  [1, "timestamp", TimestampSchema],
  [2, "namespace", "string"],
  [3, "topic", "string"],
  [4, "event", AnySchema],
]);

// Generated from google/protobuf/timestamp.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Schema, message } from "../../../message.ts";

export interface Timestamp {
  /** since 1970-01-01T00:00:00Z */
  seconds: bigint;
  /** 0 to 999 999 999 */
  nanos: number;
}

export const TimestampSchema: Schema<Timestamp> = message("google.protobuf.Timestamp", () => [
  [1, "seconds", "int64"],
  [2, "nanos", "int32"],
]);

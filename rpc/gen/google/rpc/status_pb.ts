// Generated from google/rpc/status.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Any, AnySchema } from "../protobuf/any_pb.ts";
import { type Schema, message } from "../../../message.ts";

export interface Status {
  /** gRPC status code, 0 = OK */
  code: number;
  message: string;
  details: Any[];
}

export const StatusSchema: Schema<Status> = message("google.rpc.Status", () => [
  [1, "code", "int32"],
  [2, "message", "string"],
  [3, "details", AnySchema, "repeated"],
]);

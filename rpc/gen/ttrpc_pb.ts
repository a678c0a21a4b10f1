// Generated from ttrpc.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Status, StatusSchema } from "./google/rpc/status_pb.ts";
import { type Schema, message } from "../message.ts";

export interface Request {
  /** full proto name with package, no slash */
  service: string;
  /** bare method name */
  method: string;
  /** encoded request message */
  payload: Uint8Array;
  /** time left until the caller's deadline; 0 = none, negative = already over */
  timeoutNano: bigint;
  /** several values of a key are several entries */
  metadata: KeyValue[];
}

export const RequestSchema: Schema<Request> = message("ttrpc.Request", () => [
  [1, "service", "string"],
  [2, "method", "string"],
  [3, "payload", "bytes"],
  [4, "timeoutNano", "int64"],
  [5, "metadata", KeyValueSchema, "repeated"],
]);

export interface Response {
  /** absent or code 0 = success */
  status?: Status;
  /** encoded response message */
  payload: Uint8Array;
}

export const ResponseSchema: Schema<Response> = message("ttrpc.Response", () => [
  [1, "status", StatusSchema],
  [2, "payload", "bytes"],
]);

export interface KeyValue {
  /** lower case by convention */
  key: string;
  value: string;
}

export const KeyValueSchema: Schema<KeyValue> = message("ttrpc.KeyValue", () => [
  [1, "key", "string"],
  [2, "value", "string"],
]);

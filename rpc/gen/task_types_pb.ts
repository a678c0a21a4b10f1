// Generated from task_types.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Any, AnySchema } from "./google/protobuf/any_pb.ts";
import { type Schema, message } from "../message.ts";

export enum Status {
  UNKNOWN = 0,
  CREATED = 1,
  RUNNING = 2,
  STOPPED = 3,
  PAUSED = 4,
  PAUSING = 5,
}

export interface ProcessInfo {
  pid: number;
  /** optional: containerd.runc.v1.ProcessDetails */
  info?: Any;
}

export const ProcessInfoSchema: Schema<ProcessInfo> = message("containerd.v1.types.ProcessInfo", () => [
  [1, "pid", "uint32"],
  [2, "info", AnySchema],
]);

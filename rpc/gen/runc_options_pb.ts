// Generated from runc_options.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Schema, message } from "../message.ts";

export interface ProcessDetails {
  execId: string;
}

export const ProcessDetailsSchema: Schema<ProcessDetails> = message("containerd.runc.v1.ProcessDetails", () => [
  [1, "execId", "string"],
]);

// Generated from google/protobuf/any.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Schema, message } from "../../../message.ts";

export interface Any {
  typeUrl: string;
  value: Uint8Array;
}

export const AnySchema: Schema<Any> = message("google.protobuf.Any", () => [
  [1, "typeUrl", "string"],
  [2, "value", "bytes"],
]);

// Generated from streaming.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { AnySchema } from "./google/protobuf/any_pb.ts";
import { type Schema, message } from "../message.ts";
import { service, streaming } from "../service.ts";

export interface StreamInit {
  id: string;
}

export const StreamInitSchema: Schema<StreamInit> = message("containerd.services.streaming.v1.StreamInit", () => [
  [1, "id", "string"],
]);

export const Streaming = service("containerd.services.streaming.v1.Streaming", {
  stream: streaming("Stream", "bidi", AnySchema, AnySchema),
});

// Generated from events_ttrpc.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Envelope, EnvelopeSchema } from "./envelope_pb.ts";
import { EmptySchema } from "./google/protobuf/empty_pb.ts";
import { type Schema, message } from "../message.ts";
import { service, unary } from "../service.ts";

export interface ForwardRequest {
  envelope?: Envelope;
}

export const ForwardRequestSchema: Schema<ForwardRequest> = message("containerd.services.events.ttrpc.v1.ForwardRequest", () => [
  [1, "envelope", EnvelopeSchema],
]);

export const Events = service("containerd.services.events.ttrpc.v1.Events", {
  forward: unary("Forward", ForwardRequestSchema, EmptySchema),
});

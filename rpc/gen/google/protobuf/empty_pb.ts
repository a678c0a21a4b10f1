// Generated from google/protobuf/empty.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Schema, message } from "../../../message.ts";

export type Empty = Record<never, never>;

export const EmptySchema: Schema<Empty> = message("google.protobuf.Empty", () => []);

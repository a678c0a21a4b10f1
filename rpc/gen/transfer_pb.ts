// Generated from transfer.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Schema, message } from "../message.ts";

export interface Data {
  data: Uint8Array;
}

export const DataSchema: Schema<Data> = message("containerd.types.transfer.Data", () => [
  [1, "data", "bytes"],
]);

export interface WindowUpdate {
  /** bytes that may be sent on top of those granted before */
  update: number;
}

export const WindowUpdateSchema: Schema<WindowUpdate> = message("containerd.types.transfer.WindowUpdate", () => [
  [1, "update", "int32"],
]);

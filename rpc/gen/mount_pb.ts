// Generated from mount.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Schema, message } from "../message.ts";

export interface Mount {
  /** file system, or "bind", "overlay" */
  type: string;
  source: string;
  /** below the root file system, usually empty */
  target: string;
  options: string[];
}

export const MountSchema: Schema<Mount> = message("containerd.types.Mount", () => [
  [1, "type", "string"],
  [2, "source", "string"],
  [3, "target", "string"],
  [4, "options", "string", "repeated"],
]);

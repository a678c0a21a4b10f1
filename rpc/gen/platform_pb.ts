// Generated from platform.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Schema, message } from "../message.ts";

export interface Platform {
  /** linux */
  os: string;
  /** amd64, arm64 ... */
  architecture: string;
  variant: string;
  osVersion: string;
  osFeatures: string[];
}

export const PlatformSchema: Schema<Platform> = message("containerd.types.Platform", () => [
  [1, "os", "string"],
  [2, "architecture", "string"],
  [3, "variant", "string"],
  [4, "osVersion", "string"],
  [5, "osFeatures", "string", "repeated"],
]);

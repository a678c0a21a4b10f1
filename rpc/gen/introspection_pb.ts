// Generated from introspection.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Any, AnySchema } from "./google/protobuf/any_pb.ts";
import { type Schema, message } from "../message.ts";

export interface RuntimeVersion {
  version: string;
  revision: string;
}

export const RuntimeVersionSchema: Schema<RuntimeVersion> = message("containerd.types.RuntimeVersion", () => [
  [1, "version", "string"],
  [2, "revision", "string"],
]);

export interface RuntimeInfo {
  /** e.g. io.containerd.kata.v2 */
  name: string;
  version?: RuntimeVersion;
  /** echo of the options given */
  options?: Any;
  /**
   * type_url types.containerd.io/opencontainers/runtime-spec/1/features/Features, value = JSON of
   * OCI features; optional
   */
  features?: Any;
  /**
   * containerd.io/runtime-allow-mounts = comma list of mount types containerd must hand over
   * unmounted (2.2+)
   */
  annotations: { [key: string]: string };
}

export const RuntimeInfoSchema: Schema<RuntimeInfo> = message("containerd.types.RuntimeInfo", () => [
  [1, "name", "string"],
  [2, "version", RuntimeVersionSchema],
  [3, "options", AnySchema],
  [4, "features", AnySchema],
  [5, "annotations", "string", "map"],
]);

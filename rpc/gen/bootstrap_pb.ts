// Generated from bootstrap.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Any, AnySchema } from "./google/protobuf/any_pb.ts";
import { type Schema, message } from "../message.ts";

export enum LogLevel {
  INFO = 0,
  TRACE = -8,
  DEBUG = -4,
  WARN = 4,
  ERROR = 8,
  FATAL = 10,
  PANIC = 12,
}

export enum Capability {
  UNSPECIFIED = 0,
}

export interface BootstrapParams {
  /** = -id */
  instanceId: string;
  /** = -namespace */
  namespace: string;
  /** negative values are 10-byte varints */
  logLevel: LogLevel;
  /** free text version */
  containerdVersion: string;
  /** = TTRPC_ADDRESS */
  containerdTtrpcAddress: string;
  /** = -address */
  containerdGrpcAddress: string;
  /** = -publish-binary */
  containerdBinary: string;
  /** runtime options ride here */
  extensions: Extension[];
  /** folder for the socket; absent/empty = default */
  socketDir?: string;
}

export const BootstrapParamsSchema: Schema<BootstrapParams> = message("containerd.runtime.bootstrap.v1.BootstrapParams", () => [
  [1, "instanceId", "string"],
  [2, "namespace", "string"],
  [3, "logLevel", "enum"],
  [4, "containerdVersion", "string"],
  [5, "containerdTtrpcAddress", "string"],
  [6, "containerdGrpcAddress", "string"],
  [7, "containerdBinary", "string"],
  [8, "extensions", ExtensionSchema, "repeated"],
  [9, "socketDir", "string", "optional"],
]);

export interface Extension {
  /** type_url tells what it is, e.g. runtimeoptions.v1.Options */
  value?: Any;
}

export const ExtensionSchema: Schema<Extension> = message("containerd.runtime.bootstrap.v1.Extension", () => [
  [1, "value", AnySchema],
]);

export interface BootstrapResult {
  /** 2 or 3 */
  version: number;
  /** unix:///path, vsock://cid:port, or the name of an abstract unix socket */
  address: string;
  /** ttrpc or grpc */
  protocol: string;
  /** none are defined yet */
  capabilities: Capability[];
  /** free text */
  metadata: { [key: string]: string };
}

export const BootstrapResultSchema: Schema<BootstrapResult> = message("containerd.runtime.bootstrap.v1.BootstrapResult", () => [
  [1, "version", "int32"],
  [2, "address", "string"],
  [3, "protocol", "string"],
  [4, "capabilities", "enum", "repeated"],
  [5, "metadata", "string", "map"],
]);

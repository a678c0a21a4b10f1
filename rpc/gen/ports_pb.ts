// Generated from ports.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { EmptySchema } from "./google/protobuf/empty_pb.ts";
import { type Schema, message } from "../message.ts";
import { service, unary } from "../service.ts";

export interface ConnectPortRequest {
  port: number;
  /** by IPv6 */
  six: boolean;
}

export const ConnectPortRequestSchema: Schema<ConnectPortRequest> = message("kata.v1.ConnectPortRequest", () => [
  [1, "port", "uint32"],
  [2, "six", "bool"],
]);

export interface ConnectPortResponse {
  id: number;
}

export const ConnectPortResponseSchema: Schema<ConnectPortResponse> = message("kata.v1.ConnectPortResponse", () => [
  [1, "id", "uint32"],
]);

export interface ReadPortRequest {
  id: number;
}

export const ReadPortRequestSchema: Schema<ReadPortRequest> = message("kata.v1.ReadPortRequest", () => [
  [1, "id", "uint32"],
]);

export interface ReadPortResponse {
  data: Uint8Array;
  /** there is no more; data is empty then */
  ended: boolean;
}

export const ReadPortResponseSchema: Schema<ReadPortResponse> = message("kata.v1.ReadPortResponse", () => [
  [1, "data", "bytes"],
  [2, "ended", "bool"],
]);

export interface WritePortRequest {
  id: number;
  data: Uint8Array;
  /** no more comes */
  end: boolean;
}

export const WritePortRequestSchema: Schema<WritePortRequest> = message("kata.v1.WritePortRequest", () => [
  [1, "id", "uint32"],
  [2, "data", "bytes"],
  [3, "end", "bool"],
]);

export interface ClosePortRequest {
  id: number;
}

export const ClosePortRequestSchema: Schema<ClosePortRequest> = message("kata.v1.ClosePortRequest", () => [
  [1, "id", "uint32"],
]);

export const GuestPorts = service("kata.v1.GuestPorts", {
  connect: unary("Connect", ConnectPortRequestSchema, ConnectPortResponseSchema),
  /** Waits for data. */
  read: unary("Read", ReadPortRequestSchema, ReadPortResponseSchema),
  write: unary("Write", WritePortRequestSchema, EmptySchema),
  /** An id that is not known is no error. */
  close: unary("Close", ClosePortRequestSchema, EmptySchema),
});

// Generated from console.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { EmptySchema } from "./google/protobuf/empty_pb.ts";
import { type Schema, message } from "../message.ts";
import { service, unary } from "../service.ts";

export interface OpenConsoleRequest {
  /** whether the shell gets a terminal; otherwise pipes */
  terminal: boolean;
  rows: number;
  columns: number;
  /** kind of the operator's terminal, the shell's TERM */
  term: string;
}

export const OpenConsoleRequestSchema: Schema<OpenConsoleRequest> = message("kata.v1.OpenConsoleRequest", () => [
  [1, "terminal", "bool"],
  [2, "rows", "uint32"],
  [3, "columns", "uint32"],
  [4, "term", "string"],
]);

export interface OpenConsoleResponse {
  id: number;
  /** path of the shell in the guest */
  shell: string;
}

export const OpenConsoleResponseSchema: Schema<OpenConsoleResponse> = message("kata.v1.OpenConsoleResponse", () => [
  [1, "id", "uint32"],
  [2, "shell", "string"],
]);

export interface ReadConsoleRequest {
  id: number;
}

export const ReadConsoleRequestSchema: Schema<ReadConsoleRequest> = message("kata.v1.ReadConsoleRequest", () => [
  [1, "id", "uint32"],
]);

export interface ReadConsoleResponse {
  data: Uint8Array;
  /** there is no more; data is empty then */
  ended: boolean;
  /** of the shell when it has ended; 128 + n after signal n */
  status: number;
}

export const ReadConsoleResponseSchema: Schema<ReadConsoleResponse> = message("kata.v1.ReadConsoleResponse", () => [
  [1, "data", "bytes"],
  [2, "ended", "bool"],
  [3, "status", "int32"],
]);

export interface WriteConsoleRequest {
  id: number;
  data: Uint8Array;
  /** no more comes */
  end: boolean;
}

export const WriteConsoleRequestSchema: Schema<WriteConsoleRequest> = message("kata.v1.WriteConsoleRequest", () => [
  [1, "id", "uint32"],
  [2, "data", "bytes"],
  [3, "end", "bool"],
]);

export interface ResizeConsoleRequest {
  id: number;
  rows: number;
  columns: number;
}

export const ResizeConsoleRequestSchema: Schema<ResizeConsoleRequest> = message("kata.v1.ResizeConsoleRequest", () => [
  [1, "id", "uint32"],
  [2, "rows", "uint32"],
  [3, "columns", "uint32"],
]);

export interface CloseConsoleRequest {
  id: number;
}

export const CloseConsoleRequestSchema: Schema<CloseConsoleRequest> = message("kata.v1.CloseConsoleRequest", () => [
  [1, "id", "uint32"],
]);

export interface SetLogLevelRequest {
  /** trace, debug, info, warn, error, critical */
  level: string;
}

export const SetLogLevelRequestSchema: Schema<SetLogLevelRequest> = message("kata.v1.SetLogLevelRequest", () => [
  [1, "level", "string"],
]);

export const GuestConsole = service("kata.v1.GuestConsole", {
  open: unary("Open", OpenConsoleRequestSchema, OpenConsoleResponseSchema),
  /** Waits for output. */
  read: unary("Read", ReadConsoleRequestSchema, ReadConsoleResponseSchema),
  write: unary("Write", WriteConsoleRequestSchema, EmptySchema),
  resize: unary("Resize", ResizeConsoleRequestSchema, EmptySchema),
  /** Hangs up: the shell ends, and what it runs in the foreground. An id that is not known is no error. */
  close: unary("Close", CloseConsoleRequestSchema, EmptySchema),
  setLogLevel: unary("SetLogLevel", SetLogLevelRequestSchema, EmptySchema),
});

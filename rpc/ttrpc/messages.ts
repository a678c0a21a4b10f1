/** Contents of request and response frames, and how a call's frames are put together. */

import type { Status } from "../gen/google/rpc/status_pb.ts";
import { type Request, RequestSchema, type Response, ResponseSchema } from "../gen/ttrpc_pb.ts";
import { Code, RpcError } from "../errors.ts";
import { fromBinary, type Init, toBinary } from "../message.ts";
import { encodeFrame, Flag, FrameType, MAX_DATA_BYTES } from "./frame.ts";

/** Values by key. Keys are lower case. */
export type Metadata = ReadonlyMap<string, readonly string[]>;

/** What a request carries besides its payload. */
export interface RequestHead {
  service: string;
  method: string;
  /** time left for the caller, in milliseconds; absent = no limit */
  timeoutMs?: number | undefined;
  metadata?: Readonly<Record<string, string | readonly string[]>> | undefined;
}

/** An error's text is cut to this many characters, so that its frame is never too long. */
const MAX_MESSAGE_CHARS = 256 * 1024;

/** Field 3 of Request, field 2 of Response; wire type 2. */
const REQUEST_PAYLOAD_TAG = 0x1a;
const RESPONSE_PAYLOAD_TAG = 0x12;

/**
 * The frame that starts a call.
 *
 * @throws {RpcError} RESOURCE_EXHAUSTED when it would be longer than a frame may be
 */
export function requestFrame(
  streamId: number,
  flags: number,
  head: RequestHead,
  payload: Uint8Array,
): Uint8Array {
  const metadata = Object.entries(head.metadata ?? {}).flatMap(([key, values]) =>
    [values].flat().map((value) => ({ key: key.toLowerCase(), value }))
  );
  // the fields of a message may be encoded one after the other, so the payload is copied only once, into the frame
  const parts = [
    toBinary(RequestSchema, { service: head.service, method: head.method }),
    ...payloadField(REQUEST_PAYLOAD_TAG, payload),
    toBinary(RequestSchema, { timeoutNano: nanoseconds(head.timeoutMs), metadata }),
  ];
  const length = size(parts);
  if (length > MAX_DATA_BYTES) {
    throw new RpcError(
      Code.ResourceExhausted,
      `cannot call ${head.service}/${head.method}: request of ${length} bytes exceeds ${MAX_DATA_BYTES}`,
    );
  }
  return encodeFrame({ streamId, type: FrameType.Request, flags }, ...parts);
}

/** The frame that ends a call with success, or with an error when the payload is longer than a frame may be. */
export function responseFrame(streamId: number, payload: Uint8Array): Uint8Array {
  const parts = payloadField(RESPONSE_PAYLOAD_TAG, payload);
  const length = size(parts);
  if (length > MAX_DATA_BYTES) {
    const text = `response of ${length} bytes exceeds ${MAX_DATA_BYTES}`;
    return errorFrame(streamId, new RpcError(Code.ResourceExhausted, text));
  }
  return encodeFrame({ streamId, type: FrameType.Response, flags: 0 }, ...parts);
}

/** The frame that ends a call with an error. */
export function errorFrame(streamId: number, error: RpcError): Uint8Array {
  const message = error.message.length > MAX_MESSAGE_CHARS
    ? `${error.message.slice(0, MAX_MESSAGE_CHARS)} ...`
    : error.message;
  const status: Init<Status> = { code: error.code, message, details: error.details };
  const whole = toBinary(ResponseSchema, { status });
  const data = whole.length <= MAX_DATA_BYTES
    ? whole
    : toBinary(ResponseSchema, { status: { code: error.code, message } });
  return encodeFrame({ streamId, type: FrameType.Response, flags: 0 }, data);
}

/**
 * A frame with one message of a stream.
 *
 * @throws {RpcError} RESOURCE_EXHAUSTED when it would be longer than a frame may be
 */
export function dataFrame(streamId: number, data: Uint8Array): Uint8Array {
  if (data.length > MAX_DATA_BYTES) {
    throw new RpcError(
      Code.ResourceExhausted,
      `cannot send a message of ${data.length} bytes: it exceeds ${MAX_DATA_BYTES}`,
    );
  }
  return encodeFrame({ streamId, type: FrameType.Data, flags: 0 }, data);
}

/** The frame that ends a half of a stream. It never carries a message: there are peers that refuse that. */
export function endFrame(streamId: number): Uint8Array {
  return encodeFrame({ streamId, type: FrameType.Data, flags: Flag.RemoteClosed | Flag.NoData });
}

/** @throws {Error} when the bytes are no request */
export function decodeRequest(data: Uint8Array): Request {
  return fromBinary(RequestSchema, data);
}

/**
 * The payload of a response.
 *
 * @throws {RpcError} the error that it carries instead, or INTERNAL when the bytes are no response
 */
export function decodeResponse(data: Uint8Array): Uint8Array {
  let response: Response;
  try {
    response = fromBinary(ResponseSchema, data);
  } catch (cause) {
    throw new RpcError(Code.Internal, "cannot decode the response", { cause });
  }
  const { status, payload } = response;
  // some servers send an empty status with every success
  if (status === undefined || status.code === Code.Ok) return payload;
  throw new RpcError(status.code, status.message, { details: status.details });
}

/** Metadata of a request, by lower-case key. */
export function metadataOf(request: Request): Metadata {
  const map = new Map<string, string[]>();
  for (const { key, value } of request.metadata) {
    const values = map.get(key.toLowerCase());
    if (values) values.push(value);
    else map.set(key.toLowerCase(), [value]);
  }
  return map;
}

function payloadField(tag: number, payload: Uint8Array): Uint8Array[] {
  if (payload.length === 0) return [];
  const head = [tag];
  let rest = payload.length;
  for (; rest > 0x7f; rest >>>= 7) head.push((rest & 0x7f) | 0x80);
  head.push(rest);
  return [new Uint8Array(head), payload];
}

function size(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

/** Whole milliseconds away from zero, which would mean "no limit". */
function nanoseconds(ms: number | undefined): bigint {
  if (ms === undefined || !Number.isFinite(ms)) return 0n;
  // int64 ends at 292 years
  const whole = Math.min(Math.ceil(Math.abs(ms)), 9e12) * Math.sign(ms);
  return BigInt(whole) * 1_000_000n;
}

/** google.protobuf.Any and Timestamp: how messages of named types and points in time travel. */

import { fromBinary, type Init, type Schema, toBinary } from "./message.ts";
import type { Any } from "./gen/google/protobuf/any_pb.ts";
import type { Timestamp } from "./gen/google/protobuf/timestamp_pb.ts";

/** Wraps a message. containerd's own types carry their name without a prefix, so that is the default URL. */
export function packAny<T>(schema: Schema<T>, value: T | Init<T>, typeUrl: string = schema.typeName): Any {
  return { typeUrl, value: toBinary(schema, value) };
}

/** The type's name: what stands behind the last slash of its URL, since some senders put a host before it. */
export function anyTypeName(any: Any): string {
  return any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1);
}

/**
 * Unwraps a message.
 *
 * @returns undefined when it is of another type
 * @throws {Error} when the bytes are no such message
 */
export function unpackAny<T>(schema: Schema<T>, any: Any | undefined): T | undefined {
  if (any === undefined || anyTypeName(any) !== schema.typeName) return undefined;
  return fromBinary(schema, any.value);
}

/** A point in time from milliseconds since the epoch. @param ms may have a fraction; default: now */
export function timestamp(ms: number = Date.now()): Timestamp {
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: Math.min(Math.round((ms - seconds * 1000) * 1e6), 999_999_999) };
}

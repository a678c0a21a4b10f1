/** Errors that travel over the wire: status codes, and how any thrown value becomes one. */

import type { Any } from "./gen/google/protobuf/any_pb.ts";

/** Status codes of gRPC, which ttrpc shares. */
export const Code = {
  Ok: 0,
  Canceled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  NotFound: 5,
  AlreadyExists: 6,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  Aborted: 10,
  OutOfRange: 11,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  DataLoss: 15,
  Unauthenticated: 16,
} as const;

/** One of the known codes. */
export type Code = typeof Code[keyof typeof Code];

/** An error with a status code: what a handler throws on purpose, and what a caller gets from the other side. */
export class RpcError extends Error {
  override name = "RpcError";
  /** One of {@link Code}, or a foreign number as it came. */
  readonly code: number;
  readonly details: readonly Any[];

  constructor(code: number, message: string, options: { details?: readonly Any[]; cause?: unknown } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.details = options.details ?? [];
  }

  /**
   * Any thrown value as an RpcError, at the edge of a service.
   *
   * A code that is already there is kept. Errors of the language itself (a TypeError in a handler) are crashes and
   * become INTERNAL; an aborted operation becomes CANCELLED, or DEADLINE_EXCEEDED when a timeout did it; everything
   * else is UNKNOWN with its text. In a SuppressedError, which a failing disposer makes, the failure that came
   * first counts, and the clean-up's is appended to its text.
   */
  static from(thrown: unknown): RpcError {
    if (thrown instanceof RpcError) return thrown;
    if (thrown instanceof SuppressedError) return fromSuppressed(thrown);
    if (!(thrown instanceof Error)) return new RpcError(Code.Unknown, String(thrown), { cause: thrown });
    return new RpcError(codeOf(thrown), thrown.message || thrown.name, { cause: thrown });
  }
}

/** The connection ended before an answer came. Callers may connect again; the call's fate is not known. */
export class ConnectionClosed extends Error {
  override name = "ConnectionClosed";

  constructor(cause?: unknown) {
    // the wording that users of ttrpc look for
    super("ttrpc: closed", cause === undefined ? undefined : { cause });
  }
}

function fromSuppressed(thrown: SuppressedError): RpcError {
  const first = RpcError.from(thrown.suppressed);
  const cleanup = RpcError.from(thrown.error);
  const text = `${first.message} (and the clean-up failed: ${cleanup.message})`;
  return new RpcError(first.code, text, { details: first.details, cause: thrown });
}

function codeOf(error: Error): Code {
  if (error.name === "AbortError") return Code.Canceled;
  if (error.name === "TimeoutError") return Code.DeadlineExceeded;
  const crash = error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
  return crash ? Code.Internal : Code.Unknown;
}

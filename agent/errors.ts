import { Code, RpcError } from "../rpc/errors.ts";

/** The request makes no sense whatever the state: a wrong name, a missing field, a value out of range. */
export function invalidArgument(message: string, options?: ErrorOptions): RpcError {
  return new RpcError(Code.InvalidArgument, message, options);
}

/** What the request speaks of does not exist. */
export function notFound(message: string, options?: ErrorOptions): RpcError {
  return new RpcError(Code.NotFound, message, options);
}

/** What the request would make exists. */
export function alreadyExists(message: string, options?: ErrorOptions): RpcError {
  return new RpcError(Code.AlreadyExists, message, options);
}

/** The request makes sense, but not now. */
export function failedPrecondition(message: string, options?: ErrorOptions): RpcError {
  return new RpcError(Code.FailedPrecondition, message, options);
}

/** The request asks for something that this agent does not do. */
export function unimplemented(message: string, options?: ErrorOptions): RpcError {
  return new RpcError(Code.Unimplemented, message, options);
}

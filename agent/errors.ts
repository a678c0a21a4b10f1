import { Code, RpcError } from "../rpc/errors.ts";

/** The request is invalid in any state: a wrong name, a missing field, a value out of range. */
export function invalidArgument(message: string, options?: ErrorOptions): RpcError {
  return new RpcError(Code.InvalidArgument, message, options);
}

/** The object of the request does not exist. */
export function notFound(message: string, options?: ErrorOptions): RpcError {
  return new RpcError(Code.NotFound, message, options);
}

/** The object that the request would create exists already. */
export function alreadyExists(message: string, options?: ErrorOptions): RpcError {
  return new RpcError(Code.AlreadyExists, message, options);
}

/** The request is valid, but not in the current state. */
export function failedPrecondition(message: string, options?: ErrorOptions): RpcError {
  return new RpcError(Code.FailedPrecondition, message, options);
}

/** The request asks for something that this agent does not support. */
export function unimplemented(message: string, options?: ErrorOptions): RpcError {
  return new RpcError(Code.Unimplemented, message, options);
}

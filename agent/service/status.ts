import { SpecError } from "../../oci/validate.ts";
import { ExecutableError } from "../container/errors.ts";
import { Code, RpcError } from "../../rpc/errors.ts";

/**
 * Any thrown value as the status that a caller gets.
 *
 * What is thrown on purpose has its code. A specification that makes no sense is the caller's mistake. A program that is
 * not there is `NotFound`, one that cannot be run is not (shells call that 127 and 126). Everything else
 * is a failure of this side, with all its causes in one sentence: the innermost is mostly what the kernel answered.
 */
export function toStatus(thrown: unknown): RpcError {
  if (thrown instanceof RpcError) return thrown;
  if (thrown instanceof SuppressedError) {
    const first = toStatus(thrown.suppressed);
    const text = `${first.message} (and undoing it failed: ${sentence(thrown.error)})`;
    return new RpcError(first.code, text, { cause: thrown });
  }
  if (thrown instanceof SpecError) {
    return new RpcError(Code.InvalidArgument, thrown.message, { cause: thrown });
  }
  if (thrown instanceof ExecutableError) {
    return new RpcError(EXECUTABLE_CODES[thrown.code] ?? Code.InvalidArgument, thrown.message, {
      cause: thrown,
    });
  }
  if (thrown instanceof DOMException) return RpcError.from(thrown);
  return new RpcError(Code.Internal, sentence(thrown), { cause: thrown });
}

const EXECUTABLE_CODES: Readonly<Record<string, Code>> = {
  ENOENT: Code.NotFound,
  EACCES: Code.PermissionDenied,
  EPERM: Code.PermissionDenied,
};

function sentence(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : `: ${sentence(error.cause)}`;
  return `${error.message || error.name}${cause}`;
}

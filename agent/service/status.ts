import { SpecError } from "../../oci/validate.ts";
import { Code, RpcError } from "../../rpc/errors.ts";

/**
 * Any thrown value as the status that a caller gets.
 *
 * What is thrown on purpose has its code. A specification that makes no sense is the caller's mistake. Everything else
 * is a failure of this side, with all its causes in one sentence: the innermost is mostly what the kernel answered.
 */
export function toStatus(thrown: unknown): RpcError {
  if (thrown instanceof RpcError) return thrown;
  if (thrown instanceof SuppressedError) {
    const first = toStatus(thrown.suppressed);
    const text = `${first.message} (and what was done could not be undone: ${sentence(thrown.error)})`;
    return new RpcError(first.code, text, { cause: thrown });
  }
  if (thrown instanceof SpecError) {
    return new RpcError(Code.InvalidArgument, thrown.message, { cause: thrown });
  }
  if (thrown instanceof DOMException) return RpcError.from(thrown);
  return new RpcError(Code.Internal, sentence(thrown), { cause: thrown });
}

function sentence(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : `: ${sentence(error.cause)}`;
  return `${error.message || error.name}${cause}`;
}

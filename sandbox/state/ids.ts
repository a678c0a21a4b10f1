/**
 * Ids that come from a client and become parts of paths.
 *
 * @module
 */

import { Code, RpcError } from "../../rpc/errors.ts";

/** Longest id, as in containerd's identifier rule. */
export const MAX_ID_LENGTH = 76;

const ID = /^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/;

/**
 * Checks an id by containerd's rule: groups of letters and digits joined by single `.`, `_` or `-`.
 *
 * The rule keeps `/` and `..` out of every path that is built from an id.
 *
 * @param what what the id names, for the message ("container id")
 * @throws {RpcError} `INVALID_ARGUMENT`
 */
export function validateId(what: string, id: string): void {
  if (id === "") throw new RpcError(Code.InvalidArgument, `${what} must not be empty`);
  if (id.length > MAX_ID_LENGTH) {
    throw new RpcError(
      Code.InvalidArgument,
      `${what} must have at most ${MAX_ID_LENGTH} characters: "${id}" has ${id.length}`,
    );
  }
  if (!ID.test(id)) {
    throw new RpcError(
      Code.InvalidArgument,
      `${what} must be letters and digits joined by single ".", "_" or "-": it is "${id}"`,
    );
  }
}

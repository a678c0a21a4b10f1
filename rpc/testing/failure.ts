import assert from "node:assert/strict";
import { RpcError } from "../errors.ts";

/** The status code that a call fails with. */
export async function code(promise: Promise<unknown>): Promise<number> {
  try {
    await promise;
  } catch (error) {
    assert(error instanceof RpcError, String(error));
    return error.code;
  }
  throw new assert.AssertionError({ message: "it did not fail" });
}

import assert from "node:assert/strict";
import { Code, ConnectionClosed, RpcError } from "./errors.ts";

Deno.test("any thrown value becomes an RpcError with a fitting code", () => {
  const known = new RpcError(Code.NotFound, "x: not found");
  assert.equal(RpcError.from(known), known);
  const cases: [unknown, Code, string][] = [
    [new Error("cannot do that"), Code.Unknown, "cannot do that"],
    [new ConnectionClosed(), Code.Unknown, "ttrpc: closed"],
    ["text", Code.Unknown, "text"],
    [undefined, Code.Unknown, "undefined"],
    [new TypeError("x is not a function"), Code.Internal, "x is not a function"],
    [new RangeError("too deep"), Code.Internal, "too deep"],
    [new DOMException("was aborted", "AbortError"), Code.Canceled, "was aborted"],
    [new DOMException("took too long", "TimeoutError"), Code.DeadlineExceeded, "took too long"],
    [new Error(), Code.Unknown, "Error"],
  ];
  for (const [thrown, code, message] of cases) {
    const error = RpcError.from(thrown);
    assert.deepEqual([error.code, error.message, error.cause], [code, message, thrown]);
  }
});

Deno.test("when the cleanup fails too, the first failure counts and both are reported", async () => {
  const thrown = await (async () => {
    await using stack = new AsyncDisposableStack();
    stack.defer(() => Promise.reject(new Error("cannot unmount")));
    stack.defer(() => Promise.reject(new Error("cannot kill")));
    throw new RpcError(Code.InvalidArgument, "bad request");
  })().catch((error: unknown) => error);
  const error = RpcError.from(thrown);
  assert.equal(error.code, Code.InvalidArgument);
  assert.equal(
    error.message,
    "bad request (and the clean-up failed: cannot kill (and the clean-up failed: cannot unmount))",
  );
});

import assert from "node:assert/strict";
import { splitKernelParams } from "./kernel_params.ts";

Deno.test("kernel parameters are split at white space outside double quotes", () => {
  assert.deepEqual(splitKernelParams(""), []);
  assert.deepEqual(splitKernelParams("  a=1\tb  c=\n"), ["a=1", "b", "c="]);
  assert.deepEqual(splitKernelParams('dyndbg="file x +p; y" z'), ['dyndbg="file x +p; y"', "z"]);
  assert.deepEqual(splitKernelParams('open="a b'), ['open="a b']);
});

import assert from "node:assert/strict";
import { stalePages } from "./docs.ts";

Deno.test("the printed pages say what the program says", async () => {
  assert.deepEqual([...(await stalePages()).keys()], [], 'run "deno task docs"');
});

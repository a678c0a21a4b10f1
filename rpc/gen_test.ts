import assert from "node:assert/strict";
import { join } from "node:path";

Deno.test("the generated files are what the .proto files ask for", async () => {
  const root = join(import.meta.dirname ?? ".", "..");
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "tools/gen.ts", "--check"],
    cwd: root,
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
});

import assert from "node:assert/strict";
import { arch } from "./syscall.ts";
import { measureTscKhz } from "./tsc.ts";

// other processors have another counter
if (arch === "x86_64") {
  Deno.test("the counter's rate is that of a processor, whenever it is measured", async () => {
    const khz = await measureTscKhz();
    assert.ok(khz > 100_000 && khz < 20_000_000, String(khz));
    for (let round = 0; round < 5; round++) {
      const again = await measureTscKhz();
      assert.ok(Math.abs(again - khz) < khz / 100, `${khz}, then ${again}`);
    }
  });
}

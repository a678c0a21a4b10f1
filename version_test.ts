import assert from "node:assert/strict";
import denoConfig from "./deno.json" with { type: "json" };
import { BUILD_ROAD, COMMIT, VERSION } from "./version.ts";

Deno.test("the version is the one of deno.json", () => {
  assert.equal(VERSION, denoConfig.version);
});

Deno.test("run from its sources, the program says so", () => {
  assert.deepEqual({ BUILD_ROAD, COMMIT }, { BUILD_ROAD: "source", COMMIT: "" });
});

import assert from "node:assert/strict";
import { checkValue, defaultOf, readValue } from "./key.ts";
import { SECTIONS } from "./schema.ts";

const rows = Object.entries(SECTIONS).flatMap(([section, table]) =>
  Object.entries(table).map(([key, row]) => ({ name: `${section}.${key}`, key, row, table }))
);

Deno.test("every key's default is a value that it can have", () => {
  for (const { name, row } of rows) {
    const value = defaultOf(row);
    assert.deepEqual(readValue(row, value), value, name);
    if (row.unset !== undefined) assert.deepEqual(checkValue(row, row.unset), value, name);
  }
});

Deno.test("lists that guard a key exist, and cannot be set by annotation", () => {
  for (const { name, row, table } of rows) {
    const within = row.annotation?.within;
    if (within === undefined) continue;
    const guard = Object.entries(table).find(([key]) => key === within)?.[1];
    assert.equal(guard?.type, "array of strings", name);
    assert.equal(guard.annotation, undefined, name);
  }
});

Deno.test("what would weaken the host's defence cannot be set by annotation", () => {
  for (const key of ["enable_annotations", "seccompsandbox", "accelerator", "enable_debug"]) {
    for (const { row } of rows.filter((row) => row.key === key)) assert.equal(row.annotation, undefined, key);
  }
});

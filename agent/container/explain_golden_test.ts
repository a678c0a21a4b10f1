/**
 * What is done for specifications of many kinds, compared with testdata/explain. To take over changes that are meant:
 * `KATA_UPDATE_GOLDEN=1 deno test -A agent/container/explain_golden_test.ts`, and read the difference.
 */

import assert from "node:assert/strict";
import { explain } from "./explain.ts";
import { explanationLines } from "./explain_text.ts";
import { SPECS } from "./testing/specs.ts";

const FOLDER = new URL("testdata/explain/", import.meta.url);
const BASE = "containerd";

/** The explanation, or why there is none. */
async function linesOf(name: string): Promise<string[]> {
  const spec = SPECS[name]?.();
  if (!spec) throw new Error(`there is no specification "${name}"`);
  try {
    return explanationLines(await explain({ id: "c1", bundle: "/bundle", spec, look: false }));
  } catch (error) {
    return [`refused: ${error instanceof Error ? error.message : error}`];
  }
}

/**
 * What is different from the base, in order: how many lines are not there, and those that it does not have, after the
 * line that both have before them. What is not there can be read in the base's file, and so the files stay small.
 */
function difference(base: readonly string[], lines: readonly string[]): string[] {
  const length = lengths(base, lines);
  const found: string[] = [];
  for (let i = 0, j = 0; i < base.length || j < lines.length;) {
    const before = base[i - 1] ?? "the beginning";
    const added: string[] = [];
    let removed = 0;
    while ((i < base.length || j < lines.length) && base[i] !== lines[j]) {
      const isLess = j === lines.length ||
        (i < base.length && (length[i + 1]?.[j] ?? 0) >= (length[i]?.[j + 1] ?? 0));
      if (isLess) [i, removed] = [i + 1, removed + 1];
      else added.push(`+ ${lines[j++]}`);
    }
    if (removed + added.length > 0) found.push(`@ ${before}`);
    if (removed > 0) found.push(`- ${removed} lines`);
    found.push(...added);
    [i, j] = [i + 1, j + 1];
  }
  return found;
}

/** Lengths of the longest common subsequences of what is left from each pair of positions on. */
function lengths(a: readonly string[], b: readonly string[]): Uint16Array[] {
  const table = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    const [row, below] = [table[i], table[i + 1]];
    if (!row || !below) continue;
    for (let j = b.length - 1; j >= 0; j--) {
      row[j] = a[i] === b[j] ? (below[j + 1] ?? 0) + 1 : Math.max(below[j] ?? 0, row[j + 1] ?? 0);
    }
  }
  return table;
}

for (const name of Object.keys(SPECS)) {
  Deno.test(`what is done for "${name}" is as in testdata/explain/${name}.txt`, async () => {
    const lines = await linesOf(name);
    const kept = name === BASE || lines.length === 1 ? lines : difference(await linesOf(BASE), lines);
    const text = kept.join("\n") + "\n";
    const file = new URL(`${name}.txt`, FOLDER);
    if (Deno.env.get("KATA_UPDATE_GOLDEN")) Deno.writeTextFileSync(file, text);
    assert.equal(text, Deno.readTextFileSync(file));
  });
}

Deno.test("testdata/explain has nothing but what is compared", () => {
  const names = [...Deno.readDirSync(FOLDER)].map(({ name }) => name).sort();
  assert.deepEqual(names, Object.keys(SPECS).map((name) => `${name}.txt`).sort());
});

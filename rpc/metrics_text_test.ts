import assert from "node:assert/strict";
import { Durations, formatFamilies, formatNumber, labelled, single } from "./metrics_text.ts";

Deno.test("numbers are the shortest decimals, with an exponent outside of 1e-4 to 999999", () => {
  const texts: readonly (readonly [number, string])[] = [
    [0, "0"],
    [-0, "0"],
    [0.5, "0.5"],
    [202276, "202276"],
    [999999, "999999"],
    [1e6, "1e+06"],
    [5915546, "5.915546e+06"],
    [11665408, "1.1665408e+07"],
    [0.0001, "0.0001"],
    [0.00001, "1e-05"],
    [1e100, "1e+100"],
    [-1234567, "-1.234567e+06"],
    [NaN, "NaN"],
    [Infinity, "+Inf"],
    [-Infinity, "-Inf"],
  ];
  for (const [value, text] of texts) assert.equal(formatNumber(value), text);
});

Deno.test("families stand in the order of their names, values in that of their labels, and empty ones are left out", () => {
  const text = formatFamilies([
    single("b", 'two\nlines and a "\\"', 1, "counter"),
    labelled("a", "first", { y: 2, x: 1_000_000 }),
    labelled("empty", "nothing", {}),
    { name: "c", help: "", kind: "gauge", samples: [{ labels: { z: 'a"b\\c\nd', k: "1" }, value: 3 }] },
  ]);
  assert.equal(
    text,
    "# HELP a first\n# TYPE a gauge\n" + 'a{item="x"} 1e+06\na{item="y"} 2\n' +
      '# HELP b two\\nlines and a "\\\\"\n# TYPE b counter\nb 1\n' +
      '# HELP c \n# TYPE c gauge\nc{k="1",z="a\\"b\\\\c\\nd"} 3\n',
  );
  assert.equal(formatFamilies([]), "");
});

Deno.test("durations are counted in whole milliseconds, cumulatively, failures too", async () => {
  const durations = new Durations();
  for (const ms of [0.9, 1.9, 2.1, 512, 513, 5000]) durations.observe("create", ms);
  await assert.rejects(durations.measure("kill", () => Promise.reject(new Error("no"))), /no/);
  assert.equal(await durations.measure("kill", () => 7), 7);
  const text = formatFamilies([durations.family("h", "help")]);
  const lines = text.split("\n");
  assert.equal(lines[2], 'h_bucket{action="create",le="1"} 2');
  assert.equal(lines[3], 'h_bucket{action="create",le="2"} 3');
  assert.equal(lines[11], 'h_bucket{action="create",le="512"} 4');
  assert.equal(lines[12], 'h_bucket{action="create",le="+Inf"} 6');
  assert.equal(lines[13], 'h_sum{action="create"} 6028');
  assert.equal(lines[14], 'h_count{action="create"} 6');
  assert.match(text, /h_count\{action="kill"\} 2\n$/);
});

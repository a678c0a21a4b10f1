import assert from "node:assert/strict";
import { relative } from "node:path";
import { readJunit } from "./junit.ts";
import { ROOT } from "./paths.ts";
import { run, RunError } from "./process.ts";
import { judge, runSuite, type Suite, SUITES, testFiles } from "./suites.ts";
import { summary } from "./test.ts";

const SUITE: Suite = { name: "some", has: () => true, limitMinutes: 1 };
const ENDED = { code: 0, timedOut: false };
const A = { file: "a_test.ts", passed: ["adds", "takes <away>"], failed: [], ignored: [] };

const SAMPLES: Record<string, string> = {
  "good_test.ts": `
    Deno.test("passes & \\"more\\" <than> that", () => {});
    Deno.test("has steps", async (t) => { await t.step("inner", () => {}); });`,
  "bad_test.ts": `
    Deno.test("throws </testcase>", () => { throw new Error("</testsuite><skipped/>"); });
    Deno.test("passes", () => console.log("<failure>"));
    Deno.test({ name: "is ignored", ignore: true, fn() {} });`,
  "late_test.ts": `Deno.test("is cancelled", async () => {
      setTimeout(() => { throw new Error("late"); }, 1);
      await new Promise((resolve) => setTimeout(resolve, 5000));
    });`,
  "broken_test.ts": `Deno.test("never runs", () => {}); throw new Error("on loading");`,
  "empty_test.ts": ``,
};

Deno.test("a run of deno test is read as it went, what its report leaves out too", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kata-suites-test-" });
  try {
    const files = Object.keys(SAMPLES).sort();
    for (const [name, text] of Object.entries(SAMPLES)) await Deno.writeTextFile(`${folder}/${name}`, text);
    const report = `${folder}/report.xml`;
    const args = ["test", "--no-check", "--no-config", `--junit-path=${report}`, ...files];
    await assert.rejects(run([Deno.execPath(), ...args], { cwd: folder }), RunError);
    const outcome = judge(
      SUITE,
      files,
      { code: 1, timedOut: false },
      readJunit(await Deno.readTextFile(report)),
    );
    assert.deepEqual(outcome, {
      suite: "some",
      passed: 4,
      failed: [
        "bad_test.ts: throws </testcase>",
        "late_test.ts: is cancelled",
        "broken_test.ts: no test of it ran",
        "empty_test.ts: no test of it ran",
      ],
      ignored: ["bad_test.ts: is ignored"],
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("names are what they were before they were escaped", () => {
  const xml = `<testsuites><testsuite name="./x/a_test.ts" tests="1">
    <testcase name="a &amp;lt; b &#x2192; &#99; &apos;&quot;&nothing;" classname="x"></testcase>
    </testsuite></testsuites>`;
  assert.deepEqual(readJunit(xml), [
    { file: "x/a_test.ts", passed: [`a &lt; b → c '"&nothing;`], failed: [], ignored: [] },
  ]);
  assert.deepEqual(readJunit(""), []);
});

Deno.test("a run that fails without a failed test has failed", () => {
  const { passed, failed } = judge(SUITE, ["a_test.ts"], { code: 1, timedOut: false }, [A]);
  assert.deepEqual({ passed, failed }, {
    passed: 2,
    failed: ["the run ended with status 1 though no test failed"],
  });
});

Deno.test("a run that was stopped says after how long, and not that every file is missing", () => {
  const { failed } = judge(SUITE, ["a_test.ts", "b_test.ts"], { code: 143, timedOut: true }, []);
  assert.deepEqual(failed, ["2 files: stopped after 1 min; the test named last above did not end"]);
});

Deno.test("a suite without a test fails", async () => {
  assert.deepEqual((await runSuite(SUITE, [])).failed, ["there is no test to run"]);
  assert.deepEqual(judge(SUITE, ["a_test.ts", "b_test.ts"], ENDED, []).failed, [
    "no test ran, the run ended with status 0",
  ]);
});

Deno.test("file by file, one that hangs is ended, and the others are run; what is left at the end has failed", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kata-suites-test-" });
  try {
    const texts = {
      "a_test.ts": `Deno.test("passes", () => {});`,
      "b_test.ts": `Deno.test("hangs", () => new Promise((resolve) => setTimeout(resolve, 600_000)));`,
      "c_test.ts": `Deno.test("fails", () => { throw new Error("wrong"); });`,
    };
    // as the report names them
    const files = Object.keys(texts).map((name) => relative(ROOT, `${folder}/${name}`));
    for (const [name, text] of Object.entries(texts)) await Deno.writeTextFile(`${folder}/${name}`, text);
    const suite = { ...SUITE, limitMinutes: 0.25, fileByFile: true };
    const { passed, failed } = await runSuite(suite, files);
    assert.equal(passed, 1);
    assert.equal(failed.length, 2);
    assert.match(
      failed[0] ?? "",
      /b_test\.ts: stopped after 0\.25 min; the test named last above did not end$/,
    );
    assert.match(failed[1] ?? "", /c_test\.ts: fails$/);
    const late = await runSuite({ ...suite, totalMinutes: 0 }, files);
    assert.equal(late.passed, 0);
    assert.match(late.failed[2] ?? "", /c_test\.ts: not run, as all before took longer than 0 min$/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the closing line sums up the suites, after the names of what failed", () => {
  assert.deepEqual(
    summary([
      { suite: "unit", passed: 3, failed: ["a_test.ts: x"], ignored: ["b_test.ts: y"] },
      { suite: "e2e", passed: 4, failed: [], ignored: [] },
    ]),
    ["ignored: unit: b_test.ts: y", "FAILED: unit: a_test.ts: x", "7 passed, 1 failed"],
  );
});

Deno.test("every test file of the repository belongs to one suite", async () => {
  const files = await testFiles();
  assert.ok(files.includes("tools/suites_test.ts"));
  for (const file of files) {
    assert.equal(Object.values(SUITES).filter((suite) => suite.has(file)).length, 1, file);
  }
  const tracked = await run(["git", "ls-files", "*_test.ts"], { cwd: ROOT }).catch(() => "");
  for (const file of tracked.trim().split("\n")) assert.ok(file === "" || files.includes(file), file);
});

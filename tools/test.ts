/**
 * `deno task test` and its relatives: runs suites of tests and closes with one line that sums them up.
 *
 * `tools/test.ts all|unit|guest|e2e [part of a file's path …]`
 *
 * `all` prepares first what the tests need (set-up, executable, guest) and checks format, lint, types and generated
 * files; the others run tests only, with what was built last.
 *
 * @module
 */

import { runBounded } from "./bounded.ts";
import { type Outcome, runChecks, runSuite, type Suite, SUITES, testFiles } from "./suites.ts";

/** What `all` does first, in order; each step needs the one before it. */
const PREPARATIONS = ["setup", "build", "guest"];
const PREPARATION = "preparation";
const PREPARATION_LIMIT_MINUTES = 30;

/** Runs the preparations; the outcome counts failures only. */
async function prepare(): Promise<Outcome> {
  const failed: string[] = [];
  for (const task of PREPARATIONS) {
    console.log(`==> ${task}`);
    const ended = await runBounded([Deno.execPath(), "task", task], PREPARATION_LIMIT_MINUTES * 60_000);
    if (!ended.timedOut && ended.code === 0) continue;
    failed.push(ended.timedOut ? `${task}: stopped after ${PREPARATION_LIMIT_MINUTES} min` : task);
    break;
  }
  return { suite: PREPARATION, passed: 0, failed, ignored: [] };
}

/** Without the executable and the guest, or with old ones, a suite would test nothing, or something else. */
function notRun({ name }: Suite): Outcome {
  return { suite: name, passed: 0, failed: ["not run, as the preparation failed"], ignored: [] };
}

/** The suites that a word on the command line stands for. */
function suitesOf(word: string): readonly Suite[] | undefined {
  if (word === "all") return Object.values(SUITES);
  return Object.values(SUITES).filter((suite) => suite.name === word);
}

/** The files of a suite whose paths contain one of the filters; all of them when there is no filter. */
function chosen(suite: Suite, files: readonly string[], filters: readonly string[]): string[] {
  const own = files.filter((file) => suite.has(file));
  return filters.length === 0 ? own : own.filter((file) => filters.some((part) => file.includes(part)));
}

/** The last lines: what did not run, what failed, and the sum. */
export function summary(outcomes: readonly Outcome[]): string[] {
  const lines: string[] = [];
  for (const { suite, ignored } of outcomes) {
    lines.push(...ignored.map((name) => `ignored: ${suite}: ${name}`));
  }
  for (const { suite, failed } of outcomes) lines.push(...failed.map((name) => `FAILED: ${suite}: ${name}`));
  const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
  const failed = outcomes.reduce((sum, outcome) => sum + outcome.failed.length, 0);
  return [...lines, `${passed} passed, ${failed} failed`];
}

async function main([word = "", ...filters]: readonly string[]): Promise<number> {
  const suites = suitesOf(word) ?? [];
  if (suites.length === 0) {
    console.error(`test: say which tests: all, ${Object.keys(SUITES).join(", ")}`);
    return 2;
  }
  const files = await testFiles();
  const plan = suites
    .map((suite) => ({ suite, files: chosen(suite, files, filters) }))
    // a filter that chooses nothing of one suite may choose of another
    .filter((part) => filters.length === 0 || part.files.length > 0);
  if (plan.length === 0) {
    console.error(`test: no test file's path contains ${filters.map((part) => `"${part}"`).join(" or ")}`);
    return 2;
  }
  const outcomes: Outcome[] = [];
  if (word === "all") outcomes.push(await prepare(), await runChecks());
  const unprepared = outcomes.some((outcome) => outcome.suite === PREPARATION && outcome.failed.length > 0);
  for (const { suite, files } of plan) {
    const skip = unprepared && suite !== SUITES.unit;
    outcomes.push(skip ? notRun(suite) : await runSuite(suite, files));
  }
  for (const line of summary(outcomes)) console.log(line);
  return outcomes.some((outcome) => outcome.failed.length > 0) ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));

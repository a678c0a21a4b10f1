/**
 * The suites of tests: what belongs to each, how long it may take, and what came of running it.
 *
 * @module
 */

import { type Ended, runBounded } from "./bounded.ts";
import { type FileReport, readJunit } from "./junit.ts";
import { ROOT } from "./paths.ts";

/** A suite of tests that `deno test` runs. */
export interface Suite {
  readonly name: string;
  /** Whether a file, by its path in the repository, belongs to it. */
  has(file: string): boolean;
  /** How long one run of `deno test` may take. */
  readonly limitMinutes: number;
  /**
   * Whether each file has a run of its own. Where machines boot it has: what hangs costs its own file only, and what
   * failed is told while the others run.
   */
  readonly fileByFile?: boolean;
  /** How long all runs may take together, where there are several; files that are left then have failed. */
  readonly totalMinutes?: number;
}

/** What came of a suite. */
export interface Outcome {
  readonly suite: string;
  readonly passed: number;
  /** Names of failed tests, and of what else went wrong. */
  readonly failed: readonly string[];
  readonly ignored: readonly string[];
}

const inGuest = (file: string): boolean => file.startsWith("tests/guest/");
const inE2e = (file: string): boolean => file.startsWith("tests/e2e/");

/** Every test file belongs to exactly one of them. */
export const SUITES = {
  unit: { name: "unit", has: (file) => !inGuest(file) && !inE2e(file), limitMinutes: 20 },
  guest: { name: "guest", has: inGuest, limitMinutes: 8, fileByFile: true, totalMinutes: 20 },
  e2e: { name: "e2e", has: inE2e, limitMinutes: 8, fileByFile: true, totalMinutes: 35 },
} as const satisfies Record<string, Suite>;

/** What is checked besides tests; each counts as one. */
const CHECKS: readonly { readonly name: string; readonly args: readonly string[] }[] = [
  { name: "fmt", args: ["fmt", "--check"] },
  { name: "lint", args: ["lint"] },
  { name: "check", args: ["check"] },
  { name: "gen", args: ["run", "-A", "tools/gen.ts", "--check"] },
  { name: "docs", args: ["run", "-A", "tools/docs.ts", "--check"] },
];
const CHECKS_LIMIT_MINUTES = 10;
const MINUTE_MS = 60_000;

const NOT_OURS = new Set(["dist", "node_modules"]);

/** All test files below a folder, by their paths in it, sorted. */
export async function testFiles(root: string = ROOT, below = ""): Promise<string[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(`${root}/${below}`)) {
    if (entry.name.startsWith(".") || NOT_OURS.has(entry.name)) continue;
    const path = `${below}${entry.name}`;
    if (entry.isDirectory) files.push(...await testFiles(root, `${path}/`));
    else if (entry.name.endsWith("_test.ts")) files.push(path);
  }
  return below === "" ? files.sort() : files;
}

/** Runs the checks, one after the other. */
export async function runChecks(): Promise<Outcome> {
  const failed: string[] = [];
  for (const { name, args } of CHECKS) {
    console.log(`==> ${name}`);
    const ended = await runBounded([Deno.execPath(), ...args], CHECKS_LIMIT_MINUTES * MINUTE_MS);
    if (ended.timedOut) failed.push(`${name}: stopped after ${CHECKS_LIMIT_MINUTES} min`);
    else if (ended.code !== 0) failed.push(name);
  }
  return { suite: "checks", passed: CHECKS.length - failed.length, failed, ignored: [] };
}

/** Runs the tests of a suite that are in `files`. */
export async function runSuite(suite: Suite, files: readonly string[]): Promise<Outcome> {
  console.log(`==> ${suite.name} tests: ${files.length} files`);
  if (files.length === 0) return failure(suite, "there is no test to run");
  if (!suite.fileByFile) return await runFiles(suite, files);
  const deadline = performance.now() + (suite.totalMinutes ?? Infinity) * MINUTE_MS;
  const outcomes: Outcome[] = [];
  for (const file of files) {
    const isLate = performance.now() > deadline;
    const late = `${file}: not run, as all before took longer than ${suite.totalMinutes} min`;
    outcomes.push(isLate ? failure(suite, late) : await runFiles(suite, [file]));
  }
  return {
    suite: suite.name,
    passed: outcomes.reduce((sum, { passed }) => sum + passed, 0),
    failed: outcomes.flatMap(({ failed }) => failed),
    ignored: outcomes.flatMap(({ ignored }) => ignored),
  };
}

/** Runs files in one run of `deno test`. */
async function runFiles(suite: Suite, files: readonly string[]): Promise<Outcome> {
  const path = await Deno.makeTempFile({ prefix: "kata-tests-", suffix: ".xml" });
  try {
    // types are what the check above is for
    const args = ["test", "--allow-all", "--no-check", `--junit-path=${path}`, ...files];
    const ended = await runBounded([Deno.execPath(), ...args], suite.limitMinutes * MINUTE_MS);
    return judge(suite, files, ended, readJunit(await Deno.readTextFile(path)));
  } finally {
    await Deno.remove(path);
  }
}

function failure(suite: Suite, sentence: string): Outcome {
  return { suite: suite.name, passed: 0, failed: [sentence], ignored: [] };
}

/**
 * What came of a run, by its exit status and its report.
 *
 * The report leaves out a file that could not be loaded, and is empty when the run was broken off: that a file is not
 * in it, or that the run failed without a failed test, is a failure too.
 */
export function judge(
  suite: Suite,
  files: readonly string[],
  ended: Ended,
  reports: readonly FileReport[],
): Outcome {
  const passed = reports.reduce((sum, report) => sum + report.passed.length, 0);
  const ignored = reports.flatMap(({ file, ignored }) => ignored.map((test) => `${file}: ${test}`));
  const failed = reports.flatMap(({ file, failed }) => failed.map((test) => `${file}: ${test}`));
  if (ended.timedOut) {
    const which = files.length === 1 ? files[0] : `${files.length} files`;
    failed.push(`${which}: stopped after ${suite.limitMinutes} min; the test named last above did not end`);
  } else if (reports.length === 0) {
    failed.push(`no test ran, the run ended with status ${ended.code}`);
  } else {
    const ran = new Set(reports.filter((report) => sizeOf(report) > 0).map((report) => report.file));
    for (const file of files) if (!ran.has(file)) failed.push(`${file}: no test of it ran`);
    if (ended.code !== 0 && failed.length === 0) {
      failed.push(`the run ended with status ${ended.code} though no test failed`);
    }
  }
  return { suite: suite.name, passed, failed, ignored };
}

function sizeOf({ passed, failed, ignored }: FileReport): number {
  return passed.length + failed.length + ignored.length;
}

/**
 * Reading the report that `deno test --junit-path` writes.
 *
 * @module
 */

/** How the tests of one file ended; a step of a test counts as a test of its own. */
export interface FileReport {
  /** As it was named to `deno test`, without a leading `./`. */
  readonly file: string;
  readonly passed: readonly string[];
  readonly failed: readonly string[];
  readonly ignored: readonly string[];
}

const SUITE = /<testsuite name="([^"]*)"[^>]*>([\s\S]*?)<\/testsuite>/g;
const CASE = /<testcase name="([^"]*)"[^>]*>([\s\S]*?)<\/testcase>/g;

/** What a report says of each file. Text inside its elements is escaped, so that tags are what they seem. */
export function readJunit(xml: string): FileReport[] {
  return [...xml.matchAll(SUITE)].map(([, file = "", cases = ""]) => {
    const report = { file: unescape(file).replace(/^\.\//, ""), passed: [], failed: [], ignored: [] };
    const lists: Record<"passed" | "failed" | "ignored", string[]> = report;
    for (const [, name = "", body = ""] of cases.matchAll(CASE)) lists[outcomeOf(body)].push(unescape(name));
    return report;
  });
}

/** A test that was cancelled is an `error`. */
function outcomeOf(body: string): "passed" | "failed" | "ignored" {
  if (/<(failure|error)\b/.test(body)) return "failed";
  return /<skipped\b/.test(body) ? "ignored" : "passed";
}

const ENTITIES: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

function unescape(text: string): string {
  return text.replace(/&(#x?)?(\w+);/g, (whole, kind: string | undefined, body: string) => {
    if (kind === undefined) return ENTITIES[body] ?? whole;
    return String.fromCodePoint(Number.parseInt(body, kind === "#x" ? 16 : 10));
  });
}

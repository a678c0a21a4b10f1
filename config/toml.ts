/** TOML with error recovery, and with line numbers for messages. */

import { parse, TomlError } from "smol-toml";

/** The parsed text, as far as it could be parsed. */
export interface Parsed {
  readonly tables: Readonly<Record<string, unknown>>;
  readonly problems: readonly Problem[];
}

/** A line that is no TOML. */
export interface Problem {
  /** Counted from 1. */
  readonly line: number;
  readonly problem: string;
}

/** Lines that are given up before the rest of a text is. */
const MAX_PROBLEMS = 20;

/** The beginning of a key or of a table: what is wrong with it is no consequence of what stands before it. */
const STATEMENT = /^\s*(\[{1,2}\s*)?["'\w][^=\]]*[=\]]/;

/**
 * Parses a text. A line that cannot be parsed is reported and left out, so that what is wrong in the rest shows, too.
 * Later problems count only where a statement begins: others may follow from the first.
 */
export function parseLines(text: string): Parsed {
  const problems: Problem[] = [];
  const lines = text.split("\n");
  for (let tries = 0; tries < MAX_PROBLEMS; tries++) {
    try {
      const rest = tries === 0 ? text : lines.join("\n");
      return { tables: parse(rest, { integersAsBigInt: "asNeeded" }), problems };
    } catch (error) {
      if (!(error instanceof TomlError)) throw error;
      const line = Math.min(Math.max(error.line, 1), lines.length);
      const left = lines[line - 1] ?? "";
      if (problems.length === 0 || STATEMENT.test(left)) {
        problems.push({ line, problem: firstLine(error.message) });
      }
      // the parser may name the line behind the culprit, which then is empty
      if (left.trim() === "") return { tables: {}, problems };
      lines[line - 1] = "";
    }
  }
  return { tables: {}, problems };
}

function firstLine(message: string): string {
  return message.split("\n")[0]?.replace(/^Invalid TOML document: /, "") ?? "";
}

/**
 * The lines of a text's tables and keys by their dotted names, counted from 1. What is written in an unusual way
 * (inside an inline table) is not there.
 */
export function linesOf(text: string): Map<string, number> {
  const found = new Map<string, number>();
  let table = "";
  /** the end of a text of several lines that the line is in */
  let open: string | undefined;
  /** brackets of an array of several lines that are not closed yet */
  let depth = 0;
  for (const [index, raw] of text.split("\n").entries()) {
    let line = raw;
    if (open !== undefined) {
      const end = line.indexOf(open);
      if (end < 0) continue;
      line = `""${line.slice(end + open.length)}`;
      open = undefined;
    } else if (depth === 0) table = note(found, table, line, index + 1);
    const plain = withoutTexts(line);
    open = /("""|''')/.exec(plain)?.[1];
    depth = Math.max(0, depth + count(plain, "[") - count(plain, "]"));
  }
  return found;
}

/** @returns the table that the next lines belong to */
function note(found: Map<string, number>, table: string, line: string, number: number): string {
  const header = /^\s*\[{1,2}\s*([^\[\]]+?)\s*\]/.exec(line)?.[1];
  const name = header === undefined ? /^\s*([\w.\-"' \t]+?)\s*=/.exec(line)?.[1] : undefined;
  const dotted = (header ?? name)?.replace(/["'\s]/g, "");
  if (dotted === undefined) return table;
  const path = header === undefined && table !== "" ? `${table}.${dotted}` : dotted;
  // with the tables that it makes by being in them
  for (let known = path; known !== "" && !found.has(known); known = known.replace(/\.?[^.]*$/, "")) {
    found.set(known, number);
  }
  return header === undefined ? table : path;
}

/** A line without its texts and comments, but with the beginning of a text of several lines. */
function withoutTexts(line: string): string {
  return line
    .replace(/"""(?:[^"\\]|\\.|"(?!""))*"""|'''[^]*?'''/g, "")
    .replace(/("""|''')|"(?:[^"\\]|\\.)*"|'[^']*'|#.*/g, (_, long) => long ?? "");
}

function count(text: string, char: string): number {
  return text.split(char).length - 1;
}

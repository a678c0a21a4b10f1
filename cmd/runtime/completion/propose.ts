/**
 * What may come next on a command line.
 *
 * @module
 */

import { proposeWords, targetOf } from "../app.ts";
import { GLOBAL_OPTIONS } from "../globals.ts";
import { print } from "../output.ts";

/** A word that may come next. */
export interface Proposal {
  readonly word: string;
  readonly brief: string;
}

/** What may come next: words, or names of files or folders that the shell knows best. */
export interface Proposals {
  readonly words: readonly Proposal[];
  readonly files?: "files" | "folders";
}

const NOTHING: Proposals = { words: [] };

/** Prints what may follow the words, one a line: what the shells' scripts of other programs read. */
export async function printProposals(words: readonly string[]): Promise<number> {
  const { words: found } = await propose([...words, ""]);
  print(found.map(({ word }) => `${word}\n`).join(""));
  return 0;
}

/** What may stand for the last of the words, which has been typed in part. */
export async function propose(words: readonly string[]): Promise<Proposals> {
  const finished = words.slice(0, -1);
  const partial = words.at(-1) ?? "";
  const start = commandStart(finished);
  if (typeof start !== "number") return start;
  const command = finished.slice(start);
  if (command.length === 0 && partial.startsWith("-")) {
    return { words: globalOptionWords().filter(({ word }) => word.startsWith(partial)) };
  }
  const [first] = command;
  if (first === "help" || first === "h") return await propose([...command.slice(1), partial]);
  const valueOf = valueKind(command);
  if (valueOf !== undefined) return { words: [], files: valueOf };
  const found = await proposeWords([...command, partial]);
  const proposals = found.map(({ completion, brief }) => ({ word: completion, brief }));
  if (command.length === 0) proposals.push({ word: "help", brief: "explain a command" });
  return { words: proposals.filter(({ word }) => word.startsWith(partial)) };
}

/** Where the command starts, behind the global options; what to propose if the last of those still lacks its value. */
function commandStart(words: readonly string[]): number | Proposals {
  let at = 0;
  while (at < words.length && (words[at] ?? "").startsWith("-")) {
    const word = (words[at] ?? "").replace(/^--?/, "");
    const option = GLOBAL_OPTIONS.find(({ names }) => names.includes(word.split("=")[0] ?? ""));
    at += option?.placeholder === undefined || word.includes("=") ? 1 : 2;
    if (at > words.length) {
      if (option?.values) return { words: option.values.map((value) => ({ word: value, brief: "" })) };
      return option?.placeholder === "DIR" ? { words: [], files: "folders" } : { words: [], files: "files" };
    }
  }
  return words.includes("--") && at === words.length ? NOTHING : at;
}

function globalOptionWords(): Proposal[] {
  return GLOBAL_OPTIONS.map(({ names, brief }) => ({ word: `--${names[0]}`, brief }));
}

/** Whether the last word is an option of the command whose value is a file or a folder. */
function valueKind(command: readonly string[]): Proposals["files"] {
  const last = command.at(-1) ?? "";
  const target = targetOf(command);
  if (
    !/^--?[a-z]/.test(last) || command.includes("--") || target === undefined || !("parameters" in target)
  ) {
    return undefined;
  }
  const name = last.replace(/^--?/, "").replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const flag = target.parameters.flags?.[name];
  if (flag === undefined || flag.kind === "boolean") return undefined;
  const placeholder = "placeholder" in flag ? flag.placeholder : undefined;
  return placeholder === "FILE" ? "files" : placeholder === "DIR" ? "folders" : undefined;
}

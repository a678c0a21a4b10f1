/**
 * What may come next on a command line.
 *
 * @module
 */

import { HOST_PATHS } from "../../../sandbox/state/paths.ts";
import { proposeWords, targetOf } from "../app.ts";
import { GLOBAL_OPTIONS, type GlobalOption } from "../globals.ts";
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

/** Prints what may follow the words, one a line: what the shells' scripts of other programs read. */
export async function printWords(words: readonly string[]): Promise<number> {
  const { words: found } = await propose([...words, ""]);
  print(found.map(({ word }) => `${word}\n`).join(""));
  return 0;
}

/** Answers our own scripts: see `scripts.ts`. @param words the last is the one that is typed */
export async function answerShell(words: readonly string[]): Promise<number> {
  const { words: found, files } = await propose(words);
  print(files === undefined ? found.map(({ word, brief }) => `${word}\t${brief}\n`).join("") : `:${files}\n`);
  return 0;
}

/** What may stand for the last of the words, which has been typed in part. */
export async function propose(words: readonly string[]): Promise<Proposals> {
  const finished = words.slice(0, -1);
  const partial = words.at(-1) ?? "";
  const { command, waiting } = commandOf(finished);
  if (waiting !== undefined) return valuesOf(waiting, partial);
  const [first, ...others] = command;
  if (first === undefined && partial.startsWith("-")) {
    return { words: startingWith(partial, globalOptions()) };
  }
  if (first === "help" || first === "h") return await propose([...others, partial]);
  const kind = placeholderOf(command);
  if (kind === "FILE") return { words: [], files: "files" };
  if (kind === "DIR") return { words: [], files: "folders" };
  if (isSandbox(kind)) return { words: startingWith(partial, sandboxes()) };
  const found = await proposeWords([...command, partial]);
  const proposals = found.map(({ completion, brief }) => ({ word: completion, brief }));
  if (first === undefined) proposals.push({ word: "help", brief: "explain a command" });
  if (!partial.startsWith("-") && takesSandbox(command)) proposals.unshift(...sandboxes());
  return { words: startingWith(partial, proposals) };
}

function startingWith(partial: string, proposals: readonly Proposal[]): Proposal[] {
  return proposals.filter(({ word }) => word.startsWith(partial));
}

/** The command behind the options before it; `waiting`: the option that still lacks its value. */
function commandOf(words: readonly string[]): { command: readonly string[]; waiting?: GlobalOption } {
  let at = 0;
  while (at < words.length && (words[at] ?? "").startsWith("-")) {
    const word = (words[at] ?? "").replace(/^--?/, "");
    const option = GLOBAL_OPTIONS.find(({ names }) => names.includes(word.split("=")[0] ?? ""));
    const takesNext = option?.placeholder !== undefined && !word.includes("=");
    if (takesNext && at + 1 === words.length) return { command: [], waiting: option };
    at += takesNext ? 2 : 1;
  }
  return { command: words.slice(at) };
}

function valuesOf({ values, placeholder }: GlobalOption, partial: string): Proposals {
  if (values !== undefined) {
    return { words: startingWith(partial, values.map((word) => ({ word, brief: "" }))) };
  }
  return { words: [], files: placeholder === "DIR" ? "folders" : "files" };
}

function globalOptions(): Proposal[] {
  return GLOBAL_OPTIONS.map(({ names, brief }) => ({ word: `--${names[0]}`, brief }));
}

/** What the value of the option is called that the words end with; undefined: they end with none that takes a value. */
function placeholderOf(command: readonly string[]): string | undefined {
  const last = command.at(-1) ?? "";
  const target = targetOf(command);
  if (
    !/^--?[a-z]/.test(last) || command.includes("--") || target === undefined || !("parameters" in target)
  ) {
    return undefined;
  }
  const name = last.replace(/^--?/, "").replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const flags = target.parameters.flags ?? {};
  const flag = Object.hasOwn(flags, name) ? flags[name] : undefined;
  return flag !== undefined && flag.kind === "parsed" ? flag.placeholder : undefined;
}

function takesSandbox(command: readonly string[]): boolean {
  const target = targetOf(command);
  const positional = target !== undefined && "parameters" in target
    ? target.parameters.positional
    : undefined;
  if (positional === undefined) return false;
  const first = positional.kind === "tuple" ? positional.parameters[0] : positional.parameter;
  return isSandbox(first?.placeholder);
}

function isSandbox(placeholder: string | undefined): boolean {
  return /^sandbox(-id)?$/i.test(placeholder ?? "");
}

function sandboxes(): Proposal[] {
  try {
    return [...Deno.readDirSync(HOST_PATHS.state)].map(({ name }) => ({ word: name, brief: "sandbox" }));
  } catch {
    return [];
  }
}

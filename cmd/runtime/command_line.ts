/**
 * A whole line of `kata-runtime`: the options before the command, then the command.
 *
 * @module
 */

import { failure } from "./failure.ts";
import { type CommandLine, type Globals, readCommandLine } from "./globals.ts";
import { print, printError } from "./output.ts";

/** As the last word it asks for what could stand in its place. */
const COMPLETION_WORD = "--generate-bash-completion";

/** As the first word it makes the answer one for the scripts that `completion` prints. */
const SHELL_WORD = "__complete";

/**
 * Runs a command line; every failure is one sentence on standard error.
 *
 * @param name what the program was called
 * @returns the process's exit code
 */
export async function runLine(name: string, args: readonly string[]): Promise<number> {
  try {
    if (args.at(-1) === COMPLETION_WORD) {
      return await (await import("./completion/propose.ts")).printWords(args.slice(0, -1));
    }
    if (args[0] === SHELL_WORD) {
      return await (await import("./completion/propose.ts")).answerShell(args.slice(1));
    }
    return await runParsed(name, readCommandLine(args));
  } catch (error) {
    printError(`${failure(error)}\n`);
    return 1;
  }
}

async function runParsed(name: string, { globals, question, rest }: CommandLine): Promise<number> {
  switch (question) {
    case "default config paths":
      print((await import("../../config/files.ts")).DEFAULT_FILES.map((path) => `${path}\n`).join(""));
      return 0;
    case "version":
      return (await import("./version.ts")).printVersion(name, rest);
    case "help":
      return await (await import("./app.ts")).runApp([...rest, "--help"], globals);
  }
  const quick = await quickly(rest, globals);
  if (quick !== undefined) return quick;
  const { runApp } = await import("./app.ts");
  const [word, ...others] = rest;
  if (word === "help" || word === "h") return await runApp([...others, "--help"], globals);
  return await runApp(word === undefined ? ["--help"] : rest, globals);
}

/** A failure is appended to the file of `--log`, as for other commands. */
async function quickly(words: readonly string[], globals: Globals): Promise<number | undefined> {
  try {
    return await (await import("./quick.ts")).runQuickly(words, globals);
  } catch (error) {
    if (globals.log === undefined) throw error;
    const { withLog } = await import("./log_file.ts");
    throw new Error(withLog(globals, words[0], failure(error)), { cause: error });
  }
}

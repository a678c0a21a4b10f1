/**
 * Options that stand before the command: `kata-runtime --config FILE run …`.
 *
 * @module
 */

import { resolve } from "../../sys/path.ts";
import { didYouMean } from "./spelling.ts";

/** What the options before the command say. */
export interface Globals {
  /** `configuration.toml` to use; undefined: it is looked for */
  readonly config?: string;
  /** file that errors, and what commands log, are appended to */
  readonly log?: string;
  readonly logFormat: "text" | "json";
  /** folder for the state of containers that are run by OCI commands */
  readonly root: string;
  /** "auto": by the user who runs it */
  readonly rootless: boolean | "auto";
  /** cgroup paths have the form `slice:prefix:name` */
  readonly systemdCgroup: boolean;
}

/** Nothing was said. */
export const DEFAULT_GLOBALS: Globals = {
  logFormat: "text",
  root: "/var/run/kata-containers",
  rootless: "auto",
  systemdCgroup: false,
};

/** A usage error; the message is meant for the user. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What a line asks for instead of a command. */
export type Question = "help" | "version" | "default config paths";

/** A line, taken apart. */
export interface CommandLine {
  readonly globals: Globals;
  /** an option that is answered without a command */
  readonly question?: Question;
  /** the command and what follows it */
  readonly rest: readonly string[];
}

/** An option before the command. */
export interface GlobalOption {
  /** the first is shown, the others are taken as well */
  readonly names: readonly string[];
  /** what its value is; undefined: it has none */
  readonly placeholder?: string;
  readonly brief: string;
  readonly values?: readonly string[];
  apply(globals: Globals, value: string): Globals | Question;
}

/** All of them, in the order of the help. */
export const GLOBAL_OPTIONS: readonly GlobalOption[] = [
  {
    names: ["config", "kata-config"],
    placeholder: "FILE",
    brief: "configuration.toml to use",
    apply: (globals, config) => ({ ...globals, config }),
  },
  {
    names: ["log"],
    placeholder: "FILE",
    brief: "append log lines and errors to this file",
    apply: (globals, log) => ({ ...globals, log }),
  },
  {
    names: ["log-format"],
    placeholder: "FORMAT",
    values: ["text", "json"],
    brief: "format of the log: text or json",
    apply: (globals, format) => {
      if (format === "text" || format === "json") return { ...globals, logFormat: format };
      throw new UsageError(`unknown log-format "${format}": must be "text" or "json"`);
    },
  },
  {
    names: ["root"],
    placeholder: "DIR",
    brief: "folder for the state of containers",
    apply: (globals, root) => {
      if (resolve("/", root) === "/" && root.startsWith("/")) {
        throw new UsageError("Option --root argument should not be set to /");
      }
      return { ...globals, root };
    },
  },
  {
    names: ["rootless"],
    placeholder: "WHEN",
    values: ["true", "false", "auto"],
    brief: "run without root privileges: true, false or auto",
    apply: (globals, text) => ({ ...globals, rootless: readRootless(text) }),
  },
  {
    names: ["systemd-cgroup"],
    brief: "cgroup paths have the form slice:prefix:name",
    apply: (globals, text) => ({ ...globals, systemdCgroup: readSwitch("systemd-cgroup", text) }),
  },
  {
    names: ["show-default-config-paths", "kata-show-default-config-paths"],
    brief: "print the paths where the configuration is looked for, and exit",
    apply: (globals, text) =>
      readSwitch("show-default-config-paths", text) ? "default config paths" : globals,
  },
  {
    names: ["help", "h"],
    brief: "print this help, and exit",
    apply: (globals, text) => readSwitch("help", text) ? "help" : globals,
  },
  {
    names: ["version", "v"],
    brief: "print the version, and exit",
    apply: (globals, text) => readSwitch("version", text) ? "version" : globals,
  },
];

/** Spellings of true and false that Go programs accept. */
const TRUE = ["1", "t", "T", "TRUE", "true", "True"];
const FALSE = ["0", "f", "F", "FALSE", "false", "False"];

/**
 * Takes a line apart: options with one or two dashes, `--name=value` or `--name value`, up to the first word that is
 * none. The folder of default paths is asked for before anything else counts, even a mistake.
 *
 * @throws {UsageError}
 */
export function readCommandLine(args: readonly string[]): CommandLine {
  let globals = DEFAULT_GLOBALS;
  let question: Question | undefined;
  let at = 0;
  while (at < args.length) {
    const word = args[at] ?? "";
    if (!word.startsWith("-") || word === "-") break;
    at++;
    if (word === "--") break;
    const { option, name, value } = optionOf(word);
    let given = value;
    if (option.placeholder !== undefined && given === undefined) {
      given = args[at++];
      if (given === undefined) throw new UsageError(`flag needs an argument: -${name}`);
    }
    const applied = option.apply(globals, given ?? "true");
    if (typeof applied === "string") question ??= applied;
    else globals = applied;
    if (question === "default config paths") break;
  }
  return { globals, rest: args.slice(at), ...(question !== undefined && { question }) };
}

function optionOf(word: string): { option: GlobalOption; name: string; value?: string } {
  const [, name = "", , value] = /^--?([^=]*)(=([^]*))?$/.exec(word) ?? [];
  const option = GLOBAL_OPTIONS.find(({ names }) => names.includes(name));
  if (option === undefined) {
    const names = GLOBAL_OPTIONS.flatMap((one) => one.names);
    throw new UsageError(
      `flag provided but not defined: -${name}${didYouMean(name, names, (near) => `--${near}`)}`,
    );
  }
  return { option, name, ...(value !== undefined && { value }) };
}

function readSwitch(name: string, text: string): boolean {
  if (TRUE.includes(text)) return true;
  if (FALSE.includes(text)) return false;
  throw new UsageError(`invalid value "${text}" for flag -${name}: must be true or false`);
}

function readRootless(text: string): boolean | "auto" {
  if (text === "" || text === "auto") return "auto";
  if (TRUE.includes(text)) return true;
  if (FALSE.includes(text)) return false;
  throw new UsageError(`invalid value "${text}" for flag -rootless: must be true, false or auto`);
}

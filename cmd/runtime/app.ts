import { buildApplication, buildRouteMap, proposeCompletions, run, text_en } from "@stricli/core";
import { nearest } from "../../config/nearest.ts";
import { checkCommand } from "./check/command.ts";
import { completionRoutes } from "./completion/command.ts";
import { configRoutes } from "./config/command.ts";
import { directVolumeRoutes } from "./direct_volume/command.ts";
import { envCommand } from "./env/command.ts";
import { execCommand } from "./exec/command.ts";
import { explainCommand } from "./explain/command.ts";
import { failure } from "./failure.ts";
import { DEFAULT_GLOBALS, type Globals } from "./globals.ts";
import { guestRoutes } from "./guest/command.ts";
import { HELP_EXAMPLES } from "./help.ts";
import { installCommand, uninstallCommand } from "./install/command.ts";
import { iptablesRoutes } from "./iptables/command.ts";
import { listCommand } from "./list/command.ts";
import { withLog } from "./log_file.ts";
import { logsCommand } from "./logs/command.ts";
import { metricsCommand } from "./metrics/command.ts";
import { argumentMistake, unknownCommand } from "./mistakes.ts";
import { print, printError } from "./output.ts";
import { runCommand } from "./run/command.ts";
import { CANNOT_RUN } from "./run/exit_code.ts";
import { versionCommand } from "./version_command.ts";

/** Context of a command besides its flags: the streams it writes to, and its exit code. */
export interface AppContext {
  readonly process: {
    readonly stdout: { write(text: string): void };
    readonly stderr: { write(text: string): void };
    exitCode?: number | string | null;
  };
  /** the options before the command */
  readonly globals: Globals;
}

const routes = buildRouteMap<string, AppContext>({
  routes: {
    check: checkCommand,
    env: envCommand,
    run: runCommand,
    explain: explainCommand,
    list: listCommand,
    exec: execCommand,
    logs: logsCommand,
    metrics: metricsCommand,
    "direct-volume": directVolumeRoutes,
    iptables: iptablesRoutes,
    guest: guestRoutes,
    config: configRoutes,
    install: installCommand,
    uninstall: uninstallCommand,
    completion: completionRoutes,
    version: versionCommand,
  },
  aliases: { "kata-check": "check", "kata-env": "env" },
  docs: { brief: "containers in lightweight virtual machines", fullDescription: HELP_EXAMPLES },
});

/** Commands that take no more words than this, and ignore others, as their callers are used to. */
const IGNORES_BEYOND: ReadonlyMap<unknown, number> = new Map<unknown, number>([
  [checkCommand, 0],
  [envCommand, 0],
  [metricsCommand, 1],
  [versionCommand, 0],
]);

/** An application for one line. @param args the line, @param globals the options before it */
function applicationFor(args: readonly string[], globals: Globals) {
  const logged = (message: string): string => withLog(globals, args[0], message);
  return buildApplication(routes, {
    name: "kata-runtime",
    scanner: { caseStyle: "allow-kebab-for-camel", allowArgumentEscapeSequence: true },
    documentation: { disableAnsiColor: true },
    localization: {
      text: {
        ...text_en,
        // An error is a sentence for its reader; the stack is of no use to them.
        formatException: failure,
        noCommandRegisteredForInput: ({ input }) => {
          const { words, names } = groupOf(args);
          return logged(unknownCommand(input, nearest(input, names), words));
        },
        exceptionWhileParsingArguments: (error) => logged(argumentMistake(error, args)),
        exceptionWhileRunningCommand: (error) => logged(failure(error)),
        exceptionWhileLoadingCommandFunction: (error) => logged(failure(error)),
        exceptionWhileRunningIntegrationFlag: ({ exception }) => logged(failure(exception)),
        commandErrorResult: (error) => logged(error.message),
      },
    },
  });
}

/**
 * Runs the `kata-runtime` command line.
 *
 * @param args the command and what follows it
 * @returns the exit code: the command's own, or 1 after a mistake in the arguments or a failure; with `run`, whose codes
 * are those of what it runs, a mistake is its code for a container that cannot be run
 */
export async function runApp(args: readonly string[], globals: Globals = DEFAULT_GLOBALS): Promise<number> {
  const context: AppContext = {
    process: { stdout: { write: print }, stderr: { write: printError }, exitCode: undefined },
    globals,
  };
  return await runIn(context, args);
}

/** The same in a context of the caller's. @returns the exit code */
export async function runIn(context: AppContext, args: readonly string[]): Promise<number> {
  const line = withoutIgnored(withTwoDashes(args));
  await run(applicationFor(line, context.globals), line, context);
  const code = Number(context.process.exitCode ?? 0);
  if (code >= 0) return code;
  return line[0] === "run" ? CANNOT_RUN : 1;
}

/** What may follow the words of a line, the last of which is not finished. */
export async function proposeWords(
  words: readonly string[],
): Promise<readonly { completion: string; brief: string }[]> {
  const process = { stdout: { write: () => {} }, stderr: { write: () => {} } };
  const context: AppContext = { process, globals: DEFAULT_GLOBALS };
  return await proposeCompletions(applicationFor(words, DEFAULT_GLOBALS), words, context);
}

/** The command that words lead to, or the group of commands; undefined: there is none. */
export function targetOf(words: readonly string[]): Target | undefined {
  let at: Target = routes;
  for (const word of words) {
    if (!("getRoutingTargetForInput" in at)) break;
    const next: Target | undefined = at.getRoutingTargetForInput(word);
    if (next === undefined) return undefined;
    at = next;
  }
  return at;
}

/** The group of commands that the first words lead to, and the names in it. */
function groupOf(args: readonly string[]): { words: readonly string[]; names: readonly string[] } {
  let words: readonly string[] = [];
  let group = routes as Target;
  for (let count = 1; count <= args.length; count++) {
    const next = targetOf(args.slice(0, count));
    if (next === undefined || !("getAllEntries" in next)) break;
    group = next;
    words = args.slice(0, count);
  }
  const entries = "getAllEntries" in group ? group.getAllEntries() : [];
  return { words, names: entries.flatMap(({ name, aliases }) => [name.original, ...aliases]) };
}

/** A command or a group of commands. */
export type Target = typeof routes | NonNullable<ReturnType<typeof routes.getRoutingTargetForInput>>;

/**
 * Long options of the command are taken with one dash as well, as in `-sandbox-id`: Go programs, and those who call
 * them, do not distinguish.
 */
function withTwoDashes(args: readonly string[]): readonly string[] {
  const command = targetOf(args);
  if (command === undefined || !("usesFlag" in command)) return args;
  const end = args.indexOf("--");
  return args.map((word, index) => {
    if (end >= 0 && index > end) return word;
    const [, name] = /^-([A-Za-z][\w-]+)(=|$)/.exec(word) ?? [];
    return name !== undefined && command.usesFlag(inCamelCase(name), "original") ? `-${word}` : word;
  });
}

function inCamelCase(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** The line without words that its command ignores; these commands have only switches, so no word is a flag's value. */
function withoutIgnored(args: readonly string[]): readonly string[] {
  const most = IGNORES_BEYOND.get(targetOf(args));
  if (most === undefined) return args;
  const [command = "", ...rest] = args;
  const end = rest.indexOf("--");
  const isFlag = (word: string, index: number) => word.startsWith("-") && (end < 0 || index < end);
  const flags = rest.filter(isFlag);
  const words = rest.filter((word, index) => !isFlag(word, index) && index !== end);
  return [command, ...flags, ...words.slice(0, most)];
}

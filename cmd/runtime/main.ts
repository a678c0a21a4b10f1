import { basename } from "../../sys/path.ts";

/**
 * `kata-runtime`: the command line of the runtime.
 *
 * The words that must answer at once (`--version`) and the roles that are also reachable under a name of their
 * own (`shim`, `agent`) are taken here, before anything of the command-line library is loaded.
 *
 * @returns the process's exit code
 */
export async function main(argv0: string, args: readonly string[]): Promise<number> {
  const [word, ...rest] = args;
  switch (word) {
    case "--version":
    case "-v":
    case "version":
      if (rest.every((one) => one === "--verbose")) {
        return (await import("./version.ts")).printVersion(basename(argv0), rest);
      }
      break;
    case "shim":
      return (await import("../shim/main.ts")).main(argv0, rest);
    case "agent":
      return (await import("../agent.ts")).main(argv0, rest);
  }
  return await (await import("./command_line.ts")).runLine(basename(argv0), args);
}

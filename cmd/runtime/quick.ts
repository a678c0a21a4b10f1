/**
 * Commands that monitoring runs often: without the command-line library they take half the time.
 *
 * @module
 */

import type { CheckFlags } from "./check/command.ts";
import type { Globals } from "./globals.ts";

/** Ways to write a switch of `check`. */
const CHECK_SWITCHES: Readonly<Record<string, keyof CheckFlags>> = {
  "--check-version-only": "checkVersionOnly",
  "--include-all-releases": "includeAllReleases",
  "--no-network-checks": "noNetworkChecks",
  "-n": "noNetworkChecks",
  "--only-list-releases": "onlyListReleases",
  "--strict": "strict",
  "-s": "strict",
  "--verbose": "verbose",
  "-v": "verbose",
};

const NO_SWITCHES: CheckFlags = {
  checkVersionOnly: false,
  includeAllReleases: false,
  noNetworkChecks: false,
  onlyListReleases: false,
  strict: false,
  verbose: false,
};

/**
 * Runs a command if it is one of these and is written in the plainest way.
 *
 * @returns its exit code; undefined: it is for the command-line library, which also knows what is wrong with it
 * @throws {Error} the sentence that it fails with
 */
export async function runQuickly(
  [word, ...flags]: readonly string[],
  globals: Globals,
): Promise<number | undefined> {
  if (word === "check" || word === "kata-check") {
    const switches = checkSwitches(flags);
    return switches && await (await import("./check/check.ts")).check(switches, globals);
  }
  if ((word === "env" || word === "kata-env") && flags.every((flag) => flag === "--json")) {
    await (await import("./env/env.ts")).env({ json: flags.length > 0 }, globals);
    return 0;
  }
  return undefined;
}

function checkSwitches(flags: readonly string[]): CheckFlags | undefined {
  const names = flags.map((flag) => Object.hasOwn(CHECK_SWITCHES, flag) ? CHECK_SWITCHES[flag] : undefined);
  if (names.includes(undefined) || new Set(names).size < names.length) return undefined;
  return { ...NO_SWITCHES, ...Object.fromEntries(names.map((name) => [name, true])) };
}

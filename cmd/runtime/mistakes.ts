/**
 * What the command-line library finds wrong with a line, as a sentence.
 *
 * @module
 */

import {
  AliasNotFoundError,
  ArgumentParseError,
  EnumValidationError,
  FlagNotFoundError,
  InvalidNegatedFlagSyntaxError,
  UnexpectedFlagError,
  UnexpectedPositionalError,
  UnsatisfiedFlagError,
  UnsatisfiedPositionalError,
} from "@stricli/core";
import { failure } from "./failure.ts";
import { didYouMean } from "./spelling.ts";

/**
 * The mistake in the arguments of a command. The names of classes are of no use: a bundle has others.
 *
 * @param args what was typed
 */
export function argumentMistake(error: unknown, args: readonly string[]): string {
  if (error instanceof FlagNotFoundError) {
    const hint = didYouMean(error.input, error.corrections, (near) => `--${near}`);
    return `flag provided but not defined: -${error.input}${hint}`;
  }
  if (error instanceof AliasNotFoundError) return `flag provided but not defined: -${error.input}`;
  if (error instanceof ArgumentParseError) return badValue(error);
  if (error instanceof EnumValidationError) {
    const values = error.values.map((value) => `"${value}"`).join(", ");
    return `invalid value "${error.input}" for flag -${error.externalFlagName}: must be one of ${values}`;
  }
  if (error instanceof InvalidNegatedFlagSyntaxError) {
    return `invalid value "${error.valueText}" for flag -${error.externalFlagName}: it takes none`;
  }
  if (error instanceof UnexpectedFlagError) {
    return `flag -${error.externalFlagName} is given twice: "${error.previousInput}" and "${error.input}"`;
  }
  if (error instanceof UnsatisfiedFlagError) {
    return args.some((word) => /^-/.test(word) && word.replace(/^-+/, "") === error.externalFlagName)
      ? `flag needs an argument: -${error.externalFlagName}`
      : `Required flag "${error.externalFlagName}" not set`;
  }
  if (error instanceof UnexpectedPositionalError) {
    const most = error.expectedCount === 0 ? "none" : `at most ${error.expectedCount}`;
    return `unexpected argument "${error.input}": the command takes ${most}`;
  }
  if (error instanceof UnsatisfiedPositionalError) return `argument ${error.placeholder} is missing`;
  return failure(error);
}

function badValue({ externalFlagNameOrPlaceholder: name, input, exception }: ArgumentParseError): string {
  const why = failure(exception);
  if (/^Cannot convert .* to a (boolean|number)$/s.test(why)) {
    return `invalid value "${input}" for flag -${name}: must be ${
      why.endsWith("boolean") ? "true or false" : "a number"
    }`;
  }
  // what names the option and the value says all there is to say
  if (why.startsWith(name) && why.includes(input)) return why;
  const ending = `: it is "${input}"`;
  // words that are no option's value go by what the help calls them, in capitals
  const what = /^[a-z]/.test(name) ? `flag -${name}` : name;
  return `invalid value "${input}" for ${what}: ${why.endsWith(ending) ? why.slice(0, -ending.length) : why}`;
}

/** Commands of other runtimes' programs of this name. */
const OF_OTHERS: ReadonlySet<string> = new Set(
  ("factory policy create start state kill delete ps pause resume update events spec features checkpoint restore " +
    "kata-network kata-overhead").split(" "),
);

/**
 * A command that there is not.
 *
 * @param name what was typed
 * @param near what may have been meant
 * @param group the words before it
 */
export function unknownCommand(
  name: string,
  near: string | undefined,
  group: readonly string[] = [],
): string {
  if (group.length === 0 && OF_OTHERS.has(name)) {
    return `Invalid command "${name}": this version does not have it`;
  }
  const words = [...group, name].join(" ");
  if (near !== undefined) return `Invalid command "${words}": did you mean "${[...group, near].join(" ")}"?`;
  const hint = group.length === 0 ? "" : `: "kata-runtime help ${group.join(" ")}" lists what there is`;
  return `Invalid command "${words}"${hint}`;
}

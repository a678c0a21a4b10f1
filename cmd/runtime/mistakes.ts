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
import { reason } from "../../sandbox/log/log.ts";
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
  return reason(error);
}

function badValue({ externalFlagNameOrPlaceholder: name, input, exception }: ArgumentParseError): string {
  const why = reason(exception);
  if (/^Cannot convert .* to a (boolean|number)$/s.test(why)) {
    return `invalid value "${input}" for flag -${name}: must be ${
      why.endsWith("boolean") ? "true or false" : "a number"
    }`;
  }
  // a sentence that names the value says all there is to say
  return why.includes(input) ? why : `invalid value "${input}" for ${name}: ${why}`;
}

/** A command that there is not. @param near what may have been meant */
export function unknownCommand(name: string, near: string | undefined): string {
  return `Invalid command "${name}"${near === undefined ? "" : `: did you mean "${near}"?`}`;
}

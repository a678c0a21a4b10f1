/**
 * What went wrong, in words for whoever typed the command.
 *
 * @module
 */

import { reason } from "../../sandbox/log/log.ts";

/** What Deno says of a failed call: text, number, and for calls that name a path the call and the path. */
const CALL_FAILED = /^([^():"]+?)(?: \(os error \d+\))?(?:: ([a-z]+) '([^']*)'(?: -> '[^']*')?)?$/;

/** What calls do, in words. */
const DEEDS: Readonly<Record<string, string>> = {
  lstat: "look at",
  mkdir: "make the folder",
  open: "open",
  readdir: "read",
  readfile: "read",
  remove: "remove",
  rename: "rename",
  stat: "look at",
  writefile: "write",
};

/** A failure as a sentence. @param thrown anything: what is a sentence already stays as it is */
export function failure(thrown: unknown): string {
  const text = reason(thrown);
  if (!isCallError(thrown)) return text;
  const [, why, call, path] = CALL_FAILED.exec(text) ?? [];
  if (why === undefined) return text;
  if (call === undefined) return lowerCase(why);
  return `cannot ${DEEDS[call] ?? call} "${path}": ${lowerCase(why)}`;
}

/** Only the reason, for a sentence that says itself what was to be done, and with which file. */
export function why(thrown: unknown): string {
  const text = reason(thrown);
  const [, short] = isCallError(thrown) ? CALL_FAILED.exec(text) ?? [] : [];
  return short === undefined ? text : lowerCase(short);
}

function isCallError(thrown: unknown): boolean {
  return thrown instanceof Error && / \(os error \d+\)/.test(thrown.message);
}

function lowerCase(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

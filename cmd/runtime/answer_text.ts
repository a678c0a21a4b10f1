/**
 * Answers of management sockets, as commands print them.
 *
 * @module
 */

import type { ClientAnswer } from "../../rpc/http/client.ts";

/**
 * The body of an answer of success.
 *
 * @param what was asked for
 * @throws {Error} any other answer, with its text
 */
export function textOf({ status, body }: ClientAnswer, what: string): string {
  const text = new TextDecoder().decode(body);
  if (status === 200) return text;
  throw new Error(`cannot get ${what}: status ${status}: ${text.trim()}`);
}

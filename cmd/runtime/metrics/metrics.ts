/**
 * `kata-runtime metrics`.
 *
 * @module
 */

import { resolveSandboxId } from "../../../sandbox/listing.ts";
import { askSandbox } from "../../../sandbox/management/client.ts";
import { print } from "../output.ts";
import { textOf } from "../answer_text.ts";

/** Prints what the sandbox answers. */
export async function metrics(_flags: unknown, typed: string): Promise<void> {
  const id = resolveSandboxId(typed);
  const answer = await askSandbox(id, { path: "/metrics" });
  print(`${textOf(answer, `metrics of sandbox "${id}"`)}\n`);
}

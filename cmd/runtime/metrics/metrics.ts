/**
 * `kata-runtime metrics`.
 *
 * @module
 */

import { askSandbox } from "../../../sandbox/management/client.ts";
import { resolveSandboxId } from "../../../sandbox/state/listing.ts";
import { textOf } from "../answer_text.ts";
import { print } from "../output.ts";

/** Prints what the sandbox answers. */
export async function metrics(_flags: unknown, typed: string): Promise<void> {
  const id = resolveSandboxId(typed);
  const answer = await askSandbox(id, { path: "/metrics" });
  print(`${textOf(answer, `metrics of sandbox "${id}"`)}\n`);
}

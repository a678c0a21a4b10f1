/**
 * `kata-runtime explain`, the part that knows how containers are made: it is the agent's, and loaded when asked.
 *
 * @module
 */

import { explain } from "../../agent/container/explain.ts";
import { explanationJson, explanationLines } from "../../agent/container/explain_text.ts";
import type { Process, Spec } from "../../oci/spec.ts";

/** What to explain, and how. */
export interface ExplainRequest {
  readonly id: string;
  /** absolute */
  readonly bundle: string;
  readonly spec: Spec;
  /** a process to be executed in the container: it is explained instead */
  readonly process?: Process;
  /** given for a container of a pod: whether it shares process ids */
  readonly pod?: { readonly sharesPids: boolean };
  /** folder of this machine that is the rootfs, whatever the specification calls it */
  readonly rootfs: string;
  readonly json: boolean;
  /** lists filters, too */
  readonly verbose: boolean;
}

/**
 * @returns the text to print
 * @throws {SpecError} for a specification that would be refused
 */
export async function explainContainer(request: ExplainRequest): Promise<string> {
  const { json, verbose, rootfs, ...container } = request;
  const explanation = await explain({ ...container, lookAt: rootfs });
  return json ? explanationJson(explanation) : explanationLines(explanation, verbose).join("\n");
}

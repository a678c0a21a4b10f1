/**
 * `kata-runtime explain`, the part that knows how containers are made: it is the agent's, and loaded when asked.
 *
 * @module
 */

import { explain } from "../../agent/container/explain.ts";
import { explanationJson, explanationLines } from "../../agent/container/explain_text.ts";
import { parseProcess, parseSpec } from "../../oci/validate.ts";

/** What to explain, and how. */
export interface ExplainRequest {
  /** absolute */
  readonly bundle: string;
  /** a file with a process to be executed in the container */
  readonly process?: string;
  readonly json: boolean;
  /** lists filters, too */
  readonly verbose: boolean;
}

/**
 * @returns the text to print
 * @throws {SpecError} for a specification that would be refused
 */
export async function explainBundle(request: ExplainRequest): Promise<string> {
  const { bundle, process, json, verbose } = request;
  const file = `${bundle}/config.json`;
  const spec = parseSpec(readText(file), file);
  const id = bundle.slice(bundle.lastIndexOf("/") + 1) || "container";
  const explanation = await explain({
    id,
    bundle,
    spec,
    ...(process !== undefined && { process: parseProcess(readText(process), process) }),
  });
  return json ? explanationJson(explanation) : explanationLines(explanation, verbose).join("\n");
}

function readText(file: string): string {
  try {
    return Deno.readTextFileSync(file);
  } catch (error) {
    throw new Error(`cannot read "${file}": ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}

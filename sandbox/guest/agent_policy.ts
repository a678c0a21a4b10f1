/**
 * The policy of the guest's owner, by which the agent decides what it does for the host.
 *
 * @module
 */

import { Code, RpcError } from "../../rpc/errors.ts";
import { type AgentClient, CALL_TIMEOUT_MS } from "./agent_client.ts";
import { POLICY_ANNOTATION } from "./spec.ts";

/** What agents answer that were built without policies. */
const UNKNOWN_THERE: readonly number[] = [Code.Unimplemented, Code.NotFound];

/**
 * Gives the agent a policy.
 *
 * @param encoded its text in base64
 * @throws {RpcError} `FAILED_PRECONDITION` when the agent knows no policies; what it says otherwise
 */
export async function giveAgentPolicy(client: Pick<AgentClient, "agent">, encoded: string): Promise<void> {
  const policy = new TextDecoder().decode(Uint8Array.fromBase64(encoded));
  try {
    await client.agent.setPolicy({ policy }, { timeoutMs: CALL_TIMEOUT_MS });
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    const [code, why] = UNKNOWN_THERE.includes(error.code)
      ? [Code.FailedPrecondition, "it was built without policies"]
      : [error.code, error.message];
    throw new RpcError(
      code,
      `the agent in the guest does not take the policy of annotation "${POLICY_ANNOTATION}": ${why}`,
      {
        cause: error,
      },
    );
  }
}

/**
 * The agent's settings on the guest kernel's command line.
 *
 * @module
 */

import type { Config } from "../../config/schema.ts";

/**
 * Most bytes asked for in one call, and how much the guest's pipes hold. With the kernel's 64 KiB each call carries
 * so little that its own cost halves the throughput of an emulated machine.
 */
export const STREAM_CHUNK_BYTES = 1_048_576;

/** Settings of the agent that it reads from the kernel's command line. */
export function agentParams(agent: Config["agent"]): string[] {
  const params: string[] = [];
  if (agent.enable_debug) params.push("agent.log=debug");
  params.push(`agent.container_pipe_size=${agent.container_pipe_size || STREAM_CHUNK_BYTES}`);
  if (agent.enable_tracing) params.push("agent.trace=true");
  if (agent.cdh_api_timeout > 0) params.push(`agent.cdh_api_timeout=${agent.cdh_api_timeout}`);
  if (agent.debug_console_enabled) params.push("agent.debug_console", "agent.debug_console_vport=1026");
  return params;
}

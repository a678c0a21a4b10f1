import { reason } from "../../../sandbox/log/log.ts";

/** The container could not be run (as docker and podman have it). */
export const CANNOT_RUN = 125;
/** The command was found but cannot be executed (as shells have it). */
const CANNOT_EXECUTE = 126;
/** The command was not found (as shells have it). */
const NOT_FOUND = 127;

/**
 * The exit code for a failure. What the guest says about the command arrives as text: the agent API has one code for
 * every failure, and these two phrases are what all OCI runtimes use.
 */
export function exitCodeOfFailure(error: unknown): number {
  const text = reason(error);
  if (/executable file not found|exec: .*no such file/.test(text)) return NOT_FOUND;
  if (/exec: .*permission denied/.test(text)) return CANNOT_EXECUTE;
  return CANNOT_RUN;
}

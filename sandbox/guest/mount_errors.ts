/**
 * Failures of mounts in the guest, told with the paths that a pod's specification has.
 *
 * @module
 */

import type { Mount } from "../../oci/spec.ts";
import { RpcError } from "../../rpc/errors.ts";

/**
 * What the guest says about a bind of something that the host shares names a path that only the guest has.
 *
 * @param thrown by a call of the agent
 * @param inGuest with sources as the guest sees them
 * @param onHost the same, as the client asked for them
 * @returns the error to throw
 */
export function withHostPaths(thrown: unknown, inGuest: readonly Mount[], onHost: readonly Mount[]): unknown {
  if (!(thrown instanceof RpcError)) return thrown;
  for (const { destination, source } of inGuest) {
    const known = `bind ${source} on ${destination}: `;
    const wanted = onHost.find((mount) => mount.destination === destination)?.source;
    if (wanted === undefined || !thrown.message.startsWith(known)) continue;
    const why = thrown.message.slice(known.length);
    // the kernel does not tell it from other reasons, but it is the one that users come across
    const hint = why === "EINVAL" ? " (is one a folder, and the other a file?)" : "";
    const text = `cannot mount "${wanted}" on "${destination}": ${why}${hint}`;
    return new RpcError(thrown.code, text, { details: thrown.details, cause: thrown });
  }
  return thrown;
}

/**
 * The pod's network namespace.
 *
 * @module
 */

import { Code, RpcError } from "../rpc/errors.ts";
import type { Spec } from "../oci/spec.ts";

/**
 * Path of the network namespace that the client made; `undefined` when it made none.
 *
 * @throws {RpcError} `INVALID_ARGUMENT` when it is the host's own, or is not there
 */
export function networkNamespace(spec: Spec): string | undefined {
  const path = spec.linux?.namespaces?.find(({ type }) => type === "network")?.path ?? "";
  if (path === "") return undefined;
  const [theirs, ours] = [inode(path), inode("/proc/self/ns/net")];
  if (theirs === undefined) {
    throw new RpcError(Code.InvalidArgument, `network namespace "${path}" does not exist`);
  }
  if (theirs === ours) {
    throw new RpcError(
      Code.InvalidArgument,
      `network namespace "${path}" is the host's own: a virtual machine cannot share it`,
    );
  }
  return path;
}

function inode(path: string): string | undefined {
  try {
    const { dev, ino } = Deno.statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

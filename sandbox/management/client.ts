/**
 * Asking a sandbox by its management socket, from another process.
 *
 * @module
 */

import { type ClientAnswer, type ClientRequest, requestUnix, upgradeUnix } from "../../rpc/http/client.ts";
import type { ByteStream } from "../../rpc/stream.ts";
import { isErrno } from "../../sys/errors.ts";
import { HOST_PATHS, managementSocketPath } from "../state/paths.ts";

/** Where sandboxes of Kata Containers' runtime in Rust have their sockets. */
const OTHER_STATE = "/run/kata";

/** How long a sandbox may take to answer what it knows itself, in milliseconds. */
const ANSWER_MS = 3_000;

/** What to ask. */
export type ManagementRequest = Omit<ClientRequest, "socket" | "timeoutMs"> & {
  /** Default: 3 s. */
  readonly timeoutMs?: number;
};

/**
 * Asks a sandbox.
 *
 * @param id of the sandbox, checked already
 * @throws {Error} a sentence: there is none, or it does not answer
 */
export async function askSandbox(id: string, request: ManagementRequest): Promise<ClientAnswer> {
  const socket = socketOf(id);
  return await saying(id, () => requestUnix({ timeoutMs: ANSWER_MS, ...request, socket }));
}

/** As {@linkcode askSandbox}, for another protocol; an answer instead of a stream is one of refusal. */
export async function upgradeAtSandbox(
  id: string,
  request: ManagementRequest,
  protocol: string,
): Promise<ByteStream | ClientAnswer> {
  const socket = socketOf(id);
  return await saying(id, () => upgradeUnix({ timeoutMs: ANSWER_MS, ...request, socket }, protocol));
}

async function saying<T>(id: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!isErrno(error, "ECONNREFUSED", "ENOENT")) throw error;
    throw new Error(`sandbox "${id}" does not run any more: nobody listens at its management socket`, {
      cause: error,
    });
  }
}

/** @throws {Error} there is none; the sentence is the one that users know */
function socketOf(id: string): string {
  const path = managementSocketPath(HOST_PATHS, id);
  if (exists(path)) return path;
  const other = `${OTHER_STATE}/${id}/shim-monitor.sock`;
  if (exists(other)) return other;
  throw new Error(
    `It fails to stat both ${path} and ${other} with error stat ${other}: no such file or directory.`,
  );
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}

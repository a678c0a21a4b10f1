/**
 * `kata-runtime iptables …`
 *
 * @module
 */

import { reason } from "../../../sandbox/log/log.ts";
import { askSandbox } from "../../../sandbox/management/client.ts";
import { resolveSandboxId } from "../../../sandbox/state/listing.ts";
import { textOf } from "../answer_text.ts";
import { print } from "../output.ts";
import type { TableFlags } from "./command.ts";

/** How long the program in the guest may take, in milliseconds. */
const TABLES_MS = 20_000;

/** Prints the rules. */
export async function get({ sandboxId, v6 }: TableFlags): Promise<void> {
  const id = resolveSandboxId(sandboxId);
  const answer = await askSandbox(id, { path: pathOf(v6), timeoutMs: TABLES_MS });
  print(`${textOf(answer, `rules of sandbox "${id}"`)}\n`);
}

/** Replaces them. */
export async function set({ sandboxId, v6 }: TableFlags, ...files: string[]): Promise<void> {
  const id = resolveSandboxId(sandboxId);
  const [file] = files;
  if (file === undefined) throw new Error("iptables file not provided");
  const body = await read(file);
  try {
    await put(id, pathOf(v6), body);
  } catch (error) {
    throw new Error(`Error observed when making iptables-set request(${file}): ${reason(error)}`, {
      cause: error,
    });
  }
}

async function read(file: string): Promise<Uint8Array> {
  try {
    return await Deno.readFile(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(`iptables file does not exist: ${file}`, { cause: error });
  }
}

async function put(id: string, path: string, rules: Uint8Array): Promise<void> {
  const type = "application/octet-stream";
  const request = { method: "PUT", path, type, body: rules, timeoutMs: TABLES_MS };
  const { status, body } = await askSandbox(id, request);
  if (status === 200) return;
  const data = new TextDecoder().decode(body).trim();
  throw new Error(`error sending put: url: ${path}, status code: ${status}, response data: ${data}`);
}

function pathOf(v6: boolean): string {
  return v6 ? "/ip6tables" : "/iptables";
}

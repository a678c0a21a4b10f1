/**
 * The debug console's port in the guest, as every implementation of Kata Containers has it: a plain stream of bytes
 * over vsock, or over a unix socket of the virtual machine monitor.
 *
 * @module
 */

import type { ByteStream } from "../../../rpc/stream.ts";
import { FdInput, FdOutput } from "../../../sandbox/io/fd.ts";
import { askSandbox } from "../../../sandbox/management/client.ts";
import { connectVsock } from "../../../sys/socket.ts";
import { delay } from "../../../sys/timer.ts";
import { connectHybrid } from "../../../vm/hybrid_vsock.ts";
import { CallerTerminal } from "../run/caller_terminal.ts";

/** The port unless another is asked for. */
const DEFAULT_PORT = 1026;

/** How long connecting is tried, and the pause between two tries, in milliseconds. */
const DIAL_MS = 3_000;
const PAUSE_MS = 100;

const BUFFER_BYTES = 2048;

/** Where the port of a guest is. */
export type ConsoleAddress =
  | { readonly kind: "vsock"; readonly cid: number; readonly port: number }
  | { readonly kind: "hybrid"; readonly path: string; readonly port: number };

/**
 * Takes the address of an agent apart.
 *
 * @param port replaces the agent's own
 * @throws {Error} a sentence
 */
export function consoleAddress(url: string, port: number): ConsoleAddress {
  const scheme = url.slice(0, url.indexOf("://"));
  const rest = url.slice(scheme.length + 3);
  switch (scheme) {
    case "vsock": {
      const [, cid] = /^(\d{1,10}):\d+$/.exec(rest) ?? [];
      if (cid === undefined) throw new Error(`Invalid vsock scheme: ${url}`);
      return { kind: "vsock", cid: Number(cid), port };
    }
    case "hvsock": {
      const [, path] = /^(\/.+):\d+$/.exec(rest) ?? [];
      if (path === undefined) throw new Error(`Invalid hybrid vsock scheme: ${url}`);
      return { kind: "hybrid", path, port };
    }
    default:
      throw new Error(
        `schema ${scheme} not found: the guest has no ports that could be connected to (${url})`,
      );
  }
}

/**
 * Connects to the console's port of a sandbox's guest.
 *
 * @param port 0 = the usual one
 * @throws {Error} a sentence
 */
export async function connectPort(id: string, port: number): Promise<ByteStream> {
  const { status, body } = await askSandbox(id, { path: "/agent-url" });
  if (status !== 200) throw new Error(`Failure from ${id} shim-monitor: ${status}`);
  const address = consoleAddress(new TextDecoder().decode(body).trim(), port || DEFAULT_PORT);
  const deadline = performance.now() + DIAL_MS;
  for (;;) {
    try {
      return address.kind === "vsock"
        ? await connectVsock(address.cid, address.port)
        : await connectHybrid(address.path, address.port);
    } catch (cause) {
      if (performance.now() > deadline) throw new Error(timedOut(address), { cause });
    }
    await delay(PAUSE_MS);
  }
}

function timedOut(address: ConsoleAddress): string {
  const { port } = address;
  const target = address.kind === "vsock"
    ? `vsock ${address.cid}:${port}`
    : `hybrid vsocket hvsock:${address.path}:${port}`;
  return `timed out connecting to ${target}: is debug_console_enabled set in [agent.kata] of the configuration?`;
}

/** Lends the caller's terminal, or pipes, to the other side, until that ends. */
export async function relay(stream: ByteStream): Promise<void> {
  const input = new FdInput(0);
  const output = new FdOutput(1);
  using _terminal = new CallerTerminal(() => Promise.resolve());
  const typed = copyInput(input, stream);
  try {
    const buffer = new Uint8Array(BUFFER_BYTES);
    for (let count; (count = await stream.read(buffer)) > 0;) await output.write(buffer.subarray(0, count));
  } finally {
    stream.close();
    input.close();
    await output.close();
    await typed;
  }
}

async function copyInput(input: FdInput, stream: ByteStream): Promise<void> {
  const END_OF_TRANSMISSION = 4;
  const buffer = new Uint8Array(BUFFER_BYTES);
  try {
    for (let count; (count = await input.read(buffer)) > 0;) await stream.write(buffer.subarray(0, count));
    // the shell is on a terminal, where a key is the end
    await stream.write(Uint8Array.of(END_OF_TRANSMISSION));
  } catch {
    // the other side has ended
  }
}

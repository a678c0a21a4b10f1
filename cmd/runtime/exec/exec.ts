/**
 * `kata-runtime exec SANDBOX`: a shell in the guest.
 *
 * @module
 */

import { ConnectionClosed } from "../../../rpc/errors.ts";
import { GuestConsole } from "../../../rpc/gen/console_pb.ts";
import type { ByteStream } from "../../../rpc/stream.ts";
import { TtrpcClient } from "../../../rpc/ttrpc/client.ts";
import { serviceClient } from "../../../rpc/ttrpc/typed.ts";
import { FdInput, FdOutput } from "../../../sandbox/io/fd.ts";
import { upgradeAtSandbox } from "../../../sandbox/management/client.ts";
import { CONSOLE_PATH, CONSOLE_PROTOCOL } from "../../../sandbox/management/console_path.ts";
import { resolveSandboxId } from "../../../sandbox/state/listing.ts";
import { getWindowSize } from "../../../sys/pty.ts";
import type { AppContext } from "../app.ts";
import { CallerSignals } from "../run/caller_signals.ts";
import { CallerTerminal } from "../run/caller_terminal.ts";
import type { ExecFlags } from "./command.ts";
import { connectPort, relay } from "./port.ts";

/** How long the guest may take to make a shell, in milliseconds. */
const OPEN_MS = 10_000;

const BUFFER_BYTES = 16 * 1024;

/** Opens a shell, and leaves the exit code with the application. */
export async function exec(this: AppContext, flags: ExecFlags, typed: string): Promise<void> {
  const id = resolveSandboxId(typed);
  if (flags.kataDebugPort === 0) {
    const answer = await upgradeAtSandbox(id, { path: CONSOLE_PATH }, CONSOLE_PROTOCOL);
    if ("read" in answer) {
      this.process.exitCode = await attach(answer);
      return;
    }
    // a shim of another implementation has the console's port only
    if (answer.status !== 404) throw new Error(`Failure from ${id} shim-monitor: ${answer.status}`);
  }
  await relay(await connectPort(id, flags.kataDebugPort));
}

type Guest = ReturnType<typeof guestAt>;

function guestAt(client: TtrpcClient) {
  return serviceClient(GuestConsole, client);
}

/** @returns the exit code */
async function attach(stream: ByteStream): Promise<number> {
  const client = new TtrpcClient(stream);
  // so that a terminal is given back as it was
  using signals = new CallerSignals();
  signals.aborted.addEventListener("abort", () => client.close());
  try {
    return await withShell(guestAt(client));
  } catch (error) {
    if (signals.abortedBy !== undefined) return 128 + signals.abortedBy;
    if (error instanceof ConnectionClosed) throw new Error("the sandbox has ended", { cause: error });
    throw error;
  } finally {
    client.close();
  }
}

async function withShell(guest: Guest): Promise<number> {
  const terminal = Deno.stdin.isTerminal() && Deno.stdout.isTerminal();
  const size = terminal ? getWindowSize(1) : { rows: 0, columns: 0 };
  const term = Deno.env.get("TERM") ?? "";
  const { id } = await guest.open({ terminal, ...size, term }, { timeoutMs: OPEN_MS });
  using raw = new DisposableStack();
  if (terminal) raw.use(new CallerTerminal(async (size) => void await guest.resize({ id, ...size })));
  // the end of the shell ends the wait for the next key
  const input = raw.adopt(new FdInput(0), (input) => input.close());
  sendInput(guest, id, input).catch(() => {});
  const status = await printOutput(guest, id);
  await guest.close({ id }, { timeoutMs: OPEN_MS });
  return terminal ? 0 : status;
}

async function sendInput(guest: Guest, id: number, input: FdInput): Promise<void> {
  const buffer = new Uint8Array(BUFFER_BYTES);
  for (let count; (count = await input.read(buffer)) > 0;) {
    await guest.write({ id, data: buffer.slice(0, count) });
  }
  await guest.write({ id, end: true });
}

/** @returns the shell's status */
async function printOutput(guest: Guest, id: number): Promise<number> {
  const output = new FdOutput(1);
  try {
    for (;;) {
      const { data, ended, status } = await guest.read({ id });
      if (ended) return status;
      await output.write(data);
    }
  } finally {
    await output.close();
  }
}

/**
 * Shells on the debug console's port, as tools of Kata Containers expect them: a plain byte stream, one shell with a
 * terminal per connection.
 */

import type { Connections } from "../connections.ts";
import type { Logger } from "../log.ts";
import type { ByteStream } from "../../rpc/stream.ts";
import { Shell, type ShellOptions } from "./shell.ts";

/** The size is not told on a plain stream. */
const SIZE = { rows: 24, columns: 80 };

const TERM = "linux";

const BUFFER_BYTES = 4096;

/** Serves until no more connections come. */
export async function serveConsoles(
  connections: Connections,
  log: Logger,
  options: Pick<ShellOptions, "shells"> = {},
): Promise<void> {
  try {
    for (;;) serveConsole(await connections.accept(), log, options);
  } catch (error) {
    log.debug("no more debug consoles", { error: String(error) });
  }
}

/** Serves one connection to its end; never rejects. */
export async function serveConsole(
  stream: ByteStream,
  log: Logger,
  options: Pick<ShellOptions, "shells"> = {},
): Promise<void> {
  try {
    const shell = await Shell.start({ size: SIZE, term: TERM, ...options });
    try {
      const typed = copyInput(stream, shell);
      for (let data; (data = await shell.read()) !== undefined;) await stream.write(data);
      stream.close();
      await typed;
    } finally {
      shell[Symbol.dispose]();
    }
  } catch (error) {
    log.warn("a debug console failed", { error: error instanceof Error ? error.message : String(error) });
  } finally {
    stream.close();
  }
}

/** To the end of the connection, which is the end of the shell. */
async function copyInput(stream: ByteStream, shell: Shell): Promise<void> {
  const buffer = new Uint8Array(BUFFER_BYTES);
  try {
    for (let count; (count = await stream.read(buffer)) > 0;) await shell.write(buffer.subarray(0, count));
  } catch {
    // closed here when the shell has ended, or broken off
  }
  shell[Symbol.dispose]();
}

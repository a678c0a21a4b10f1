import type { Config } from "../../../config/schema.ts";
import type { Container } from "../../../sandbox/container.ts";
import { createSandbox } from "../../../sandbox/create_sandbox.ts";
import type { IoSource } from "../../../sandbox/io/streams.ts";
import type { Log } from "../../../sandbox/log/log.ts";
import { SIGNALS } from "../../../sys/signals.ts";
import type { RunBundle } from "./bundle.ts";
import { CallerSignals } from "./caller_signals.ts";
import { CallerTerminal } from "./caller_terminal.ts";

/** What to run, and how. */
export interface RunOptions {
  readonly id: string;
  readonly bundle: RunBundle;
  readonly config: Config;
  readonly io: IoSource;
  /** resolves when the process writes what nobody reads any more */
  readonly unread: Promise<void>;
  readonly log: Log;
}

/**
 * Boots a machine, runs the process in it with the caller's terminal and signals, and takes everything down again.
 *
 * @returns the process's exit code; 128 + n after signal n, the caller's included when it came during the boot, and
 * SIGPIPE's when it wrote what nobody reads any more
 */
export async function runInSandbox(options: RunOptions): Promise<number> {
  const { id, bundle, config, io, log } = options;
  using signals = new CallerSignals();
  try {
    await using sandbox = await createSandbox({
      id,
      spec: bundle.spec,
      config,
      log,
      signal: signals.aborted,
    });
    log.write("debug", "the machine is up", { pid: sandbox.pid });
    const container = await sandbox.createContainer({
      id,
      bundle: bundle.folder,
      spec: bundle.spec,
      rootfs: [],
      io,
    });
    using _terminal = io.names.terminal
      ? new CallerTerminal((size) => container.init.resize(size))
      : undefined;
    return await runToEnd(container, signals, options);
  } catch (error) {
    if (signals.abortedBy !== undefined) return 128 + signals.abortedBy;
    throw error;
  }
}

async function runToEnd(
  container: Container,
  signals: CallerSignals,
  { log, unread }: RunOptions,
): Promise<number> {
  let isUnread = false;
  // as process 1 of its container it would ignore SIGPIPE
  unread.then(() => {
    isUnread = true;
    return container.init.signal(SIGNALS.SIGKILL, false);
  }).catch((error) => log.write("debug", `a process that nobody reads: ${error.message}`));
  await container.start();
  signals.forwardTo((signal) => {
    container.init.signal(signal, false).catch((error) =>
      log.write("debug", `signal ${signal}: ${error.message}`)
    );
  });
  const { status } = await container.init.exited;
  return isUnread && status === 128 + SIGNALS.SIGKILL ? 128 + SIGNALS.SIGPIPE : status;
}

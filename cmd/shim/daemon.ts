/**
 * The server: one process per sandbox, behind the socket that `start` made.
 *
 * @module
 */

import { TtrpcServer } from "../../rpc/ttrpc/server.ts";
import { type Log, reason } from "../../sandbox/log/log.ts";
import { within } from "../../sandbox/timing.ts";
import type { AsyncFd } from "../../sys/poll.ts";
import { connectUnix, Listener, listenUnix, peerCredentials } from "../../sys/socket.ts";
import { Timer } from "../../sys/timer.ts";
import { pathOfAddress } from "./address.ts";
import { EventPublisher } from "./events.ts";
import type { ShimFlags } from "./flags.ts";
import { FifoLog } from "./log_fifo.ts";
import { sandboxService } from "./sandbox_service.ts";
import { Shim } from "./shim.ts";
import { taskServices } from "./task_service.ts";

const INHERITED_LISTENER_FD = 3;

/** How long events may wait for containerd when the server ends, in milliseconds. */
const FLUSH_MS = 5_000;

/** How long calls that are under way may take when the server ends, in milliseconds. */
const DRAIN_MS = 2_000;

/** How long the first client may take to come, in milliseconds. */
const FIRST_CLIENT_MS = 60_000;

/** Serves until it is asked to end. @returns the exit code */
export async function serve(flags: ShimFlags): Promise<number> {
  const bundle = Deno.cwd();
  const log = new FifoLog(`${bundle}/log`, flags.debug, { namespace: flags.namespace });
  const address = Deno.env.get("TTRPC_ADDRESS");
  const connect = address ? () => connectUnix(pathOfAddress(address)) : undefined;
  const events = new EventPublisher({ namespace: flags.namespace, connect, log });
  const onConfig = (config: { runtime: { enable_debug: boolean } }) => {
    if (config.runtime.enable_debug) log.enableDebug();
  };
  await using shim = new Shim({ namespace: flags.namespace, log, events, onConfig });
  endOnSignals(shim, log);
  dieOnErrors(log);
  const socket = await socketOf(flags, bundle);
  using listener = flags.socket === "" ? Listener.fromFd(INHERITED_LISTENER_FD) : listenUnix(flags.socket);
  const server = new TtrpcServer([...taskServices(shim), sandboxService(shim)], {
    onError: (error) => log.write("warning", reason(error)),
  });
  log.write("info", `serving sandbox "${flags.id}"`);
  acceptAll(listener, server, shim, log);
  const swept = connect === undefined ? sweep(flags, log) : undefined;

  await shim.exitRequested;
  listener.close();
  if (socket !== undefined) await Deno.remove(socket).catch(() => {});
  await shim[Symbol.asyncDispose]();
  await server.shutdown(DRAIN_MS);
  if (swept !== undefined) await within(swept, DRAIN_MS);
  if (!await events.flush(FLUSH_MS)) log.write("warning", "events are lost: containerd cannot be reached");
  events.close();
  log.write("info", "bye");
  return 0;
}

/**
 * Cleans up after killed shims of the same engine: an engine that takes no events (CRI-O) does not run `delete` after
 * them. Never rejects.
 */
async function sweep(flags: ShimFlags, log: Log): Promise<void> {
  try {
    await removeDead(flags, log);
  } catch (error) {
    log.write("warning", reason(error));
  }
}

async function removeDead({ address, namespace }: ShimFlags, log: Log): Promise<void> {
  const [{ sweepDeadSandboxes }, { HOST_PATHS }, { socketPath }] = await Promise.all([
    import("../../sandbox/state/cleanup.ts"),
    import("../../sandbox/state/paths.ts"),
    import("./address.ts"),
  ]);
  for (const { id } of await sweepDeadSandboxes(HOST_PATHS, log)) {
    await Deno.remove(await socketPath(address, namespace, id)).catch(() => {});
  }
}

/** Where the listening socket's file is; `start` wrote it down before it started this process. */
async function socketOf(flags: ShimFlags, bundle: string): Promise<string | undefined> {
  if (flags.socket !== "") return flags.socket;
  try {
    return pathOfAddress((await Deno.readTextFile(`${bundle}/address`)).trim());
  } catch {
    return undefined;
  }
}

async function acceptAll(listener: Listener, server: TtrpcServer, shim: Shim, log: Log): Promise<void> {
  let clients = 0;
  // the `start` that made the socket may have been killed before it told anybody
  using nobody = new Timer(FIRST_CLIENT_MS, () => shim.requestExit());
  const serve = async (connection: AsyncFd) => {
    clients++;
    await server.serve(connection).catch((error) => log.write("debug", reason(error)));
    if (--clients === 0) shim.endIfForgotten();
  };
  try {
    while (true) {
      const connection = await listener.accept();
      nobody.cancel();
      if (isOurs(connection)) serve(connection);
      else connection.close();
    }
  } catch (error) {
    // the listener is closed when the server ends
    log.write("debug", `no more connections: ${reason(error)}`);
  }
}

/** Only the user that the shim runs as may command it. */
function isOurs(connection: AsyncFd): boolean {
  try {
    const { uid, gid } = peerCredentials(connection.fd);
    return uid === Deno.uid() && gid === Deno.gid();
  } catch {
    return false;
  }
}

function endOnSignals(shim: Shim, log: Log): void {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, () => {
      log.write("info", `ending on ${signal}`);
      shim.requestExit();
    });
  }
}

/**
 * An uncaught error: the state of this process is unknown. The machine dies with it, and containerd runs `delete` for
 * the rest.
 */
function dieOnErrors(log: Log): void {
  const die = (event: Event, error: unknown) => {
    event.preventDefault();
    log.write("error", `uncaught: ${error instanceof Error ? error.stack ?? error.message : String(error)}`);
    Deno.exit(1);
  };
  addEventListener("error", (event) => die(event, event.error));
  addEventListener("unhandledrejection", (event) => die(event, event.reason));
}

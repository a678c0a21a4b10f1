import { type ServeOptions, TtrpcServer } from "../rpc/ttrpc/server.ts";
import { type Connections, listen } from "./connections.ts";
import type { AdjustableLogger } from "./log.ts";
import type { AgentOptions } from "./options.ts";
import { type Devices, Sandbox } from "./sandbox.ts";
import { unitOf } from "./server_address.ts";
import { agentServices } from "./service/services.ts";

/** Dependencies of an agent besides its options. */
export interface AgentEnvironment {
  readonly options: AgentOptions;
  readonly log: AdjustableLogger;
  readonly devices: Devices;
  /** Whether the agent is PID 1. */
  readonly init: boolean;
  /** Is called when clients can connect. */
  readonly listening: () => void;
  /** The agent ends when this resolves; the sandbox is destroyed first. */
  readonly told?: Promise<void>;
}

/** How long the shutdown waits for running calls, in milliseconds. */
const SHUTDOWN_GRACE_MS = 1000;

/**
 * Serves the agent's API until the sandbox is destroyed.
 *
 * @throws {Error} if the API cannot be served at its address
 */
export async function runAgent(environment: AgentEnvironment): Promise<void> {
  const { options, log, devices, init } = environment;
  const { runDir: base, containerPipeSize: pipeSize, cgroupRoot, hotplugTimeoutMs } = options;
  const sandbox = new Sandbox({ base, pipeSize, cgroupRoot, devices, hotplugTimeoutMs, log });
  const end = Promise.withResolvers<void>();
  environment.told?.then(() => sandbox.destroy()).then(end.resolve, end.reject);
  const services = agentServices(sandbox, {
    base,
    hotplugTimeoutMs,
    init,
    devices,
    log,
    unitBytes: unitOf(options.serverAddress),
    debugConsole: options.debugConsole,
    setLogLevel: log.setLevel,
    destroyed: end.resolve,
  });
  const server = new TtrpcServer(services, {
    onError: (error) => log.warn("a connection or call failed", { error: String(error) }),
  });
  const connections = await listen(options.serverAddress, refusal(log));
  const consoles = await listenForConsoles(options, log);
  environment.listening();
  const clientsFollow = options.serverAddress.kind === "virtio-serial";
  await Promise.race([acceptAll(connections, server, { clientsFollow }), end.promise]);
  // The answer to the call that ended the sandbox is still to be sent.
  await server.shutdown(SHUTDOWN_GRACE_MS);
  connections.close();
  consoles?.close();
  log.info("the sandbox is destroyed, the agent ends");
}

function refusal(log: AdjustableLogger): (peer: string) => void {
  return (peer) => log.warn("a connection was refused: only the host may connect", { peer });
}

/** Only vsock has ports; elsewhere shells are asked for by the API. */
async function listenForConsoles(
  { debugConsole, debugConsolePort: port, serverAddress }: AgentOptions,
  log: AdjustableLogger,
): Promise<Connections | undefined> {
  if (!debugConsole || port === 0 || serverAddress.kind !== "vsock") return undefined;
  const { serveConsoles } = await import("./debug_console/serve.ts");
  const connections = await listen({ ...serverAddress, port }, refusal(log));
  serveConsoles(connections, log);
  return connections;
}

/** Rejects in the end, if only as nothing more can come after the close. */
async function acceptAll(
  connections: Connections,
  server: TtrpcServer,
  options: ServeOptions,
): Promise<never> {
  for (;;) {
    const connection = await connections.accept();
    server.serve(connection, options);
  }
}

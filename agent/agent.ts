import type { ServiceDefinition } from "../rpc/ttrpc/server.ts";
import { TtrpcServer } from "../rpc/ttrpc/server.ts";
import { serveConnections } from "./connections.ts";
import type { Logger } from "./log.ts";
import { GuestNetwork } from "./network.ts";
import type { AgentOptions } from "./options.ts";
import { type Devices, Sandbox } from "./sandbox.ts";
import { formatServerAddress } from "./server_address.ts";
import { agentServices } from "./service/services.ts";

/** What an agent needs besides its options. */
export interface AgentEnvironment {
  readonly options: AgentOptions;
  readonly log: Logger;
  readonly devices: Devices;
  /** Whether the agent is PID 1. */
  readonly init: boolean;
  /** Is called when clients can connect. */
  readonly listening?: () => void;
  /** Ends the agent from outside; the sandbox is destroyed first. */
  readonly signal?: AbortSignal;
}

/** How long a call that still runs may hold up the end, in milliseconds. */
const SHUTDOWN_GRACE_MS = 1000;

/**
 * Serves the agent's API until the sandbox is destroyed.
 *
 * @throws {Error} if the API cannot be served at its address
 */
export async function runAgent(environment: AgentEnvironment): Promise<void> {
  const { options, log } = environment;
  const sandbox = new Sandbox({
    base: options.runDir,
    pipeSize: options.containerPipeSize,
    cgroupRoot: options.cgroupRoot,
    devices: environment.devices,
    log,
  });
  const network = new GuestNetwork(options.hotplugTimeoutMs);
  // In a guest with an init of its own that is the init's.
  if (environment.init) await network.loopbackUp();
  const end = new AbortController();
  environment.signal?.addEventListener("abort", () => sandbox.destroy().finally(() => end.abort()));
  const services = agentServices(sandbox, {
    base: options.runDir,
    init: environment.init,
    devices: environment.devices,
    network,
    log,
    destroyed: () => end.abort(),
  });
  await serve(services, environment, end.signal);
  log.info("the sandbox is destroyed, the agent ends");
}

async function serve(
  services: readonly ServiceDefinition[],
  environment: AgentEnvironment,
  end: AbortSignal,
) {
  const { options, log } = environment;
  const server = new TtrpcServer(services, {
    onError: (error) => log.warn("a connection or call failed", { error: String(error) }),
  });
  const stop = new AbortController();
  const serving = serveConnections(options.serverAddress, {
    listening() {
      log.info("serving", { address: formatServerAddress(options.serverAddress) });
      environment.listening?.();
    },
    serve: (connection) => server.serve(connection),
  }, stop.signal);
  await Promise.race([serving, aborted(end)]);
  // The answer to the call that ended the sandbox is still to be sent.
  await server.shutdown(SHUTDOWN_GRACE_MS);
  stop.abort();
  await serving;
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
